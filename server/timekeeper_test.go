package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/server/clock"
	"shoal/server/meta"
	"shoal/wire"
)

// askTicket asks for a ticket of the group lab, and returns the error that was answered.
func askTicket(t *testing.T, s *Server, c loggedIn) error {
	t.Helper()
	must(t, s.keeper.feed.Barrier(t.Context())) // else that might be why there is none
	_, err := c.Write(wire.AppendRequest(nil, wire.KindTicket, 9, &wire.TicketRequest{Group: "lab"}))
	must(t, err)
	f, err := c.ReadFrame()
	must(t, err)
	if f.Kind != wire.KindTicket {
		t.Fatalf("got %v", f.Header)
	}
	if f.Flags&wire.FlagError == 0 {
		return nil
	}
	var failed wire.ErrorReply
	must(t, wire.Decode(f.Body, &failed))
	return failed.Err()
}

// inLab logs ann in, who owns the group lab.
func inLab(t *testing.T, s *Server, state string, etcd Etcd) loggedIn {
	t.Helper()
	must(t, CreateUser(t.Context(), state, etcd, "ann", []byte(goodPassword), zerolog.Nop()))
	ann := logIn(t, s, "ann")
	ask(t, ann.Established, wire.KindGroup, &wire.GroupChange{Sequence: 2, Verb: wire.CreateGroup, Group: "lab", Grace: 60}, &wire.MutationReply{})
	return ann
}

// A server alone gives no tickets when its clock has gone back since it ran last, and everything else as ever.
func TestClockWentBack(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	file := filepath.Join(state, clockFile)
	s, stop := start(t, Config{State: state, Transport: overTLS})
	ann := inLab(t, s, state, Etcd{})
	must(t, askTicket(t, s, ann))
	must(t, ann.Close())
	must(t, stop())
	line, err := os.ReadFile(file)
	must(t, err)
	latest, err := readClockFile(file)
	must(t, err)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 || time.Since(latest) > time.Minute {
		t.Errorf("%v: %q", err, line)
	}

	// The same as if the clock had gone back: what was told before is later than now.
	later := latest.Add(time.Hour).Format(time.RFC3339Nano)
	must(t, os.WriteFile(file, []byte(later+"\n"), 0o600))
	s, stop = start(t, Config{State: state, Transport: overTLS})
	ann = logIn(t, s, "ann")
	want(t, askTicket(t, s, ann), shoal.Busy, "clock")
	if who := whoami(t, ann); who.User != "ann" {
		t.Errorf("ann is %+v", who)
	}
	must(t, ann.Close())
	must(t, stop())
	if line, err := os.ReadFile(file); err != nil || strings.TrimSpace(string(line)) != later {
		t.Errorf("%v: %q instead of %s", err, line, later)
	}

	must(t, os.WriteFile(file, []byte("yesterday\n"), 0o600))
	_, err = New(t.Context(), Config{Listen: "127.0.0.1:0", State: state, Transport: overTLS})
	want(t, err, shoal.Corrupt, file)
	must(t, os.Remove(file))
	s, _ = start(t, Config{State: state, Transport: overTLS})
	ann = logIn(t, s, "ann")
	must(t, askTicket(t, s, ann))
	must(t, ann.Close())
}

// Servers on one etcd hold their clocks against each other: of two that differ, neither gives tickets. When they agree
// again, those who are connected, and may have learned a wrong time, are told to connect again.
func TestClocksOfTwoServers(t *testing.T) {
	t.Parallel()
	state, etcd := t.TempDir(), anEtcd(t)
	store, err := meta.Open(t.Context(), meta.Options{Endpoints: etcd.Endpoints, Log: zerolog.Nop()})
	must(t, err)
	t.Cleanup(store.Close)
	other := store.NewTimes([32]byte{1}, time.Hour)
	say := func(ahead time.Duration) map[[32]byte]meta.Told {
		t.Helper()
		said, err := other.Exchange(t.Context(), time.Now().Add(ahead))
		must(t, err)
		return said
	}
	say(-2 * clock.Tolerance)
	s, _ := start(t, Config{State: state, Etcd: etcd, Transport: overTLS})
	ann := inLab(t, s, state, etcd)
	want(t, askTicket(t, s, ann), shoal.Busy, "other 1 servers")
	if said := say(0)[s.state.server.Public()]; time.Since(said.Time).Abs() > time.Minute {
		t.Errorf("it says that it is %v", said.Time)
	}
	told, err := s.keeper.store.NewTimes(s.state.server.Public(), time.Hour).Exchange(t.Context(), time.Now())
	must(t, err)
	s.time.heard(told) // it would ask some seconds later
	wantBye(t, ann.Established, shoal.Busy)
	ann.Close()
	ann = logIn(t, s, "ann")
	must(t, askTicket(t, s, ann))
	ann.Close()
}
