package check

import (
	"crypto/ed25519"
	"testing"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/wire"
)

// A conversation in which nothing is wrong, with every kind that may be said in plaintext.
func everything() *book {
	b := newBook()
	serveEverything(b)
	fetchEverything(b)
	return b
}

// mutate sends a mutation and its reply.
func (e *end) mutate(k wire.Kind, m wire.Message, revision uint64) {
	e.call(k, m, &wire.MutationReply{Revision: revision})
}

func serveEverything(b *book) {
	e := b.session(b.realm.bob)
	e.event(Responder, wire.KindRevoked, &wire.Revocation{Chain: b.realm.revoke(newKey(99), began)})
	e.call(wire.KindWhoami, &wire.Whoami{}, &wire.WhoamiReply{Revision: 1, User: "bob", Label: "laptop", Enrolled: began.UnixMilli() - 1000})
	e.mutate(wire.KindGroup, &wire.GroupChange{Sequence: 1, Verb: wire.CreateGroup, Group: "lab", Grace: 3600}, 2)
	e.call(wire.KindTicket, &wire.TicketRequest{Group: "lab"}, &wire.TicketReply{Revision: 2, Ticket: b.realm.pass(b.realm.bob, b.now).ticket(), Epoch: 7, Now: b.now.UnixMilli()})
	e.mutate(wire.KindPublish, &wire.Publish{Sequence: 2, Group: "lab", Name: "tiny", Content: tiny.Object, Head: tiny.bytes[:shoal.MaxHead]}, 3)
	kept := (&wire.ManifestReply{Manifest: *large.manifest}).Append(nil)
	e.mutate(wire.KindPublish, &wire.Publish{Sequence: 3, Group: "lab", Name: "large", Content: large.Object, Mirrors: []shoal.Mirror{"https://example.org/large"}, Manifest: kept}, 4)
	id := e.ask(wire.KindAnnounce, &wire.Announce{Candidates: b.realm.bob.here(b.now), Offers: []wire.Offer{
		{Swarm: large.swarm(), Pieces: 2}, {Swarm: small.swarm(), Pieces: 1},
	}})
	e.event(Responder, wire.KindGone, &wire.Gone{Group: "lab", File: small.ID, Reason: wire.GoneDeleted})
	e.event(Responder, wire.KindEpoch, &wire.Epoch{Group: "lab", Epoch: 7})
	e.answer(wire.KindAnnounce, id, &wire.Empty{})
	b.wait(8 * time.Second)
	other := b.session(b.realm.alice)
	other.event(Responder, wire.KindRevoked, &wire.Revocation{Chain: b.realm.revoke(newKey(99), began)})
	other.ping()
	lists(e)
	removals(e)
	b.wait(8 * time.Second)
	later := b.realm.pass(b.realm.alice, b.now)
	later.epoch = 8
	other.call(wire.KindTicket, &wire.TicketRequest{Group: "lab"}, &wire.TicketReply{Revision: 9, Ticket: later.ticket(), Epoch: 8, Now: b.now.UnixMilli()})
	e.event(Initiator, wire.KindCancel, &wire.Cancel{ID: 77})
	e.ping()
	b.wait(2 * time.Minute)
	e.ping()
	e.event(Initiator, wire.KindBye, &wire.Bye{Code: shoal.Canceled, Text: "done"})
	e.close()
}

