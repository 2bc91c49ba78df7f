package server

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/wire"
)

// hostileTexts are no names (rule X3).
var hostileTexts = []string{
	"", ".", "..", "/", "a/b", `a\b`, "../../etc/passwd", "\x00", "a\nb", "a\tb", "\x1b[2J", "\x7f", "\u009b31m", "\u2028", "\u2029", "\u202ex", "\u2066x", "\xff", "a\xc3", "\xed\xa0\x80",
	strings.Repeat("x", 65), strings.Repeat("ü", 33),
}

// fate is what becomes of a request: the code of the error that answers it, and whether the connection ends by it.
type fate struct {
	code   shoal.Code
	closed bool
}

var broken = fate{shoal.BadRequest, true} // rule F7

func refused(code shoal.Code) fate { return fate{code: code} }

// attempt sends a request on a connection of its own.
func attempt(t *testing.T, s *Server, key *identity.Key, kind wire.Kind, m wire.Message) (fate, string) {
	t.Helper()
	c, err := dial(t, s, overTLS, key)
	must(t, err)
	defer c.Close()
	_, err = c.Write(wire.AppendRequest(nil, kind, 7, m))
	must(t, err)
	for {
		f, err := c.ReadFrame()
		must(t, err)
		switch {
		case f.Kind == wire.KindBye:
			var bye wire.Bye
			must(t, wire.Decode(f.Body, &bye))
			return fate{bye.Code, true}, bye.Text
		case f.IsReply() && f.Flags&wire.FlagError != 0:
			var e wire.ErrorReply
			must(t, wire.Decode(f.Body, &e))
			return refused(e.Code), e.Text
		case f.IsReply():
			return fate{}, "it was done"
		}
	}
}

// hostileRequest is one that must be refused.
type hostileRequest struct {
	what string
	who  *identity.Key
	kind wire.Kind
	m    wire.Message
	want fate
}

// attackers are those who send hostile requests: ann owns lab, bob is in it, eve in her own group, and nobody is nobody's.
type attackers struct{ ann, bob, eve, nobody *identity.Key }

// assemble makes the users and groups.
func assemble(t *testing.T, s *Server) attackers {
	t.Helper()
	a := attackers{identity.NewKey(), identity.NewKey(), identity.NewKey(), identity.NewKey()}
	for i, user := range []string{"ann", "bob", "eve"} {
		key := []*identity.Key{a.ann, a.bob, a.eve}[i]
		must(t, CreateUser(t.Context(), s.state.dir, Etcd{}, user, []byte(goodPassword), s.log))
		must(t, AddDevice(t.Context(), s.state.dir, Etcd{}, user, key.Device(), "", s.log))
	}
	for i, m := range []struct {
		who *identity.Key
		wire.GroupChange
	}{
		{a.ann, wire.GroupChange{Verb: wire.CreateGroup, Group: "lab"}},
		{a.eve, wire.GroupChange{Verb: wire.CreateGroup, Group: "attic"}},
		{a.bob, wire.GroupChange{Verb: wire.JoinGroup, Group: "lab"}},
		{a.ann, wire.GroupChange{Verb: wire.AcceptUser, Group: "lab", User: "bob"}},
	} {
		m.Sequence = uint64(i + 1)
		if got, text := attempt(t, s, m.who, wire.KindGroup, &m.GroupChange); got != (fate{}) {
			t.Fatalf("%+v: %v %s", m.GroupChange, got, text)
		}
	}
	return a
}

