package check

import (
	"time"

	"shoal"
	"shoal/wire"
)

// found is LOOKUP's reply for the large object, which these sources have the first piece of.
func found(sources ...wire.Source) *wire.LookupReply {
	return &wire.LookupReply{
		Name: "large", Content: large.Object, Availability: shoal.Availability{Whole: 1, Partial: 1, Least: 1, Above: 1},
		Facts: &shoal.Facts{}, Sources: sources,
	}
}

func carolIs(change func(*book, *wire.Source)) func(*book) {
	return func(b *book) {
		s := wire.Source{Session: 5, Device: b.realm.carol.device(), Pieces: 1, Candidates: b.realm.carol.here(b.now)}
		change(b, &s)
		b.lookUp(s)
	}
}

// asked is a session on which a request was answered so.
func asked(k wire.Kind, m, reply wire.Message) func(*book) {
	return func(b *book) { asBob(b).call(k, m, reply) }
}

// failed is one on which it was answered by an error.
func failed(k wire.Kind, m wire.Message, code shoal.Code, text string) func(*book) {
	return func(b *book) {
		e := asBob(b)
		e.fail(k, e.ask(k, m), code, text)
	}
}

func listed(limit uint32, after string, more bool, names ...shoal.Name) func(*end) {
	return func(e *end) {
		r := &wire.ListReply{Revision: 4, More: more}
		for _, n := range names {
			r.Entries = append(r.Entries, wire.Entry{Name: n, Content: tiny.Object, Facts: &shoal.Facts{}})
		}
		e.call(wire.KindList, &wire.List{Group: "lab", After: after, Limit: limit}, r)
	}
}

func lists2(all ...func(*end)) func(*book) {
	return func(b *book) {
		e := asBob(b)
		for _, l := range all {
			l(e)
		}
	}
}

func unpublish(sequence uint64, name shoal.Name) *wire.Unpublish {
	return &wire.Unpublish{Sequence: sequence, Group: "lab", Name: name, File: tiny.ID}
}

func publish(change func(*wire.Publish)) *wire.Publish {
	m := &wire.Publish{
		Sequence: 1, Group: "lab", Name: "large", Content: large.Object, Mirrors: []shoal.Mirror{"https://example.org/large"},
		Manifest: (&wire.ManifestReply{Manifest: *large.manifest}).Append(nil),
	}
	change(m)
	return m
}

func groupsOf(e ...wire.GroupEntry) func(*book) {
	return asked(wire.KindGroups, &wire.Groups{Limit: 10}, &wire.GroupsReply{Entries: e})
}

func reportsOf(e ...func(*book) wire.Reported) func(*book) {
	return func(b *book) {
		r := &wire.ReportsReply{}
		for _, of := range e {
			r.Entries = append(r.Entries, of(b))
		}
		asBob(b).call(wire.KindReports, &wire.Reports{Group: "lab"}, r)
	}
}

func reported(device byte, users uint32, ago time.Duration) func(*book) wire.Reported {
	return func(b *book) wire.Reported {
		at := b.now.Add(-ago).UnixMilli()
		return wire.Reported{Device: shoal.DeviceID{device}, User: "u", Users: users, Since: at, Latest: at}
	}
}

// twoServed are sessions of alice and bob.
func twoServed(b *book) (alice, bob *end) { return b.session(b.realm.alice), asBob(b) }

