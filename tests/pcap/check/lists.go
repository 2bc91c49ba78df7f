package check

import (
	"fmt"
	"slices"
	"time"

	"shoal"
	"shoal/wire"
)

// page is the end of a list as a server answered it.
type page struct {
	revision uint64
	last     string
	more     bool
}

// page holds rule S4: what a list answers with.
func (c *Conn) page(f *Frame) {
	var is page
	var names []string
	list, after, limit := "", "", 0
	switch m := f.Message.(type) {
	case *wire.ListReply:
		names, is.revision, is.more = namesOf(m.Entries, func(e wire.Entry) string { return string(e.Name) }), m.Revision, m.More
	case *wire.UsersReply:
		names, is.revision, is.more = namesOf(m.Entries, func(e wire.UserEntry) string { return e.User }), m.Revision, m.More
	case *wire.GroupsReply:
		names, is.revision, is.more = namesOf(m.Entries, func(e wire.GroupEntry) string { return string(e.Group) }), m.Revision, m.More
		c.groups(f, m)
	case *wire.MembersReply:
		names, is.revision, is.more = namesOf(m.Entries, func(e wire.MemberEntry) string { return e.User }), m.Revision, m.More
	default:
		return
	}
	switch m := requestOf(f).(type) {
	case *wire.List:
		list, after, limit = fmt.Sprintf("names %s", m.Group), m.After, int(m.Limit)
	case *wire.Users:
		list, after, limit = "users", m.After, int(m.Limit)
	case *wire.Groups:
		list, after, limit = "groups", m.After, int(m.Limit)
	case *wire.Members:
		list, after, limit = fmt.Sprintf("%v %s", m.Which, m.Group), m.After, int(m.Limit)
	default:
		return
	}
	was, known := c.server.pages[list]
	known = known && was.revision == is.revision && was.last == after
	is.last = after
	for _, name := range names {
		if name <= is.last {
			c.violate(f, "S4", "%q after %q", name, is.last)
		}
		is.last = name
	}
	switch {
	case len(names) > limit:
		c.violate(f, "S4", "%d entries, where %d are wanted", len(names), limit)
	case is.more && len(names) == 0, known && was.more != (len(names) > 0):
		c.violate(f, "S4", "more is not said as it is")
	}
	if len(c.server.pages) < maxGroups {
		c.server.pages[list] = is
	}
}

func namesOf[E any](entries []E, name func(E) string) (all []string) {
	for _, e := range entries {
		all = append(all, name(e))
	}
	return all
}

// groups holds rule G5.
func (c *Conn) groups(f *Frame, m *wire.GroupsReply) {
	for _, e := range m.Entries {
		outside := e.Role == wire.RoleNone || e.Role == wire.RoleRequested
		user := c.server.user
		switch {
		case outside && (e.Members != 0 || e.Epoch != 0):
			c.violate(f, "G5", "%d members and the epoch %d of the group %q, which the asker is not in", e.Members, e.Epoch, e.Group)
		case e.Role == wire.RoleNone && user != nil && !user.Admin && !c.blind:
			c.violate(f, "G5", "the group %q, which the asker has nothing to do with", e.Group)
		case !outside:
			c.epochTold(f, e.Group, e.Epoch)
		}
	}
}

// found takes LOOKUP's reply (rules S3 and S5).
func (c *Conn) found(f *Frame, m *wire.LookupReply) {
	if asked, ok := requestOf(f).(*wire.Lookup); ok && (asked.Name != "" && asked.Name != m.Name || asked.Name == "" && asked.File != m.Content.ID) {
		c.violate(f, "S3", "the answer is about %q, %v", m.Name, m.Content.ID)
	}
	whole, partial := uint32(0), uint32(0)
	pieces := uint32(m.Content.Pieces())
	for i, s := range m.Sources {
		all, wrong := candidatesOf(s.Candidates, s.Device, about(c.now(f.At)))
		switch {
		case s.Pieces < 1 || s.Pieces > pieces:
			c.violate(f, "S5", "source %d with %d of %d pieces", i, s.Pieces, pieces)
		case s.Session == c.Session && !c.blind:
			c.violate(f, "S5", "source %d is the session that asks", i)
		case wrong != nil && wrong.rule == "S6":
			c.violate(f, "S5", "the candidates of source %d: %s", i, wrong.text)
		case wrong != nil:
			c.violate(f, wrong.rule, "the candidates of source %d: %s", i, wrong.text)
		}
		if s.Pieces == pieces {
			whole++
		} else {
			partial++
		}
		c.trace.lore.keepAddresses(all)
	}
	if whole > m.Whole || partial > m.Partial {
		c.violate(f, "S5", "%d whole and %d partial sources, where %d and %d are counted", whole, partial, m.Whole, m.Partial)
	}
}

// reported holds rules R3 and R6.
func (c *Conn) reported(f *Frame, m *wire.ReportsReply) {
	now := c.now(f.At).Add(slack)
	seen := map[shoal.DeviceID]bool{}
	for i, e := range m.Entries {
		since, latest := time.UnixMilli(e.Since), time.UnixMilli(e.Latest)
		switch {
		case e.Users == 0, seen[e.Device]:
			c.violate(f, "R6", "%v, reported by %d users, or twice in the list", e.Device, e.Users)
		case since.After(latest), latest.After(now), now.Sub(latest) > 24*time.Hour+2*slack:
			c.violate(f, "R3", "%v, reported from %v to %v", e.Device, since.UTC(), latest.UTC())
		}
		seen[e.Device] = true
		if i > 0 && slices.Compare([]int64{-int64(e.Users), -e.Latest}, []int64{-int64(m.Entries[i-1].Users), -m.Entries[i-1].Latest}) < 0 {
			c.violate(f, "R6", "%v comes too late in the list", e.Device)
		}
	}
}

// burst is a rate that is held to: so many at once, and then one each so often (rule R4).
type burst struct {
	used float64
	at   time.Time
}

const (
	reportBurst = 10
	reportEvery = 6 * time.Second
)

// report4 takes a REPORT that was served.
func (c *Conn) report4(f *Frame, m *wire.Report) {
	if m.Device == c.Device {
		c.violate(f, "R2", "a report of the asker's own device was taken")
	}
	b := &c.server.reports
	b.used = max(0, b.used-float64(f.At.Sub(b.at))/float64(reportEvery)) + 1
	if b.at = f.At; b.used > reportBurst+1 {
		c.violate(f, "R4", "more than %d reports in a row were taken", reportBurst)
	}
}
