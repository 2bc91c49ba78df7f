package check

import (
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/wire"
	"shoal/wire/spec"
	"shoal/wire/vectors"
)

// byVectors are the rules that the vectors of what is refused break.
var byVectors = map[string]bool{}

func init() {
	var all []vectors.Refused
	if err := vectors.Load(os.DirFS("../../../wire/testdata/vectors"), vectors.RefusedFile, &all); err != nil {
		panic(err)
	}
	for _, v := range all {
		byVectors[v.Rule] = true
	}
}

// What the vectors say must be refused is told of by the rule that they say, wherever in a conversation it comes.
func TestRefusedVectors(t *testing.T) {
	var all []vectors.Refused
	if err := vectors.Load(os.DirFS("../../../wire/testdata/vectors"), vectors.RefusedFile, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) < 500 {
		t.Fatalf("%d vectors; there were more", len(all))
	}
	s := loadSpec(t)
	bodies := map[string]bool{}
	for _, v := range all {
		raw := v.Frame.Expand()
		if len(raw) > wire.HeaderSize {
			bodies[nameOf(raw)] = true
		}
		b := newBook()
		place(b, s, v, raw)
		want := []string{v.Rule}
		if v.Rule == "" {
			want = nil // the connection ends within the frame
		}
		if len(raw) >= wire.HeaderSize && secret[wire.Kind(raw[5])] && raw[7]&1 != 0 && !slices.Contains(want, "F5") {
			want = append([]string{"A2"}, want...) // by the request that it answers
		}
		if got := rulesOf(b.check()); !slices.Equal(got, want) {
			t.Errorf("%s: told are %v, not %v: %v", v.Name, got, want, b.check())
		}
	}
	for _, k := range s.Kinds {
		what := []string{"event"}
		if !k.Event() {
			what = []string{"request", "reply"}
		}
		for _, w := range what {
			if name := k.Name + " " + w; !bodies[name] && k.Request != "empty" && (w != "reply" || k.Reply != "empty") {
				t.Errorf("no %s is refused", name)
			}
		}
	}
}

// place puts the frame where its kind can be: on a connection with who serves it, and of its sender, after what it answers.
func place(b *book, s *spec.Spec, v vectors.Refused, raw []byte) {
	if v.Rule == "T2" || len(raw) < wire.HeaderSize {
		e := b.connect(b.realm.alice, b.realm.server, wire.ServiceServer)
		e.raw(Initiator, raw)
		return
	}
	h, _ := wire.ParseHeader(raw[:wire.HeaderSize])
	service, from := wire.ServiceServer, Initiator
	for _, k := range s.Kinds {
		if k.Number != uint64(h.Kind) {
			continue
		}
		if k.To == "peer" || fromPeer[h.Kind] && !fromServer[h.Kind] {
			service = wire.ServicePeer
		}
	}
	if h.IsReply() || fromServer[h.Kind] || fromPeer[h.Kind] && !fromInitiator[h.Kind] {
		from = Responder
	}
	to := b.realm.server
	if service == wire.ServicePeer {
		to = b.realm.carol
	}
	e := b.connect(b.realm.alice, to, service)
	switch {
	case h.ID == 0 && h.IsReply(), h.Kind == wire.KindHello && from == Initiator:
	case h.Kind == wire.KindHello:
		e.id = h.ID - 1
		e.ask(wire.KindHello, &e.hello)
	case h.Kind == wire.KindAuth:
		e.greet()
		if from == Responder {
			e.id = h.ID - 1
			e.ask(wire.KindAuth, e.auth())
		}
	default:
		e.shake()
		if from == Responder && h.ID != 0 && byKind[h.Kind] != nil {
			e.id = h.ID - 1
			e.ask(h.Kind, byKind[h.Kind])
		}
	}
	e.raw(from, raw)
}

