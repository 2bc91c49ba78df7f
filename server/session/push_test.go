package session

import (
	"maps"
	"testing"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/server/meta"
	"shoal/server/passwords"
	"shoal/wire"
)

// event reads the next frame, which must be an event of that kind.
func (c *client) event(kind wire.Kind, m wire.Message) {
	c.t.Helper()
	var f wire.Frame
	if len(c.Pending) > 0 {
		f, c.Pending = c.Pending[0], c.Pending[1:]
	} else {
		must(c.t, c.nc.SetReadDeadline(time.Now().Add(10*time.Second)))
		var err error
		f, err = c.conn.ReadFrame()
		must(c.t, err)
	}
	if f.Kind != kind || f.ID != 0 {
		c.t.Fatalf("got %v instead of %v", f.Header, kind)
	}
	must(c.t, wire.Decode(f.Body, m))
}

func (c *client) wantEpoch(g shoal.Group, epoch uint64, reason wire.EpochReason) {
	c.t.Helper()
	var e wire.Epoch
	c.event(wire.KindEpoch, &e)
	if e != (wire.Epoch{Group: g, Epoch: epoch, Reason: reason}) {
		c.t.Errorf("got %+v, want epoch %d of %q for %v", e, epoch, g, reason)
	}
}

func (c *client) wantGone(g shoal.Group, file shoal.FileID, reason wire.GoneReason) {
	c.t.Helper()
	var e wire.Gone
	c.event(wire.KindGone, &e)
	if e != (wire.Gone{Group: g, File: file, Reason: reason}) {
		c.t.Errorf("got %+v, want %v of %q for %v", e, file, g, reason)
	}
}

// quiet fails the test if an event waits.
func (c *client) quiet() {
	c.t.Helper()
	must(c.t, c.Call(wire.KindPing, &wire.Empty{}, &wire.Empty{}))
	for _, f := range c.Pending {
		c.t.Errorf("%v waits", f.Header)
	}
	c.Pending = nil
}

// wantRaised expects the epochs of two groups, in either order.
func (c *client) wantRaised(reason wire.EpochReason, epochs map[shoal.Group]uint64) {
	c.t.Helper()
	got := map[shoal.Group]uint64{}
	for range epochs {
		var e wire.Epoch
		if c.event(wire.KindEpoch, &e); e.Reason != reason {
			c.t.Errorf("got %+v, want %v", e, reason)
		}
		got[e.Group] = e.Epoch
	}
	if !maps.Equal(got, epochs) {
		c.t.Errorf("got %v, want %v", got, epochs)
	}
}

// offerIn announces a file in a group, and reads the events that come first.
func (c *client) offerIn(g shoal.Group, i byte) []wire.Header {
	c.t.Helper()
	o := offerOf(i, 4)
	o.Swarm.Group = g
	events, err := c.askPast(wire.KindAnnounce, &wire.Announce{Candidates: c.candidates(time.Hour), Offers: []wire.Offer{o}}, &wire.Empty{})
	must(c.t, err)
	return events
}