// hostileFields are requests with members that break a rule, whoever sends them.
func hostileFields(a attackers) (all []hostileRequest) {
	add := func(what string, who *identity.Key, kind wire.Kind, m wire.Message, want fate) {
		all = append(all, hostileRequest{what, who, kind, m, want})
	}
	secret := []byte(goodPassword)
	object := shoal.Object{ID: shoal.FileID{1}, Size: 5}
	for i, text := range hostileTexts {
		who := fmt.Sprintf("%.20q", text)
		add("user "+who, a.nobody, wire.KindRegister, &wire.Register{Sequence: 9, User: text, Password: secret}, broken)
		add("user "+who, a.nobody, wire.KindLogin, &wire.Login{Sequence: 9, User: text, Password: secret}, broken)
		add("group "+who, a.ann, wire.KindGroup, &wire.GroupChange{Sequence: 9, Verb: wire.CreateGroup, Group: shoal.Group(text)}, broken)
		add("member "+who, a.ann, wire.KindGroup, &wire.GroupChange{Sequence: 9, Verb: wire.RemoveUser, Group: "lab", User: text}, broken)
		add("group "+who, a.ann, wire.KindInvite, &wire.Invite{Sequence: 9, Group: shoal.Group(text), CodeHash: [32]byte{1}, Expires: 1 << 42}, broken)
		add("group "+who, a.ann, wire.KindTicket, &wire.TicketRequest{Group: shoal.Group(text)}, broken)
		add("group "+who, a.ann, wire.KindPublish, &wire.Publish{Sequence: 9, Group: shoal.Group(text), Name: "x", Content: object}, broken)
		if i < len(hostileTexts)-2 { // a file's name may be longer
			add("name "+who, a.ann, wire.KindPublish, &wire.Publish{Sequence: 9, Group: "lab", Name: shoal.Name(text), Content: object}, broken)
		}
		if text != "" && i < len(hostileTexts)-2 {
			add("label "+who, a.nobody, wire.KindLogin, &wire.Login{Sequence: 9, User: "ann", Password: secret, Label: text}, broken)
		}
	}
	for _, password := range []string{"", "short", "1234567", "with\ttab in it", "with\x00zero in it", "with\x1b[2Jescape", "not UTF-8 \xff\xff", "\u009b31m in it", strings.Repeat("x", 1025)} {
		want := refused(shoal.BadRequest) // rule A3
		if len(password) > wire.MaxPassword {
			want = broken
		}
		add("a bad password", a.nobody, wire.KindRegister, &wire.Register{Sequence: 9, User: "new", Password: []byte(password)}, want)
		add("a bad password", a.nobody, wire.KindLogin, &wire.Login{Sequence: 9, User: "ann", Password: []byte(password)}, want)
	}
	for _, code := range []string{"short", strings.Repeat("u", 28), strings.Repeat("0", 29), strings.Repeat("-", 60), "\x00", "\xff", strings.Repeat("ü", 28)} {
		add("a bad code", a.nobody, wire.KindRegister, &wire.Register{Sequence: 9, User: "new", Password: secret, Code: []byte(code)}, refused(shoal.BadRequest))
	}
	for verb := wire.AcceptUser; verb <= wire.TransferGroup; verb++ {
		user := "bob"
		if verb.NamesUser() {
			user = ""
		}
		add(fmt.Sprintf("verb %d for %q (rule G1)", verb, user), a.ann, wire.KindGroup, &wire.GroupChange{Sequence: 9, Verb: verb, Group: "lab", User: user}, broken)
	}
	for _, verb := range []wire.GroupVerb{0, wire.TransferGroup + 1, 1 << 31} {
		add("a verb that is none", a.ann, wire.KindGroup, &wire.GroupChange{Sequence: 9, Verb: verb, Group: "lab"}, broken)
	}
	add("too long a grace (rule G1)", a.ann, wire.KindGroup, &wire.GroupChange{Sequence: 9, Verb: wire.CreateGroup, Group: "new", Grace: wire.MaxGrace + 1}, broken)
	add("a grace of a group that is there (rule G1)", a.ann, wire.KindGroup, &wire.GroupChange{Sequence: 9, Verb: wire.DeleteGroup, Group: "lab", Grace: 1}, broken)
	add("the hash of nothing (rule G6)", a.ann, wire.KindInvite, &wire.Invite{Sequence: 9, Group: "lab", Expires: 1 << 42}, broken)
	for _, size := range []int64{-1, shoal.MaxSize + 1, 1 << 62} {
		add(fmt.Sprint("size ", size), a.ann, wire.KindPublish, &wire.Publish{Sequence: 9, Group: "lab", Name: "x", Content: shoal.Object{Size: size}}, broken)
	}
	add("a head that is no head (rule S8)", a.ann, wire.KindPublish, &wire.Publish{Sequence: 9, Group: "lab", Name: "x", Content: object, Head: []byte("hea")}, broken)
	for _, limit := range []uint32{0, wire.MaxList + 1, 1 << 31} {
		add("a page of none, or too many (rule S4)", a.ann, wire.KindList, &wire.List{Group: "lab", Limit: limit}, broken)
		add("a page of none, or too many (rule S4)", a.ann, wire.KindUsers, &wire.Users{Limit: limit}, broken)
		add("a page of none, or too many (rule S4)", a.ann, wire.KindMembers, &wire.Members{Group: "lab", Which: wire.MembersIn, Limit: limit}, broken)
	}
	return all
}

