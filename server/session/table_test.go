package session

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/server/meta"
	"shoal/server/passwords"
	"shoal/server/registry"
	"shoal/wire"
	"shoal/wire/spec"
)

const goodPassword = "correct horse"

// realm is a host with people on it, who are made as they are needed.
type realm struct {
	*testing.T
	*state
	host     *Host
	password string // the hash of goodPassword
	admin    *identity.Key
	sequence uint64
	made     int
}

func newRealm(t *testing.T) *realm {
	t.Helper()
	r := &realm{T: t, state: newState(t), host: newHost(identity.Transport{Security: wire.TLS})}
	r.serve(r.host)
	r.host.Passwords = passwords.New()
	r.registry.Changed = r.host.Changed
	r.host.Tickets = Tickets{Sign: func(identity.Ticket) ([]byte, error) { return []byte("ticket"), nil }, Confirmed: time.Now}
	var err error
	r.password, err = r.host.Passwords.Hash(t.Context(), mustAddr("192.0.2.1:1").Addr(), []byte(goodPassword))
	must(t, err)
	r.admin = r.user("admin") // the first
	return r
}

// do changes something as a device, directly.
func (r *realm) do(as *identity.Key, m meta.Mutation) {
	r.Helper()
	r.sequence++
	if _, err := r.apply(r.Context(), meta.ID{Device: as.Device(), Sequence: r.sequence}, m); err != nil {
		r.Fatalf("%T: %v", m, err)
	}
}

// user makes a user, and returns the user's device.
func (r *realm) user(name string) *identity.Key {
	r.Helper()
	key := identity.NewKey()
	r.do(key, &meta.CreateUser{User: meta.Username(name), Password: r.password, Open: true})
	return key
}

// cell is who asks, and a group of the asker's, or not.
type cell struct {
	*realm
	group                        shoal.Group
	name                         string // of the asker, "" for nobody's
	asker, owner, member, asking *identity.Key
	own                          bool // the request is to be about the asker's own
}

// cell makes a group for one question by an asker.
func (r *realm) cell(asker spec.Asker, own bool) *cell {
	r.made++
	c := &cell{realm: r, group: shoal.Group(fmt.Sprint("group ", r.made)), own: own}
	c.owner, c.member, c.asking = r.user(c.called("owner")), r.user(c.called("member")), r.user(c.called("asking"))
	r.do(c.owner, &meta.CreateGroup{Group: c.group})
	for name, key := range map[string]*identity.Key{"member": c.member, "asking": c.asking} {
		r.do(key, &meta.RequestJoin{Group: c.group})
		if name == "member" {
			r.do(c.owner, &meta.AcceptRequest{Group: c.group, User: meta.Username(c.called(name))})
		}
	}
	r.do(c.owner, &meta.Publish{Group: c.group, Name: "x", Content: objectOf(1)})
	c.name = c.called(string(asker))
	switch asker {
	case "nobody's":
		c.asker, c.name = identity.NewKey(), ""
	case "user":
		c.asker = r.user(c.name)
	case "member":
		c.asker = c.member
	case "owner":
		c.asker = c.owner
	case "admin":
		c.asker, c.name = r.admin, "admin"
	}
	return c
}

// number is the sequence number of the question.
func (c *cell) number() uint64 { return 1<<40 + uint64(c.made) }

func (c *cell) called(name string) string { return fmt.Sprintf("%s %d", name, c.made) }

// code lets the owner invite, and returns the code.
func (c *cell) code() []byte {
	code := identity.NewCode()
	c.do(c.owner, &meta.CreateInvite{Group: c.group, Hash: code.Hash(), Expires: time.Now().Add(time.Hour)})
	return []byte(code)
}

// mine makes a name that the asker published.
func (c *cell) mine() shoal.Name {
	c.do(c.asker, &meta.Publish{Group: c.group, Name: "mine", Content: objectOf(2)})
	return "mine"
}

// source makes a device serve what the owner published.
func (c *cell) source(device *identity.Key) {
	c.made++
	session := c.host.Swarms.Begin(1<<50+uint64(c.made), device.Device())
	must(c, session.Announce([]byte("here"), time.Now().Add(time.Hour), []wire.Offer{
		{Swarm: shoal.Swarm{Group: c.group, Object: objectOf(1)}, Pieces: 4},
	}))
}

// either is the asker's own name, or another one.
func (c *cell) either(other string) string {
	if c.own {
		return c.name
	}
	return c.called(other)
}

func (c *cell) verb(v wire.GroupVerb, user string) wire.Message {
	if user != "" {
		user = c.called(user)
	}
	return &wire.GroupChange{Sequence: c.number(), Verb: v, Group: c.group, User: user}
}