// lists asks for all that there is to be read.
func lists(e *end) {
	has := shoal.Availability{Whole: 1, Least: 1}
	known := &shoal.Facts{State: shoal.Known, MediaType: "text/plain"}
	e.call(wire.KindList, &wire.List{Group: "lab", Limit: 1}, &wire.ListReply{Revision: 4, More: true, Entries: []wire.Entry{
		{Name: "large", Content: large.Object, Availability: has, Facts: known},
	}})
	e.call(wire.KindList, &wire.List{Group: "lab", After: "large", Limit: 1000}, &wire.ListReply{Revision: 4, Entries: []wire.Entry{
		{Name: "tiny", Content: tiny.Object, Facts: &shoal.Facts{State: shoal.Pending}},
	}})
	carol := e.realm.carol
	e.call(wire.KindLookup, &wire.Lookup{Group: "lab", Name: "large"}, &wire.LookupReply{
		Revision: 4, Name: "large", Content: large.Object, Availability: shoal.Availability{Partial: 2, Above: 1},
		Missing: []shoal.Span{{First: 1, Count: 1}}, Facts: known, Mirrors: []shoal.Mirror{"https://example.org/large"},
		Sources: []wire.Source{{Session: 5, Device: carol.device(), Pieces: 1, Candidates: carol.here(e.now)}},
	})
	e.call(wire.KindLookup, &wire.Lookup{Group: "lab", File: tiny.ID}, &wire.LookupReply{Revision: 4, Name: "tiny", Content: tiny.Object, Facts: &shoal.Facts{}, Missing: []shoal.Span{{Count: 1}}})
	e.refused(wire.KindLookup, &wire.Lookup{Group: "lab", Name: "nothing"}, shoal.NotFound)
	e.call(wire.KindKeptManifest, &wire.KeptManifest{Group: "lab", File: large.ID}, &wire.KeptManifestReply{Revision: 4, Manifest: (&wire.ManifestReply{Manifest: *large.manifest}).Append(nil)})
	e.call(wire.KindLog, &wire.Log{Level: 3, Last: 2}, &wire.LogReply{Lines: []byte("{\"a\":1}\n{\"b\":2}\n"), Next: "x"})
	e.call(wire.KindUsers, &wire.Users{Limit: 10}, &wire.UsersReply{Revision: 4, Entries: []wire.UserEntry{{User: "alice", Created: 1, Devices: 1}, {User: "bob", Created: 2, Devices: 1}}})
	e.call(wire.KindDevices, &wire.Devices{}, &wire.DevicesReply{Revision: 4, Entries: []wire.DeviceEntry{{Device: e.initiator.device(), Label: "laptop", Enrolled: 1}}})
	e.call(wire.KindGroups, &wire.Groups{Limit: 10}, &wire.GroupsReply{Revision: 4, Entries: []wire.GroupEntry{
		{Group: "club", Owner: "carol", Role: wire.RoleRequested, Grace: 1}, {Group: "lab", Owner: "bob", Role: wire.RoleOwner, Members: 2, Epoch: 7, Grace: 3600},
	}})
	e.call(wire.KindMembers, &wire.Members{Group: "lab", Which: wire.MembersIn, Limit: 10}, &wire.MembersReply{Revision: 4, Entries: []wire.MemberEntry{{User: "alice", Since: 1}, {User: "bob", Since: 1}}})
	e.call(wire.KindReport, &wire.Report{Group: "lab", File: large.ID, Device: carol.device()}, &wire.Empty{})
	e.call(wire.KindReports, &wire.Reports{Group: "lab"}, &wire.ReportsReply{Revision: 4, Entries: []wire.Reported{
		{Device: carol.device(), User: "carol", Users: 2, Since: e.now.UnixMilli() - 5000, Latest: e.now.UnixMilli() - 4000},
		{Device: e.realm.alice.device(), User: "alice", Users: 1, Since: e.now.UnixMilli() - 3000, Latest: e.now.UnixMilli() - 3000},
	}})
}

// removals takes away what there was.
func removals(e *end) {
	stopped := e.ask(wire.KindStopShare, &wire.StopShare{Sequence: 4, Group: "lab", Name: "large", File: large.ID})
	e.wait(time.Millisecond)
	e.event(Responder, wire.KindGone, &wire.Gone{Group: "lab", File: large.ID, Reason: wire.GoneStopped})
	e.answer(wire.KindStopShare, stopped, &wire.MutationReply{Revision: 5})
	e.mutate(wire.KindUnpublish, &wire.Unpublish{Sequence: 5, Group: "lab", Name: "tiny", File: tiny.ID}, 6)
	e.mutate(wire.KindUnpublish, &wire.Unpublish{Sequence: 5, Group: "lab", Name: "tiny", File: tiny.ID}, 6)
	e.mutate(wire.KindGroup, &wire.GroupChange{Sequence: 6, Verb: wire.RemoveUser, Group: "lab", User: "alice"}, 7)
	e.event(Responder, wire.KindEpoch, &wire.Epoch{Group: "lab", Epoch: 8, Reason: wire.EpochMember})
	e.mutate(wire.KindAccount, &wire.Account{Sequence: 7, Verb: wire.RevokeDevice, Device: shoal.DeviceID{1}}, 8)
	e.mutate(wire.KindLogout, &wire.Logout{Sequence: 8}, 9)
	e.refused(wire.KindWhoami, &wire.Whoami{}, shoal.Denied)
}

