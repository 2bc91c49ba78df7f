package session

import (
	"testing"
	"testing/synctest"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/server/meta"
	"shoal/wire"
)

// reporters is a group of people who report each other's devices.
type reporters struct {
	*testing.T
	host *Host
	now  map[meta.Username]*client
}

// newReporters makes the group lab, which the first of the people owns. Each offers object 1 there.
func newReporters(t *testing.T, names ...meta.Username) *reporters {
	r := &reporters{T: t, host: newHost(overPlaintext), now: map[meta.Username]*client{}}
	r.host.Registry.Changed = r.host.Changed
	events := []meta.Event{
		{Record: &meta.Group{Name: "lab", Owner: names[0], First: 1, Epoch: 1}},
		{Record: &meta.Object{Group: "lab", Name: "x", Content: objectOf(1), Publisher: names[0], Shared: true}},
	}
	keys := make([]*identity.Key, len(names))
	for i, name := range names {
		keys[i] = identity.NewKey()
		events = append(events, meta.Event{Record: &meta.User{Name: name, Devices: []shoal.DeviceID{keys[i].Device()}}},
			meta.Event{Record: &meta.Device{ID: keys[i].Device(), User: name}}, meta.Event{Record: &meta.Member{Group: "lab", User: name}})
	}
	r.host.Registry.Apply(events, 1)
	for i, name := range names {
		r.serves(name, keys[i])
	}
	return r
}

// serves connects a user's device, which offers object 1.
func (r *reporters) serves(name meta.Username, key *identity.Key) {
	r.Helper()
	c := connect(r, r.host, key)
	r.now[name] = c
	offer := offerOf(1, 4)
	offer.Swarm.Group = "lab"
	must(r, c.announce(c.candidates(time.Hour), offer))
}

// later is after half a day, in which all connections have ended and begun again.
func (r *reporters) later() {
	r.Helper()
	time.Sleep(12 * time.Hour)
	for name, c := range r.now {
		r.serves(name, c.key)
	}
}

// report has one user report a device of another.
func (r *reporters) report(by, of meta.Username) error {
	r.Helper()
	return r.now[by].Call(wire.KindReport, &wire.Report{Group: "lab", File: objectOf(1).ID, Device: r.now[of].key.Device()}, &wire.Empty{})
}

// reported is what the owner is told, by user.
func (r *reporters) reported(owner meta.Username) map[string]wire.Reported {
	r.Helper()
	var reply wire.ReportsReply
	must(r, r.now[owner].Call(wire.KindReports, &wire.Reports{Group: "lab"}, &reply))
	all := map[string]wire.Reported{}
	for _, e := range reply.Entries {
		all[e.User] = e
	}
	return all
}

// lastOf is how often, of some answers to LOOKUP, each user's device comes last. All must be in every answer.
func (r *reporters) lastOf(asking meta.Username, answers int) map[meta.Username]int {
	r.Helper()
	last := map[meta.Username]int{}
	for range answers {
		var found wire.LookupReply
		must(r, r.now[asking].Call(wire.KindLookup, &wire.Lookup{Group: "lab", Name: "x"}, &found))
		if len(found.Sources) != len(r.now)-1 {
			r.Fatalf("%d sources", len(found.Sources))
		}
		for name, c := range r.now {
			if found.Sources[len(found.Sources)-1].Device == c.key.Device() {
				last[name]++
			}
		}
	}
	return last
}