// hostileRights are well-formed requests of those who may not.
func hostileRights(a attackers) []hostileRequest {
	secret := []byte(goodPassword)
	at := []identity.Candidate{{Addr: netip.MustParseAddrPort("127.0.0.1:9"), Security: wire.TLS}}
	ofAnn := identity.SignCandidates(a.ann, at, time.Now(), time.Hour)
	old := identity.SignCandidates(a.bob, at, time.Now().Add(-2*time.Hour), time.Hour)
	forged := identity.SignCandidates(a.bob, at, time.Now(), time.Hour)
	forged[len(forged)-1] ^= 1
	return []hostileRequest{
		{"a code that nobody made", a.nobody, wire.KindRegister, &wire.Register{Sequence: 10, User: "new", Password: secret, Code: []byte(strings.Repeat("0", 28))}, refused(shoal.Denied)},
		{"a name that is taken, without a code", a.nobody, wire.KindRegister, &wire.Register{Sequence: 11, User: "ann", Password: secret}, refused(shoal.Denied)},
		{"a device that is enrolled", a.eve, wire.KindRegister, &wire.Register{Sequence: 12, User: "new", Password: secret}, refused(shoal.Exists)},
		{"a wrong password", a.nobody, wire.KindLogin, &wire.Login{Sequence: 13, User: "ann", Password: []byte("correct horsf")}, refused(shoal.Denied)},
		{"a user who is not there", a.nobody, wire.KindLogin, &wire.Login{Sequence: 14, User: "zoe", Password: secret}, refused(shoal.Denied)},
		{"another's device", a.eve, wire.KindLogin, &wire.Login{Sequence: 15, User: "bob", Password: secret}, refused(shoal.Exists)},
		{"another user", a.eve, wire.KindAccount, &wire.Account{Sequence: 16, Verb: wire.DeleteUser, User: "bob"}, refused(shoal.Denied)},
		{"another's device", a.eve, wire.KindAccount, &wire.Account{Sequence: 17, Verb: wire.RevokeDevice, Device: a.bob.Device()}, refused(shoal.NotFound)},
		{"an owner out of the own group", a.ann, wire.KindGroup, &wire.GroupChange{Sequence: 18, Verb: wire.RemoveUser, Group: "lab", User: "ann"}, refused(shoal.Denied)},
		{"somebody else's group", a.bob, wire.KindGroup, &wire.GroupChange{Sequence: 19, Verb: wire.RemoveUser, Group: "lab", User: "ann"}, refused(shoal.Denied)},
		{"somebody else's group", a.bob, wire.KindGroup, &wire.GroupChange{Sequence: 20, Verb: wire.TransferGroup, Group: "lab", User: "bob"}, refused(shoal.Denied)},
		{"a group of others", a.eve, wire.KindGroup, &wire.GroupChange{Sequence: 21, Verb: wire.AcceptUser, Group: "lab", User: "eve"}, refused(shoal.NotFound)},
		{"an invite by a member", a.bob, wire.KindInvite, &wire.Invite{Sequence: 22, Group: "lab", CodeHash: [32]byte{1}, Expires: 1 << 42}, refused(shoal.Denied)},
		{"an invite by a stranger", a.eve, wire.KindInvite, &wire.Invite{Sequence: 23, Group: "lab", CodeHash: [32]byte{1}, Expires: 1 << 42}, refused(shoal.NotFound)},
		{"a ticket of another group", a.eve, wire.KindTicket, &wire.TicketRequest{Group: "lab"}, refused(shoal.NotFound)},
		{"a ticket for nobody", a.nobody, wire.KindTicket, &wire.TicketRequest{Group: "lab"}, refused(shoal.Denied)},
		{"a ticket of no group", a.eve, wire.KindTicket, &wire.TicketRequest{Group: "labs"}, refused(shoal.NotFound)},
		{"a file in another group", a.eve, wire.KindPublish, &wire.Publish{Sequence: 24, Group: "lab", Name: "x", Content: shoal.Object{ID: shoal.FileID{1}, Size: 5}}, refused(shoal.NotFound)},
		{"a number used before (rule S1)", a.eve, wire.KindGroup, &wire.GroupChange{Sequence: 2, Verb: wire.CreateGroup, Group: "cellar"}, refused(shoal.BadRequest)},
		{"another device's addresses (rule S6)", a.bob, wire.KindAnnounce, &wire.Announce{Candidates: ofAnn}, broken},
		{"old addresses (rule S6)", a.bob, wire.KindAnnounce, &wire.Announce{Candidates: old}, broken},
		{"forged addresses (rule S6)", a.bob, wire.KindAnnounce, &wire.Announce{Candidates: forged}, broken},
	}
}

// TestHostileRequests sends what breaks a rule, or is not for who sends it, to a server that runs: each is answered by the
// right code, and only what breaks a rule ends the connection.
func TestHostileRequests(t *testing.T) {
	t.Parallel()
	s, _ := start(t, Config{Transport: overTLS})
	a := assemble(t, s)
	for _, r := range append(hostileFields(a), hostileRights(a)...) {
		got, text := attempt(t, s, r.who, r.kind, r.m)
		if got != r.want {
			t.Errorf("%v of %s: %+v instead of %+v: %q", r.kind, r.what, got, r.want, text)
		}
	}
	_, wrong := attempt(t, s, a.nobody, wire.KindLogin, &wire.Login{Sequence: 100, User: "ann", Password: []byte("correct horsg")})
	_, absent := attempt(t, s, a.nobody, wire.KindLogin, &wire.Login{Sequence: 101, User: "zoe", Password: []byte("correct horsg")})
	if wrong != absent {
		t.Errorf("a wrong password is told from a user who is not there: %q, %q", wrong, absent)
	}
	if got, text := attempt(t, s, a.bob, wire.KindTicket, &wire.TicketRequest{Group: "lab"}); got != (fate{}) {
		t.Errorf("afterwards a member gets no ticket: %+v %s", got, text)
	}
}
