package session

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"shoal/server/audit"
	"shoal/wire"
)

// Logins, changes of users and groups, and tickets are told one by one, with what became of them, and without any secret.
func TestAuditOfAccounts(t *testing.T) {
	r := newRealm(t)
	var out bytes.Buffer
	r.host.Audit = audit.New(zerolog.New(&out), nil)
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { r.host.Audit.Run(ctx) })
	lab := r.cell("nobody's", false)
	code := lab.code()
	c := connect(t, r.host, lab.asker)
	ask := func(kind wire.Kind, m wire.Message) {
		t.Helper()
		_, _ = c.askPast(kind, m, wire.NewMessage(wire.Header{Kind: kind, Flags: wire.FlagReply}))
	}
	ask(wire.KindLogin, &wire.Login{Sequence: 1, User: "admin", Password: []byte("canary password")})
	ask(wire.KindRegister, &wire.Register{Sequence: 2, User: "new", Password: []byte("canary password"), Code: bytes.Clone(code)})
	ask(wire.KindTicket, &wire.TicketRequest{Group: lab.group})
	ask(wire.KindGroup, &wire.GroupChange{Sequence: 3, Verb: wire.RemoveUser, Group: lab.group, User: lab.called("member")})
	ask(wire.KindMembers, &wire.Members{Group: lab.group, Which: wire.MembersAsking, Limit: 9})
	ask(wire.KindWhoami, &wire.Whoami{})
	ask(wire.KindInvite, &wire.Invite{Sequence: 4, Group: lab.group, CodeHash: [32]byte{1}})
	ask(wire.KindAccount, &wire.Account{Sequence: 5, Verb: wire.DeleteUser, User: "admin"})
	ask(wire.KindStopShare, &wire.StopShare{Sequence: 6, Group: lab.group, Name: "x", File: objectOf(1).ID})
	ask(wire.KindLogout, &wire.Logout{Sequence: 7})
	ask(wire.KindTicket, &wire.TicketRequest{Group: lab.group})
	c.close()
	cancel()
	run.Wait()

	var got []map[string]any
	for line := range strings.Lines(out.String()) {
		var e map[string]any
		must(t, json.Unmarshal([]byte(line), &e))
		got = append(got, e)
	}
	group := string(lab.group)
	want := [][3]string{
		{"connect", "", "ok"},
		{"login", "admin", "denied"},
		{"register", "new", "ok"},
		{"ticket", group, "ok"},
		{"group remove", group + "/" + lab.called("member"), "denied"},
		{"invite", group, "denied"},
		{"account delete", "admin", "denied"},
		{"stop-share", group + "/x", "not-found"},
		{"logout", "", "ok"},
		{"ticket", group, "denied"},
	}
	if len(got) != len(want)+1 {
		t.Fatalf("%d entries: %v", len(got), got)
	}
	for i, w := range want {
		wantEntry(t, got[i], lab.asker.Device(), w[0], w[1], w[2])
	}
	if e := got[len(want)]; e["op"] != "read" || e["other"] != 2.0 || e["failed"] != 1.0 {
		t.Errorf("read: %v", e)
	}
	for _, secret := range []string{"canary", string(code)} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}