// What ends is told to those whom it concerns, and their offers end (rules E1 to E3, A7, G8).
func TestPushes(t *testing.T) {
	r := newRealm(t)
	lab := r.cell("user", false)
	owner, member, stranger := connect(t, r.host, lab.owner), connect(t, r.host, lab.member), connect(t, r.host, lab.asker)
	nobodys := connect(t, r.host, identity.NewKey())
	sources := func(of byte) int {
		t.Helper()
		var found wire.LookupReply
		must(t, owner.Call(wire.KindLookup, &wire.Lookup{Group: lab.group, File: objectOf(of).ID}, &found))
		return len(found.Sources)
	}
	for i := range 2 {
		if events := member.offerIn(lab.group, 1); i == 0 && (len(events) != 1 || events[0].Kind != wire.KindEpoch) || i == 1 && len(events) > 0 {
			t.Errorf("announcement %d was answered after %v", i, events)
		}
	}
	if n := sources(1); n != 1 {
		t.Errorf("%d sources", n)
	}

	// The member stops sharing what it shared.
	r.do(lab.member, &meta.Publish{Group: lab.group, Name: "x", Content: objectOf(1)})
	r.do(lab.member, &meta.StopShare{Group: lab.group, Name: "x", File: objectOf(1).ID})
	member.wantGone(lab.group, objectOf(1).ID, wire.GoneStopped)
	owner.quiet()
	if n := sources(1); n != 0 {
		t.Errorf("%d sources after the sharing ended", n)
	}
	// A file whose last name goes.
	r.do(lab.member, &meta.Publish{Group: lab.group, Name: "y", Content: objectOf(2)})
	member.offerIn(lab.group, 2)
	r.do(lab.owner, &meta.Unpublish{Group: lab.group, Name: "y", File: objectOf(2).ID})
	owner.wantGone(lab.group, objectOf(2).ID, wire.GoneDeleted)
	member.wantGone(lab.group, objectOf(2).ID, wire.GoneDeleted)
	if events := member.offerIn(lab.group, 2); len(events) != 1 || events[0].Kind != wire.KindGone {
		t.Errorf("an offer of what is gone was answered after %v", events)
	}
	// A device that is revoked.
	another := identity.NewKey()
	r.do(another, &meta.EnrolDevice{User: meta.Username(lab.called("member")), Password: r.password})
	second := connect(t, r.host, another)
	second.offerIn(lab.group, 1)
	if n := sources(1); n != 1 {
		t.Errorf("%d sources", n)
	}
	r.do(lab.member, &meta.RevokeDevice{Device: another.Device()})
	for _, c := range []*client{owner, member, second} {
		c.wantRaised(wire.EpochDevice, map[shoal.Group]uint64{lab.group: 2, shoal.Public: 2})
	}
	stranger.wantEpoch(shoal.Public, 2, wire.EpochDevice)
	nobodys.quiet()
	if n := sources(1); n != 0 {
		t.Errorf("%d sources after the device was revoked", n)
	}
	want(t, second.Call(wire.KindList, &wire.List{Group: lab.group, Limit: 1}, &wire.ListReply{}), shoal.Denied, "not logged in")
	// A member who is removed, the owner who changes, the group that is deleted.
	member.offerIn(lab.group, 1)
	r.do(lab.owner, &meta.RemoveMember{Group: lab.group, User: meta.Username(lab.called("member"))})
	owner.wantEpoch(lab.group, 3, wire.EpochMember)
	member.wantEpoch(lab.group, 3, wire.EpochMember)
	if n := sources(1); n != 0 {
		t.Errorf("%d sources after the member was removed", n)
	}
	r.do(lab.owner, &meta.AcceptRequest{Group: lab.group, User: meta.Username(lab.called("asking"))})
	r.do(lab.owner, &meta.TransferGroup{Group: lab.group, To: meta.Username(lab.called("asking"))})
	owner.wantEpoch(lab.group, 4, wire.EpochOwner)
	r.do(lab.asking, &meta.DeleteGroup{Group: lab.group})
	owner.wantEpoch(lab.group, 5, wire.EpochDeleted)
	for _, c := range []*client{owner, member, second, stranger, nobodys} {
		c.quiet()
		c.close()
	}
	if len(r.host.Hub.byDevice) != 0 {
		t.Errorf("sessions are left: %v", r.host.Hub.byDevice)
	}
}