// What the vectors say of chains holds, by the rule that they say.
func TestChainVectors(t *testing.T) {
	var all vectors.Statements
	if err := vectors.Load(os.DirFS("../../../wire/testdata/vectors"), vectors.StatementsFile, &all); err != nil {
		t.Fatal(err)
	}
	moment := func(ms string) moment {
		n, err := strconv.ParseInt(ms, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return moment{time.UnixMilli(n), time.UnixMilli(n)}
	}
	seen := 0
	for _, v := range all.Chains {
		realm := [32]byte(v.Realm)
		seen++
		now := moment(v.Now)
		said, f := follow(v.Chain, identity.Kind(v.Ends), &realm, now)
		if v.Demand != nil && f == nil {
			f = demanded(t, v, said, now)
		}
		rule := ""
		if f != nil {
			rule = f.rule
		} else if v.Server != nil && said.key != [32]byte(v.Server) {
			rule = "H7"
		}
		if rule != v.Rule {
			t.Errorf("%s: told is %q, not %q (%v)", v.Name, rule, v.Rule, f)
		}
	}
	if seen < 60 {
		t.Errorf("%d chains; there were more", seen)
	}
}

// demanded is what the checker says of a chain that was heard by one who knows what the vector says.
func demanded(t *testing.T, v vectors.Chain, said *chain, now moment) *fault {
	d := v.Demand
	by := newProcess([32]byte{}, nil)
	if d.Reachable {
		by.session = &Conn{handshake: handshake{done: &Frame{}}}
	}
	epoch, err := strconv.ParseUint(d.Epoch, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	by.hearEpoch(shoal.Group(d.Group), heard{epoch, time.Time{}})
	realm := [32]byte(v.Realm)
	for _, raw := range v.Revocations {
		revoked, f := follow(raw, identity.SaysRevoked, &realm, now)
		if f != nil {
			t.Fatal(v.Name, f)
		}
		by.revoked[revoked.key] = time.Time{}
	}
	if f := heardRevoked(said, by, now.latest); f != nil {
		return f
	}
	return allows(said.ticket, demand{[32]byte(d.Device), shoal.Group(d.Group), identity.Rights(d.Rights)}, by, now.latest, now)
}

// secret are the kinds that must not be on a connection in plaintext (rule A2).
var secret = kinds(wire.KindRegister, wire.KindLogin, wire.KindPassword, wire.KindInvite)

// byKind is a request of each kind.
var byKind = map[wire.Kind]wire.Message{
	wire.KindPing:         &wire.Empty{},
	wire.KindPublish:      &wire.Publish{Sequence: 1, Group: "lab", Name: "a", Content: tiny.Object},
	wire.KindUnpublish:    &wire.Unpublish{Sequence: 1, Group: "lab", Name: "a", File: tiny.ID},
	wire.KindList:         &wire.List{Group: "lab", Limit: 1},
	wire.KindLookup:       &wire.Lookup{Group: "lab", Name: "a"},
	wire.KindAnnounce:     &wire.Announce{},
	wire.KindLog:          &wire.Log{},
	wire.KindJoin:         &wire.Join{Swarm: large.swarm()},
	wire.KindLeave:        &wire.Leave{Handle: 1},
	wire.KindManifest:     &wire.ManifestRequest{Handle: 1},
	wire.KindHashes:       &wire.HashesRequest{Handle: 1},
	wire.KindRequest:      &wire.Request{Handle: 1, Length: 1},
	wire.KindRenew:        &wire.Renew{Handle: 1},
	wire.KindExchange:     &wire.Exchange{Handle: 1},
	wire.KindRegister:     &wire.Register{Sequence: 1, User: "u"},
	wire.KindLogin:        &wire.Login{Sequence: 1, User: "u"},
	wire.KindLogout:       &wire.Logout{Sequence: 1},
	wire.KindWhoami:       &wire.Whoami{},
	wire.KindUsers:        &wire.Users{Limit: 1},
	wire.KindDevices:      &wire.Devices{},
	wire.KindAccount:      &wire.Account{Sequence: 1, Verb: wire.DeleteUser, User: "u"},
	wire.KindPassword:     &wire.PasswordChange{Sequence: 1},
	wire.KindGroup:        &wire.GroupChange{Sequence: 1, Verb: wire.JoinGroup, Group: "lab"},
	wire.KindGroups:       &wire.Groups{Limit: 1},
	wire.KindMembers:      &wire.Members{Group: "lab", Which: wire.MembersIn, Limit: 1},
	wire.KindInvite:       &wire.Invite{Sequence: 1, Group: "lab", CodeHash: [32]byte{1}},
	wire.KindStopShare:    &wire.StopShare{Sequence: 1, Group: "lab", Name: "a"},
	wire.KindTicket:       &wire.TicketRequest{Group: "lab"},
	wire.KindReport:       &wire.Report{Group: "lab"},
	wire.KindReports:      &wire.Reports{Group: "lab"},
	wire.KindKeptManifest: &wire.KeptManifest{Group: "lab"},
}