// Whoever asks for whatever is answered as the table of the protocol says, which this goes through row by row.
func TestWhoMayAskForWhat(t *testing.T) {
	s, err := spec.Load(os.DirFS("../../wire"))
	must(t, err)
	numbers := map[string]wire.Kind{}
	toServer := map[string]bool{}
	for _, k := range s.Kinds {
		numbers[k.Name] = wire.Kind(k.Number)
		toServer[k.Name] = (k.To == "server" || k.To == "both") && access[wire.Kind(k.Number)].who != nobody
	}
	r := newRealm(t)
	rows := 0
	for _, row := range s.Access {
		if !toServer[row.Kind] {
			continue
		}
		name := strings.TrimSpace(row.Kind + " " + row.Verb)
		request := requests[name]
		if request == nil {
			t.Errorf("%s is in the table, and not tested", name)
			continue
		}
		rows++
		for _, asker := range spec.Askers {
			answer := row.Answers[asker]
			if answer.Own {
				r.question(name, numbers[row.Kind], request, r.cell(asker, true), spec.Answer{})
			}
			r.question(name, numbers[row.Kind], request, r.cell(asker, false), answer)
		}
	}
	if rows != len(requests) {
		t.Errorf("%d rows of the table were tested by %d requests", rows, len(requests))
	}
}

// question asks one thing and looks at the answer.
func (r *realm) question(name string, kind wire.Kind, request func(*cell) wire.Message, c *cell, answer spec.Answer) {
	r.Helper()
	m := request(c)
	asker := connect(r, r.host, c.asker)
	defer asker.close()
	gone, err := asker.askPast(kind, m, wire.NewMessage(wire.Header{Kind: kind, Flags: wire.FlagReply}))
	what := fmt.Sprintf("%s by %q (own: %v)", name, c.name, c.own)
	wanted := answer.Code
	switch {
	case answer.Rule == "E3":
		if err != nil || len(gone) != 1 || gone[0].Kind != wire.KindGone {
			r.Errorf("%s: %v, after the events %v", what, err, gone)
		}
		return
	case answer.Rule == "S10":
		wanted = "denied"
	case name == "ACCOUNT delete" && c.own && c.asker == c.owner:
		wanted = "denied" // rule A9
	case name == "LOGOUT" && c.asker == r.admin && err == nil:
		r.do(c.asker, &meta.EnrolDevice{User: "admin", Password: r.password})
	case name == "ACCOUNT delete" && c.asker == r.admin && c.own:
		r.Fatal("the admin is gone")
	}
	if (wanted == "") != (err == nil) || wanted != "" && shoal.CodeOf(err).Error() != wanted {
		r.Errorf("%s: %v, want %q", what, err, wanted)
	}
	outsider := c.asker != c.owner && c.asker != c.member
	if wanted == "not-found" && outsider && !strings.HasPrefix(name, "ACCOUNT") && err != nil && err.Error() != registry.NoGroup(c.group).Error() {
		r.Errorf("%s: %q gives away that there is the group", what, err)
	}
}

// askPast is ask where events may come first.
func (c *client) askPast(kind wire.Kind, request, reply wire.Message) (events []wire.Header, err error) {
	c.t.Helper()
	c.Pending = nil
	c.ID++
	c.Send(wire.AppendRequest(nil, kind, c.ID, request))
	for {
		f, err := c.conn.ReadFrame()
		if err != nil {
			c.t.Fatalf("instead of the reply to %v: %v", kind, err)
		}
		if !f.IsReply() {
			events = append(events, f.Header)
			continue
		}
		if f.Flags&wire.FlagError == 0 {
			return events, wire.Decode(f.Body, reply)
		}
		var failed wire.ErrorReply
		if err := wire.Decode(f.Body, &failed); err != nil {
			c.t.Fatal(err)
		}
		return events, failed.Err()
	}
}

// Passwords and codes are refused where there is no encryption (rule A2).
func TestRuleA2(t *testing.T) {
	c := connect(t, newHost(overPlaintext))
	for kind, m := range map[wire.Kind]wire.Message{
		wire.KindRegister: &wire.Register{User: "ann", Password: []byte(goodPassword)},
		wire.KindLogin:    &wire.Login{User: "ann", Password: []byte(goodPassword)},
		wire.KindInvite:   &wire.Invite{Group: "lab", CodeHash: [32]byte{1}},
		wire.KindPassword: &wire.PasswordChange{Was: []byte(goodPassword), Password: []byte(goodPassword)},
	} {
		if err := c.Call(kind, m, &wire.Empty{}); !errors.Is(err, shoal.Denied) || !strings.Contains(err.Error(), "plaintext") {
			t.Errorf("%v: %v", kind, err)
		}
	}
}