// In the group of all users everybody who is one is told what ends, and nobody else; tickets are given, offers held (rules
// E1 to E3 and G10).
func TestPushesInPublic(t *testing.T) {
	r := newRealm(t)
	ann, bob := r.user("ann"), r.user("bob")
	one, other, nobodys := connect(t, r.host, ann), connect(t, r.host, bob), connect(t, r.host, identity.NewKey())
	var ticket wire.TicketReply
	must(t, one.Call(wire.KindTicket, &wire.TicketRequest{Group: shoal.Public}, &ticket))
	if ticket.Epoch != 1 {
		t.Errorf("the ticket is %+v", ticket)
	}
	want(t, nobodys.Call(wire.KindTicket, &wire.TicketRequest{Group: shoal.Public}, &ticket), shoal.Denied, "not logged in")
	r.do(ann, &meta.Publish{Group: shoal.Public, Name: "x", Content: objectOf(1)})
	for i := range 2 {
		if events := one.offerIn(shoal.Public, 1); i == 0 && (len(events) != 1 || events[0].Kind != wire.KindEpoch) || i == 1 && len(events) > 0 {
			t.Errorf("announcement %d was answered after %v", i, events)
		}
	}
	sources := func() int {
		t.Helper()
		found, err := other.lookup("x", shoal.FileID{})
		must(t, err)
		return len(found.Sources)
	}
	if n := sources(); n != 1 {
		t.Errorf("%d sources", n)
	}
	r.do(bob, &meta.Publish{Group: shoal.Public, Name: "x", Content: objectOf(1)})
	r.do(ann, &meta.StopShare{Group: shoal.Public, Name: "x"})
	one.wantGone(shoal.Public, objectOf(1).ID, wire.GoneStopped)
	other.quiet()
	if n := sources(); n != 0 {
		t.Errorf("%d sources after the sharing ended", n)
	}
	one.offerIn(shoal.Public, 1)
	r.do(ann, &meta.DeleteUser{User: "ann"})
	one.wantEpoch(shoal.Public, 2, wire.EpochMember)
	other.wantEpoch(shoal.Public, 2, wire.EpochMember)
	if n := sources(); n != 0 {
		t.Errorf("%d sources after the user was deleted", n)
	}
	r.do(bob, &meta.StopShare{Group: shoal.Public, Name: "x"}) // the last one
	for _, c := range []*client{one, nobodys} {
		c.quiet()
	}
	other.wantGone(shoal.Public, objectOf(1).ID, wire.GoneDeleted)
	other.quiet()
	want(t, one.Call(wire.KindList, &wire.List{Group: shoal.Public, Limit: 1}, &wire.ListReply{}), shoal.Denied, "not logged in")
	one.close()
	other.close()
	nobodys.close()
}