// Three users who report an honest device put it behind others, and cannot keep it from being found. Each counts once, and
// for a day (rules R3, R5 and R6).
func TestReportsLowerAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReporters(t, "ann", "bob", "eve", "mal", "joe")
		const answers = 400
		begin := time.Now().UnixMilli()
		for range 3 {
			must(t, r.report("eve", "bob"))
		}
		r.later()
		must(t, r.report("mal", "bob"))
		must(t, r.report("joe", "bob"))
		now := time.Now().UnixMilli()
		bob := wire.Reported{Device: r.now["bob"].key.Device(), User: "bob", Users: 3, Since: begin, Latest: now}
		if got := r.reported("ann"); len(got) != 1 || got["bob"] != bob {
			t.Errorf("reported are %+v, not %+v", got, bob)
		}
		// By chance it would be last in a quarter of them; now in seven of eight, and in a quarter of the rest.
		if n := r.lastOf("ann", answers)["bob"]; n < answers*3/4 || n == answers {
			t.Errorf("reported by three, it comes last %d times of %d", n, answers)
		}
		r.later()
		bob.Users, bob.Since = 2, now
		if got := r.reported("ann"); len(got) != 1 || got["bob"] != bob {
			t.Errorf("after a day reported are %+v, not %+v", got, bob)
		}
		r.later()
		if got := r.reported("ann"); len(got) != 0 {
			t.Errorf("after another day reported are %+v", got)
		}
		must(t, r.report("mal", "eve")) // so that the group still has one
		if n := r.lastOf("ann", answers)["bob"]; n > answers/4 {
			t.Errorf("reported by nobody any more, it comes last %d times of %d", n, answers)
		}
	})
}

// Nobody changes anything by what they say of themselves, or takes away what others said (rules R2 and R3).
func TestNobodyReportsThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReporters(t, "ann", "bob", "eve")
		want(t, r.report("bob", "bob"), shoal.BadRequest, "rule R2")
		other := identity.NewKey() // another device of bob's, where he says so of the first
		r.host.Registry.Apply([]meta.Event{{Record: &meta.Device{ID: other.Device(), User: "bob"}}}, 2)
		c := connect(t, r.host, other)
		want(t, c.Call(wire.KindReport, &wire.Report{Group: "lab", File: objectOf(1).ID, Device: r.now["bob"].key.Device()}, &wire.Empty{}),
			shoal.BadRequest, "rule R2")
		if got := r.reported("ann"); len(got) != 0 {
			t.Errorf("reported are %+v", got)
		}
		must(t, r.report("eve", "bob"))
		r.now["bob"].close()
		r.serves("bob", r.now["bob"].key)
		if got := r.reported("ann"); got["bob"].Users != 1 {
			t.Errorf("after it has connected again, reported are %+v", got)
		}
	})
}

// Only who is there, or was, can be reported, and only where it serves (rule R2).
func TestReportedAreSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReporters(t, "ann", "bob", "eve")
		ask := func(m wire.Report) error { return r.now["eve"].Call(wire.KindReport, &m, &wire.Empty{}) }
		bob := r.now["bob"].key.Device()
		want(t, ask(wire.Report{Group: "lab", File: objectOf(1).ID, Device: identity.NewKey().Device()}), shoal.NotFound, "serves nothing")
		want(t, ask(wire.Report{Group: "lab", File: objectOf(2).ID, Device: bob}), shoal.NotFound, "")
		stranger := connect(t, r.host)
		want(t, ask(wire.Report{Group: "lab", File: objectOf(1).ID, Device: stranger.key.Device()}), shoal.NotFound, "serves nothing")
		r.now["bob"].close()
		must(t, ask(wire.Report{Group: "lab", File: objectOf(1).ID, Device: bob}))
	})
}

// What a user has reported in a group ends with being in it (rule R3).
func TestReportsOfWhoLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReporters(t, "ann", "bob", "eve", "mal")
		must(t, r.report("eve", "bob"))
		must(t, r.report("mal", "bob"))
		r.host.Registry.Apply([]meta.Event{
			{Record: &meta.Member{Group: "lab", User: "eve"}, Deleted: true},
			{Record: &meta.Group{Name: "lab", Owner: "ann", First: 1, Epoch: 2}},
		}, 2)
		if got := r.reported("ann"); got["bob"].Users != 1 {
			t.Errorf("reported are %+v", got)
		}
	})
}

// A connection may report ten devices in a row, and then one in each six seconds (rule R4).
func TestReportsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReporters(t, "ann", "bob", "eve")
		for range reportBurst {
			must(t, r.report("eve", "bob"))
		}
		want(t, r.report("eve", "bob"), shoal.Limit, "rule R4")
		time.Sleep(reportPause)
		must(t, r.report("eve", "bob"))
		want(t, r.report("eve", "bob"), shoal.Limit, "rule R4")
		must(t, r.report("ann", "bob"))
		if got := r.reported("ann"); got["bob"].Users != 2 {
			t.Errorf("reported are %+v", got)
		}
	})
}