var toServers = []breach{
	{"S1", "a number that was used for another mutation", func(b *book) {
		e := asBob(b)
		e.mutate(wire.KindUnpublish, unpublish(5, "a"), 1)
		e.refused(wire.KindUnpublish, unpublish(5, "b"), shoal.BadRequest)
	}},
	{"S1", "a number lower than an earlier one", func(b *book) {
		e := asBob(b)
		e.mutate(wire.KindUnpublish, unpublish(5, "a"), 1)
		e.refused(wire.KindUnpublish, unpublish(4, "b"), shoal.StaleRequest)
	}},
	{"S1", "a lower one on another connection", func(b *book) {
		asBob(b).mutate(wire.KindUnpublish, unpublish(5, "a"), 1)
		b.wait(8 * time.Second)
		asBob(b).mutate(wire.KindUnpublish, unpublish(4, "b"), 2)
	}},
	{"S1", "another outcome", func(b *book) {
		e := asBob(b)
		e.mutate(wire.KindUnpublish, unpublish(5, "a"), 1)
		e.mutate(wire.KindUnpublish, unpublish(5, "a"), 2)
	}},
	{"S1", "an error after an outcome", func(b *book) {
		e := asBob(b)
		e.mutate(wire.KindUnpublish, unpublish(5, "a"), 1)
		e.refused(wire.KindUnpublish, unpublish(5, "a"), shoal.NotFound)
	}},
	{"S2", "no FileIDs", failed(wire.KindPublish, byKind[wire.KindPublish], shoal.NameTaken, "it is taken")},
	{"S2", "one FileID", failed(wire.KindPublish, byKind[wire.KindPublish], shoal.NameTaken, "not for "+tiny.ID.String())},
	{"S3", "another name", func(b *book) {
		asBob(b).call(wire.KindLookup, &wire.Lookup{Group: "lab", Name: "other"}, found())
	}},
	{"S3", "another file", asked(wire.KindLookup, &wire.Lookup{Group: "lab", File: tiny.ID}, found())},
	{"S4", "more than was asked for", lists2(listed(1, "", false, "a", "b"))},
	{"S4", "another order", lists2(listed(9, "", false, "b", "a"))},
	{"S4", "a name twice", lists2(listed(9, "", false, "a", "a"))},
	{"S4", "a name before the one that it is to go on after", lists2(listed(9, "b", false, "a"))},
	{"S4", "more of nothing", lists2(listed(9, "", true))},
	{"S4", "more, and then there is none", lists2(listed(1, "", true, "a"), listed(1, "a", false))},
	{"S4", "no more, and then there is", lists2(listed(1, "", false, "a"), listed(1, "a", false, "b"))},
	{"S4", "users in another order", asked(wire.KindUsers, &wire.Users{Limit: 9}, &wire.UsersReply{Entries: []wire.UserEntry{{User: "b"}, {User: "a"}}})},
	{"S4", "members in another order", asked(wire.KindMembers, &wire.Members{Group: "lab", Which: wire.MembersAsking, Limit: 9}, &wire.MembersReply{Entries: []wire.MemberEntry{{User: "b"}, {User: "a"}}})},
	{"S4", "groups in another order", groupsOf(wire.GroupEntry{Group: "b", Owner: "o", Role: wire.RoleMember}, wire.GroupEntry{Group: "a", Owner: "o", Role: wire.RoleMember})},
	{"S5", "a source without a piece", carolIs(func(_ *book, s *wire.Source) { s.Pieces = 0 })},
	{"S5", "a source with more pieces than there are", carolIs(func(_ *book, s *wire.Source) { s.Pieces = 3 })},
	{"S5", "the session that asks", carolIs(func(_ *book, s *wire.Source) { s.Session = 100 })},
	{"S5", "candidates that expired", carolIs(func(b *book, s *wire.Source) { s.Candidates = b.realm.carol.here(b.now.Add(-2 * time.Hour)) })},
	{"S5", "another device's candidates", carolIs(func(b *book, s *wire.Source) { s.Candidates = b.realm.alice.here(b.now) })},
	{"S5", "more sources than are counted", func(b *book) {
		s := wire.Source{Session: 5, Device: b.realm.carol.device(), Pieces: 1, Candidates: b.realm.carol.here(b.now)}
		b.lookUp(s, s)
	}},
	{"S6", "another device's candidates", announced(func(b *book) []byte { return b.realm.alice.here(b.now) })},
	{"S6", "candidates that expired", announced(func(b *book) []byte { return b.realm.bob.here(b.now.Add(-2 * time.Hour)) })},
	{"S6", "another statement", announced(func(b *book) []byte { return b.realm.certified })},
	{"S6", "an offer before there are candidates", func(b *book) {
		asBob(b).announce(nil, wire.Offer{Swarm: small.swarm(), Pieces: 1})
	}},
	{"S6", "an offer of more pieces than there are", func(b *book) {
		asBob(b).announce(b.realm.bob.here(b.now), wire.Offer{Swarm: small.swarm(), Pieces: 2})
	}},
	{"S7", "one offer is too many", func(b *book) {
		asBob(b).refused(wire.KindAnnounce, &wire.Announce{Candidates: b.realm.bob.here(b.now), Offers: []wire.Offer{{Swarm: small.swarm(), Pieces: 1}}}, shoal.Limit)
	}},
	{"S8", "another head", asked(wire.KindPublish, &wire.Publish{Sequence: 1, Group: "lab", Name: "a", Content: newSample(9).hashed().Object, Head: make([]byte, 9)}, &wire.MutationReply{})},
	{"S10", "half a line", asked(wire.KindLog, &wire.Log{}, &wire.LogReply{Lines: []byte("{}\n{")})},
	{"S10", "a line that is no object", asked(wire.KindLog, &wire.Log{}, &wire.LogReply{Lines: []byte("hello\n")})},
	{"A1", "an error that LIST does not have", failed(wire.KindList, byKind[wire.KindList], shoal.NameTaken, "")},
	{"A1", "an error that PING does not have", failed(wire.KindPing, &wire.Empty{}, shoal.Denied, "")},
	{"A1", "an error that HELLO does not have", func(b *book) {
		e := b.connect(b.realm.alice, b.realm.server, wire.ServiceServer)
		e.refused(wire.KindHello, &e.hello, shoal.Corrupt)
	}},
	{"A1", "a code that there is not", failed(wire.KindList, byKind[wire.KindList], 99, "")},
	{"A2", "LOGIN", failed(wire.KindLogin, byKind[wire.KindLogin], shoal.Denied, "")},
	{"A2", "PASSWORD", failed(wire.KindPassword, byKind[wire.KindPassword], shoal.Denied, "")},
	{"A2", "INVITE", asked(wire.KindInvite, byKind[wire.KindInvite], &wire.MutationReply{})},
	{"A2", "REGISTER", asked(wire.KindRegister, byKind[wire.KindRegister], &wire.RegisterReply{})},
	{"A7", "WHOAMI after LOGOUT", func(b *book) {
		e := asBob(b)
		b.wait(time.Minute)
		e.mutate(wire.KindLogout, &wire.Logout{Sequence: 1}, 1)
		e.call(wire.KindWhoami, &wire.Whoami{}, &wire.WhoamiReply{User: "bob", Enrolled: began.UnixMilli()})
	}},
	{"G2", "public is made", asked(wire.KindGroup, &wire.GroupChange{Sequence: 1, Verb: wire.CreateGroup, Group: shoal.Public}, &wire.MutationReply{})},
	{"G4", "an epoch that falls", func(b *book) {
		e := asBob(b)
		e.event(Responder, wire.KindEpoch, &wire.Epoch{Group: "lab", Epoch: 8})
		b.wait(8 * time.Second)
		e.event(Responder, wire.KindEpoch, &wire.Epoch{Group: "lab", Epoch: 7})
	}},
	{"G5", "the members of a group that the asker is not in", groupsOf(wire.GroupEntry{Group: "a", Owner: "o", Role: wire.RoleRequested, Members: 1})},
	{"G5", "the epoch of a group that the asker is not in", groupsOf(wire.GroupEntry{Group: "a", Owner: "o", Epoch: 1})},
	{"G5", "a group that is none of the asker's business", func(b *book) {
		e := asBob(b)
		e.call(wire.KindWhoami, &wire.Whoami{}, &wire.WhoamiReply{User: "bob"})
		e.call(wire.KindGroups, &wire.Groups{Limit: 10}, &wire.GroupsReply{Entries: []wire.GroupEntry{{Group: "a", Owner: "o"}}})
	}},
	{"G10", "public is left", asked(wire.KindGroup, &wire.GroupChange{Sequence: 1, Verb: wire.LeaveGroup, Group: shoal.Public}, &wire.MutationReply{})},
	{"E1", "no EPOCH after a removal", func(b *book) {
		e := asBob(b)
		e.mutate(wire.KindGroup, &wire.GroupChange{Sequence: 1, Verb: wire.RemoveUser, Group: "lab", User: "u"}, 1)
		b.wait(10 * time.Second)
		e.ping()
	}},
	{"E1", "the epoch of before after a deletion", func(b *book) {
		e := asBob(b)
		e.event(Responder, wire.KindEpoch, &wire.Epoch{Group: "lab", Epoch: 7})
		b.wait(time.Second)
		e.mutate(wire.KindGroup, &wire.GroupChange{Sequence: 1, Verb: wire.DeleteGroup, Group: "lab"}, 1)
		e.event(Responder, wire.KindEpoch, &wire.Epoch{Group: "lab", Epoch: 7})
		b.wait(10 * time.Second)
		e.ping()
	}},
	{"E1", "no EPOCH, which another member was told", func(b *book) {
		alice, bob := twoServed(b)
		alice.call(wire.KindTicket, &wire.TicketRequest{Group: "lab"}, &wire.TicketReply{Ticket: b.realm.pass(b.realm.alice, b.now).ticket(), Epoch: 7, Now: b.now.UnixMilli()})
		bob.event(Responder, wire.KindEpoch, &wire.Epoch{Group: "lab", Epoch: 8, Reason: wire.EpochDevice})
		b.wait(10 * time.Second)
		alice.ping()
	}},
	{"E2", "no GONE after STOP_SHARE", func(b *book) {
		e := asBob(b)
		e.mutate(wire.KindStopShare, &wire.StopShare{Sequence: 1, Group: "lab", Name: "a", File: tiny.ID}, 1)
		b.wait(10 * time.Second)
		e.ping()
	}},
	{"E3", "an offer without EPOCH", func(b *book) {
		asBob(b).call(wire.KindAnnounce, &wire.Announce{Candidates: b.realm.bob.here(b.now), Offers: []wire.Offer{{Swarm: small.swarm(), Pieces: 1}}}, &wire.Empty{})
	}},
	{"E4", "REVOKED after a reply", func(b *book) {
		asBob(b).event(Responder, wire.KindRevoked, &wire.Revocation{Chain: b.realm.revoke(newKey(99), b.now)})
		b.wait(8 * time.Second)
		b.session(b.realm.alice).ping()
	}},
	{"E4", "REVOKED after an event", func(b *book) {
		asBob(b).event(Responder, wire.KindRevoked, &wire.Revocation{Chain: b.realm.revoke(newKey(99), b.now)})
		b.wait(8 * time.Second)
		b.session(b.realm.alice).event(Responder, wire.KindEpoch, &wire.Epoch{Group: "lab"})
	}},
	{"E4", "no REVOKED, which others were told", func(b *book) {
		alice, bob := twoServed(b)
		bob.event(Responder, wire.KindRevoked, &wire.Revocation{Chain: b.realm.revoke(newKey(99), b.now)})
		b.wait(10 * time.Second)
		alice.ping()
	}},
	{"E4", "REVOKED ahead of AUTH's reply", func(b *book) {
		e := b.connect(b.realm.alice, b.realm.server, wire.ServiceServer).greet()
		e.event(Responder, wire.KindRevoked, &wire.Revocation{Chain: b.realm.revoke(newKey(99), b.now)})
	}},
	{"W3", "a mirror twice", asked(wire.KindPublish, publish(func(m *wire.Publish) { m.Mirrors = append(m.Mirrors, m.Mirrors[0]) }), &wire.MutationReply{})},
	{"W3", "no manifest", asked(wire.KindPublish, publish(func(m *wire.Publish) { m.Manifest = nil }), &wire.MutationReply{})},
	{"W3", "another manifest", asked(wire.KindPublish, publish(func(m *wire.Publish) { m.Manifest = (&wire.ManifestReply{Manifest: *small.manifest}).Append(nil) }), &wire.MutationReply{})},
	{"W7", "no manifest", asked(wire.KindKeptManifest, byKind[wire.KindKeptManifest], &wire.KeptManifestReply{})},
	{"M1", "another file's manifest is kept", asked(wire.KindKeptManifest, &wire.KeptManifest{Group: "lab", File: tiny.ID}, &wire.KeptManifestReply{Manifest: (&wire.ManifestReply{Manifest: *large.manifest}).Append(nil)})},
	{"R2", "a report of the own device", func(b *book) {
		asBob(b).call(wire.KindReport, &wire.Report{Group: "lab", Device: b.realm.bob.device()}, &wire.Empty{})
	}},
	{"R3", "a report of two days ago", reportsOf(reported(1, 1, 48*time.Hour))},
	{"R3", "a report from the future", reportsOf(reported(1, 1, -time.Hour))},
	{"R4", "many reports in a row", func(b *book) {
		e := asBob(b)
		for range 12 {
			e.call(wire.KindReport, &wire.Report{Group: "lab", Device: b.realm.alice.device()}, &wire.Empty{})
		}
	}},
	{"R6", "those reported by more come later", reportsOf(reported(1, 1, time.Second), reported(2, 2, time.Second))},
	{"R6", "those reported later come later", reportsOf(reported(1, 1, time.Minute), reported(2, 1, time.Second))},
	{"R6", "a device twice", reportsOf(reported(1, 1, time.Second), reported(1, 1, time.Second))},
	{"R6", "a device that nobody reported", reportsOf(reported(1, 0, time.Second))},
	{"P18", "no WITHDRAW after GONE", func(b *book) {
		s := b.session(b.realm.carol)
		s.announce(b.realm.carol.here(b.now))
		e := between(b)
		e.join(large, 1)
		s.event(Responder, wire.KindGone, &wire.Gone{Group: "lab", File: large.ID, Reason: wire.GoneStopped})
		b.wait(10 * time.Second)
		e.ping()
	}},
}