// A client that does not read what it is told loses its connection, and nobody waits for it.
func TestDeafToPushes(t *testing.T) {
	r := newRealm(t)
	lab := r.cell("user", false)
	c := connect(t, r.host, lab.owner)
	began := time.Now()
	event := wire.AppendEvent(nil, wire.KindGone, &wire.Gone{Group: lab.group, File: objectOf(1).ID, Reason: wire.GoneDeleted})
	for range 1 << 20 / len(event) * 16 {
		for _, s := range r.host.Hub.of([]shoal.DeviceID{lab.owner.Device()}) {
			s.push(event)
		}
	}
	if err := <-c.ended; err == nil {
		t.Error("it ended without a reason")
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// A ticket is of who asks, in the group's epoch, and there is none where the state may be old (rules K1 and K2).
func TestTicket(t *testing.T) {
	r := newRealm(t)
	key, root := identity.NewKey(), identity.NewKey()
	r.host.Tickets.Sign = func(ticket identity.Ticket) ([]byte, error) {
		return identity.SignTicket(key, identity.CertifyTicketKey(root, key.Public(), time.Now(), time.Hour), ticket)
	}
	lab := r.cell("member", false)
	c := connect(t, r.host, lab.asker)
	var reply wire.TicketReply
	must(t, c.Call(wire.KindTicket, &wire.TicketRequest{Group: lab.group}, &reply))
	demand := identity.Demand{
		Device: lab.asker.Device(), Group: lab.group, Rights: identity.MayFetch | identity.MayOffer, Epoch: 1, Now: time.UnixMilli(reply.Now), Reachable: true,
	}
	realm := identity.NewAuthority(root.Public())
	got, err := realm.VerifyTicket(reply.Ticket, demand)
	must(t, err)
	if got.User != lab.name || got.Epoch != reply.Epoch || got.Expires.Sub(got.Issued) != identity.TicketLasts {
		t.Errorf("the ticket is %+v, of epoch %d", got, reply.Epoch)
	}
	confirmed := time.Now().Add(-4 * time.Second)
	r.host.Tickets.Confirmed = func() time.Time { return confirmed }
	must(t, c.Call(wire.KindTicket, &wire.TicketRequest{Group: lab.group}, &reply))
	confirmed = time.Now().Add(-6 * time.Second)
	want(t, c.Call(wire.KindTicket, &wire.TicketRequest{Group: lab.group}, &reply), shoal.Busy, "try again")
}

// REGISTER and LOGIN that are sent again are answered as they were, and a code is good once (rules S1 and A5).
func TestRegisterAgain(t *testing.T) {
	r := newRealm(t)
	lab := r.cell("user", false)
	code := lab.code()
	c := connect(t, r.host, identity.NewKey())
	ask := func(c *client, user string) (reply wire.RegisterReply, err error) {
		err = c.Call(wire.KindRegister, &wire.Register{Sequence: 1, User: user, Password: []byte(goodPassword), Code: code, Label: "laptop"}, &reply)
		return reply, err
	}
	first, err := ask(c, "new")
	must(t, err)
	if first.Group != lab.group || first.Revision == 0 {
		t.Errorf("registered: %+v", first)
	}
	if again, err := ask(c, "new"); err != nil || again != first {
		t.Errorf("asked again: %+v, %v", again, err)
	}
	other := connect(t, r.host, identity.NewKey())
	_, err = ask(other, "newer")
	want(t, err, shoal.Denied, "invite")
	err = c.Call(wire.KindRegister, &wire.Register{Sequence: 2, User: "newest", Password: []byte(goodPassword)}, &wire.RegisterReply{})
	want(t, err, shoal.Exists, `"new"`)
	login := func(c *client, sequence uint64, password string) (reply wire.MutationReply, err error) {
		err = c.Call(wire.KindLogin, &wire.Login{Sequence: sequence, User: "new", Password: []byte(password), Label: "desk"}, &reply)
		return reply, err
	}
	_, err = login(other, 2, "wrong password")
	want(t, err, shoal.Denied, "wrong")
	entered, err := login(other, 2, goodPassword)
	must(t, err)
	if again, err := login(other, 2, goodPassword); err != nil || again != entered {
		t.Errorf("asked again: %+v, %v", again, err)
	}
	var who wire.WhoamiReply
	must(t, other.Call(wire.KindWhoami, &wire.Whoami{}, &who))
	if who.User != "new" || who.Label != "desk" || who.Admin {
		t.Errorf("the device is %+v", who)
	}
}

// Who may register without an invite is said by the mode, and the first user is made by the code alone (rule A5).
func TestRegistration(t *testing.T) {
	s := newState(t)
	h := s.serve(newHost(identity.Transport{Security: wire.TLS}))
	h.Passwords = passwords.New()
	code := identity.NewCode()
	_, err := s.apply(t.Context(), meta.ID{Sequence: 1, Holder: true}, &meta.SetRealm{Root: shoal.RealmKey{1}, FirstCode: code.Hash()})
	must(t, err)
	sequence := uint64(0)
	register := func(mode Registration, user string, code identity.Code) error {
		sequence++
		h.Registration = mode
		c := connect(t, h, identity.NewKey())
		defer c.close()
		return c.Call(wire.KindRegister, &wire.Register{Sequence: sequence, User: user, Password: []byte(goodPassword), Code: []byte(code)}, &wire.RegisterReply{})
	}
	want(t, register(Open, "eve", ""), shoal.Denied, "printed")
	want(t, register(Open, "eve", identity.NewCode()), shoal.Denied, "")
	want(t, register(Closed, "eve", "nonsense"), shoal.BadRequest, "code")
	must(t, register(Closed, "ann", code))
	want(t, register(Open, "eve", code), shoal.Denied, "")
	want(t, register(Closed, "bob", ""), shoal.Denied, "no new users")
	want(t, register(Closed, "bob", identity.NewCode()), shoal.Denied, "no new users")
	want(t, register(ByInvite, "bob", ""), shoal.Denied, "shoal invite")
	must(t, register(Open, "bob", ""))
	want(t, register(Open, "bob", ""), shoal.Exists, `"bob"`)
	for user, admin := range map[meta.Username]bool{"ann": true, "bob": false} {
		_, all, _ := s.registry.Users("", 10)
		for _, u := range all {
			if u.Name == user && u.Admin != admin {
				t.Errorf("%q is an admin: %v", user, u.Admin)
			}
		}
	}
}
