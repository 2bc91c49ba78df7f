package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/identity"
	"shoal/server"
)

// reported is a line of group peers --json.
type reported struct {
	Device, User  string
	Users         int
	Since, Latest time.Time
}

// reports are the lines of group peers.
func (w *world) reports(state, group string) (all []reported) {
	w.Helper()
	lines := json.NewDecoder(strings.NewReader(w.shoal(state, "group", "peers", "--json", group).ok().stdout))
	for lines.More() {
		var r reported
		if err := lines.Decode(&r); err != nil {
			w.Fatalf("group peers --json: %v", err)
		}
		all = append(all, r)
	}
	return all
}

// reporter is a member of the group, whose device the test plays. It reports a device as a source of a file in the group.
func (l *lab) reporter(name string) func(file string, device shoal.DeviceID) error {
	l.Helper()
	l.member(name, name)
	key := identity.NewKey()
	if err := server.AddDevice(l.Context(), l.path("state", "server"), server.Etcd{}, name, key.Device(), "", zerolog.Nop()); err != nil {
		l.Fatal(err)
	}
	t := l.session(key, nil)
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() { _ = t.Run(ctx) })
	l.Cleanup(func() { cancel(); run.Wait() })
	return func(file string, device shoal.DeviceID) error {
		l.Helper()
		id, err := shoal.ParseFileID(file)
		if err != nil {
			l.Fatal(err)
		}
		return t.Report(l.Context(), "lab", id, device)
	}
}

// TestCollusion has three members report a peer that has done nothing wrong. It serves on: as the only source, and beside
// others.
func TestCollusion(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.member("bob", "bob", "bob-other")
	content := random(4*mib+5, 70)
	bob := l.peer("bob")
	file := l.share(bob, "file", content).File
	for _, name := range []string{"eve", "mal", "joe"} {
		report := l.reporter(name)
		for range 2 { // who says it twice counts once
			if err := report(file, l.device("bob")); err != nil {
				t.Fatalf("%s reports: %v", name, err)
			}
		}
		if err := report(file, l.device(name)); !errors.Is(err, shoal.BadRequest) {
			t.Errorf("%s reports an own device: %v", name, err)
		}
	}
	got := l.reports("ann", "lab")
	if len(got) != 1 || got[0].Device != bob.device || got[0].User != "bob" || got[0].Users != 3 || got[0].Since.After(got[0].Latest) {
		t.Errorf("the owner sees %+v", got)
	}
	if r := l.shoal("ann", "group", "peers", "lab").ok(); !strings.Contains(r.stdout, bob.device+"  bob  3  20") {
		t.Errorf("the owner sees %q", r.stdout)
	}
	l.shoal("bob", "group", "peers", "lab").exit(5, "owner")

	done := l.get("ann", "lab/file", "-o", l.path("alone")).wait().ok().event("done")
	same(t, l.path("alone"), content)
	if gave := done.Sources.from(bob.device).Bytes; gave != int64(len(content)) {
		t.Errorf("the only source gave %d bytes of %d", gave, len(content))
	}
	l.share(l.peer("bob-other", "--up", "1M"), "file", content) // so that it does not give all before bob is asked
	done = l.get("ann-other", "lab/file", "-o", l.path("beside")).wait().ok().event("done")
	same(t, l.path("beside"), content)
	if gave := done.Sources.from(bob.device).Bytes; gave == 0 {
		t.Errorf("beside another one it gave nothing: %+v", done.Sources)
	}
	bob.kill() // who goes and comes back is what it was
	l.peer("bob")
	if now := l.reports("ann", "lab"); !slices.Equal(now, got) {
		t.Errorf("the owner sees %+v, before that %+v", now, got)
	}
}

// TestLiarIsReported lets two users download from a peer that sends other bytes: an admin hears of it.
func TestLiarIsReported(t *testing.T) {
	t.Parallel()
	l := newLab(t) // whose first user, an admin, is everybody
	content := random(8*mib, 71)
	liar := l.scripted("file", content, plot{block: flipBits})
	l.person("bob", "bob")
	for i, state := range []string{"ann", "bob", "bob"} {
		get := l.get(state, "file", "-o", l.path(fmt.Sprint("got ", i)), "--verbose", "--timeout", "1s")
		get.awaitError("does not match its hash")
		get.wait().exit(4)
		want := min(i+1, 2)
		if got := l.reports("lister", "public"); len(got) != 1 || got[0].Device != liar.device() || got[0].User != everybody || got[0].Users != want {
			t.Errorf("after %d downloads an admin sees %+v", i+1, got)
		}
	}
	l.shoal("ann", "group", "peers", "public").exit(5)
}
