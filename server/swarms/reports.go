package swarms

import (
	"cmp"
	"slices"
	"time"

	"shoal"
	"shoal/wire"
)

const (
	// reportLasts is how long a report counts (rule R3).
	reportLasts = 24 * time.Hour
	// maxUserReports and maxReports are how many reports are held of a user, and in all (rule R4); each takes some 200 bytes.
	maxUserReports = 256
	maxReports     = 1 << 16
	// sweepEvery is how often those that have expired are looked for.
	sweepEvery = 10 * time.Minute
	// maxLeft is how many places are remembered in each of two generations (rule R2).
	maxLeft = 10_000
)

// place is a device in a group.
type place struct {
	group  shoal.Group
	device shoal.DeviceID
}

// reports are those that users have made of devices, while they count. The Swarms' mu guards them.
type reports struct {
	groups     map[shoal.Group]map[shoal.DeviceID]*reported // none of them empty
	of         map[string]int                               // how many a user has made
	held       int
	swept      time.Time
	maxReports int // of held; constant

	left, leftBefore map[place]struct{} // who was a source; the newer ones, and those before
}

func newReports() reports {
	return reports{
		groups: make(map[shoal.Group]map[shoal.DeviceID]*reported), of: make(map[string]int), maxReports: maxReports,
		left: make(map[place]struct{}),
	}
}

// reported is a device that was.
type reported struct {
	user string // the device's, at the last report
	by   []report
}

type report struct {
	user  string
	since time.Time // when it was made first, without a day between
	at    time.Time
}

// Report is what one user says of a device of another one.
type Report struct {
	Swarm  shoal.Swarm
	Device shoal.DeviceID
	User   string // the device's
	By     string
}

// Report holds a report from now on. The error has code NotFound where the device neither is a source of the swarm nor was
// one in the group, and Limit where there are too many reports (rules R2 and R4).
func (a *Swarms) Report(r Report, now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.wasSource(r) {
		return NoSource(r.Device, r.Swarm.Group)
	}
	p := &a.reports
	if now.Sub(p.swept) >= sweepEvery {
		p.sweep(now)
	}
	in := p.groups[r.Swarm.Group]
	if e := in[r.Device]; e != nil {
		if i := slices.IndexFunc(e.by, func(was report) bool { return was.user == r.By }); i >= 0 {
			e.user = r.User
			e.by[i].renew(now)
			return nil
		}
	}
	if p.of[r.By] >= maxUserReports || p.held >= p.maxReports {
		return shoal.Errorf(shoal.Limit, "too many devices are reported; try again tomorrow")
	}
	if in == nil {
		in = make(map[shoal.DeviceID]*reported)
		p.groups[r.Swarm.Group] = in
	}
	if in[r.Device] == nil {
		in[r.Device] = new(reported)
	}
	e := in[r.Device]
	e.user, e.by = r.User, append(e.by, report{r.By, now, now})
	p.of[r.By]++
	p.held++
	return nil
}

// NoSource is the error for a device that cannot be reported in a group, whether it is anybody's or not (rule R2).
func NoSource(device shoal.DeviceID, g shoal.Group) error {
	return shoal.Errorf(shoal.NotFound, "%v serves nothing in the group %q, and has not lately", device, g)
}

// renew makes a report hold for another day.
func (r *report) renew(now time.Time) {
	if !r.holds(now) {
		r.since = now
	}
	r.at = now
}

func (r *report) holds(now time.Time) bool { return now.Sub(r.at) < reportLasts }

// wasSource reports whether a device is a source of the swarm, or was one of any in its group. The caller holds mu.
func (a *Swarms) wasSource(r Report) bool {
	at := place{r.Swarm.Group, r.Device}
	if _, left := a.reports.left[at]; left {
		return true
	}
	if _, left := a.reports.leftBefore[at]; left {
		return true
	}
	w := a.find(r.Swarm)
	return w != nil && slices.ContainsFunc(w.sources, func(s source) bool { return s.session.device == r.Device })
}

// leaves remembers that a device was a source.
func (p *reports) leaves(g shoal.Group, device shoal.DeviceID) {
	at := place{g, device}
	if _, known := p.left[at]; known {
		return
	}
	if len(p.left) == maxLeft {
		p.left, p.leftBefore = make(map[place]struct{}), p.left
	}
	p.left[at] = struct{}{}
}

// sweep forgets what has expired.
func (p *reports) sweep(now time.Time) {
	p.swept = now
	for g := range p.groups {
		p.drop(g, func(r report) bool { return !r.holds(now) })
	}
}

// drop forgets those reports in a group of which that is true.
func (p *reports) drop(g shoal.Group, these func(report) bool) {
	in := p.groups[g]
	for device, e := range in {
		e.by = slices.DeleteFunc(e.by, func(r report) bool {
			if !these(r) {
				return false
			}
			p.held--
			if p.of[r.user]--; p.of[r.user] == 0 {
				delete(p.of, r.user)
			}
			return true
		})
		if len(e.by) == 0 {
			delete(in, device)
		}
	}
	if len(in) == 0 {
		delete(p.groups, g)
	}
}

// Reporters are the users whose reports in a group are held, in no order.
func (a *Swarms) Reporters(g shoal.Group) (users []string) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	for _, e := range a.reports.groups[g] {
		for _, r := range e.by {
			users = append(users, r.user)
		}
	}
	slices.Sort(users)
	return slices.Compact(users)
}

// Retract forgets what a user has reported in a group (rule R3).
func (a *Swarms) Retract(g shoal.Group, by string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reports.drop(g, func(r report) bool { return r.user == by })
}

// Reported are the devices that are reported in a group, at most wire.MaxList, and whether there are more (rule R6).
func (a *Swarms) Reported(g shoal.Group, now time.Time) (all []wire.Reported, more bool) {
	a.mu.RLock()
	for device, e := range a.reports.groups[g] {
		told := wire.Reported{Device: device, User: e.user}
		for _, r := range e.by {
			if !r.holds(now) {
				continue
			}
			if since := r.since.UnixMilli(); told.Users == 0 || since < told.Since {
				told.Since = since
			}
			told.Users++
			told.Latest = max(told.Latest, r.at.UnixMilli())
		}
		if told.Users > 0 {
			all = append(all, told)
		}
	}
	a.mu.RUnlock()
	slices.SortFunc(all, func(x, y wire.Reported) int {
		return cmp.Or(cmp.Compare(y.Users, x.Users), cmp.Compare(y.Latest, x.Latest), slices.Compare(x.Device[:], y.Device[:]))
	})
	if more = len(all) > wire.MaxList; more {
		all = all[:wire.MaxList]
	}
	return all, more
}