func fetchEverything(b *book) {
	e := b.peer(b.realm.alice, b.realm.carol)
	e.join(large, 1, 0)
	e.call(wire.KindManifest, &wire.ManifestRequest{Handle: 1}, &wire.ManifestReply{Manifest: *large.manifest})
	e.call(wire.KindHashes, &wire.HashesRequest{Handle: 1}, &wire.HashesReply{Values: large.values(0)})
	e.fetch(large, 1, 0, 0, 192<<10)
	e.fetch(large, 1, 0, 192<<10, 64<<10)
	e.event(Responder, wire.KindHave, &wire.Have{Handle: 1, Pieces: []uint32{1}})
	e.event(Initiator, wire.KindHave, &wire.Have{Handle: 1, Pieces: []uint32{0}})
	late, _ := e.request(1, 1, 0, 10_000)
	e.event(Responder, wire.KindChoke, &wire.Choke{Handle: 1})
	e.fail(wire.KindRequest, late, shoal.Busy, "others are served")
	e.event(Responder, wire.KindUnchoke, &wire.Unchoke{Handle: 1})
	b.wait(8 * time.Second)
	canceled, _ := e.request(1, 1, 0, 20_000)
	e.event(Initiator, wire.KindCancel, &wire.Cancel{ID: canceled})
	e.fail(wire.KindRequest, canceled, shoal.Canceled, "canceled")
	b.wait(8 * time.Second)
	e.fetch(large, 1, 1, 0, 20_000)
	b.wait(8 * time.Second)
	e.join(tiny, 2)
	e.fetch(tiny, 2, 0, 0, len(tiny.bytes))
	e.call(wire.KindExchange, &wire.Exchange{Handle: 1, Most: 5, Record: b.realm.record(b.realm.alice, b.now)}, &wire.ExchangeReply{Records: [][]byte{b.realm.record(b.realm.bob, b.now)}})
	e.call(wire.KindRenew, &wire.Renew{Handle: 1, Ticket: b.realm.pass(b.realm.alice, b.now).ticket()}, &wire.Empty{})
	e.call(wire.KindLeave, &wire.Leave{Handle: 2}, &wire.Empty{})
	e.refused(wire.KindManifest, &wire.ManifestRequest{Handle: 2}, shoal.NotFound)
	b.wait(8 * time.Second)
	changed, _ := e.request(1, 0, 0, 1)
	e.fail(wire.KindRequest, changed, shoal.Changed, "the file changed")
	e.event(Responder, wire.KindWithdraw, &wire.Withdraw{Handle: 1, Code: shoal.Changed, Text: "the file changed"})
	e.refused(wire.KindLeave, &wire.Leave{Handle: 1}, shoal.NotFound)
	b.wait(11 * time.Minute)
	e.ping()
	e.event(Responder, wire.KindBye, &wire.Bye{Code: shoal.Unreachable, Text: "going down"})
	e.close()
}

// revoke is the realm's word that a key does not count.
func (r *realm) revoke(k ed25519.PrivateKey, at time.Time) []byte {
	return keyStatement(identity.SaysRevoked, r.root, k, at)
}

// Nothing is wrong with what is right, however the bytes come, and every kind is among it.
func TestValid(t *testing.T) {
	kinds := map[wire.Kind]bool{}
	all := everything().steps
	violations := checkSteps(all, func(f *Frame) { kinds[f.Kind] = true })
	for _, v := range violations {
		t.Error(v)
	}
	for _, k := range []wire.Kind{wire.KindRegister, wire.KindLogin, wire.KindPassword, wire.KindInvite} {
		kinds[k] = true // of which no word may be said in plaintext (rule A2)
	}
	for k := range wire.Kind(128) {
		if known := k.String()[0] != 'k'; known && !kinds[k] {
			t.Errorf("%v is not in it", k)
		}
	}
	var cut []step
	for _, s := range all {
		for len(s.frame) > 1000 {
			first := s
			first.frame, s.frame = s.frame[:1000], s.frame[1000:]
			cut = append(cut, first)
		}
		cut = append(cut, s)
	}
	for _, v := range checkSteps(cut, nil) {
		t.Errorf("in segments: %v", v)
	}
}
