package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/client"
	"shoal/client/tracker"
	"shoal/wire"
)

// twoServers are servers of one realm on Debian's etcd. Each reaches it by a relay of its own, and ann, the first user, is
// logged in at each, with a device of its own.
type twoServers struct {
	*world
	etcd     *debianEtcd
	relays   [2]*relay
	servers  [2]*process
	sessions [2]*tracker.Tracker
}

func newTwoServers(t *testing.T) *twoServers {
	t.Helper()
	const password = "correct horse battery"
	names := [2]string{"left", "right"}
	s := &twoServers{world: bareWorld(t)}
	s.etcd = startEtcd(s.world)
	s.shoal(names[0], "server", "realm", "export", s.path("root")).ok()
	s.shoal(names[1], "server", "realm", "import", s.path("root")).ok()
	for i, name := range names {
		s.relays[i] = newRelay(t, s.etcd.address)
		flags := s.flags(i, "ca.pem", "client")
		if i == 0 {
			s.reads(name, password, append([]string{"server", "user", "ann"}, flags...)...).ok()
		}
		s.startServerOf(name, flags)
		s.servers[i] = s.server
		s.reads("ann at "+name, password, "login", "ann").ok()
		s.sessions[i] = s.session("ann at " + name)
	}
	return s
}

// flags say where etcd is for a server, whom it trusts, and what it is.
func (s *twoServers) flags(i int, authority, who string) []string {
	return []string{
		"--etcd", "https://" + s.relays[i].address(), "--etcd-ca", s.path(authority), "--etcd-cert", s.path(who + ".pem"), "--etcd-key", s.path(who + ".key"),
	}
}

// startServerOf starts a server, of the same realm as the one before.
func (s *twoServers) startServerOf(name string, flags []string) {
	s.Helper()
	s.server = s.start(name, append([]string{"server", "--listen", "127.0.0.1:0", "--json"}, flags...)...)
	e := s.server.await("listening", nil)
	if s.realm != "" && s.realm != e.Realm {
		s.Fatalf("the servers are of realms %s and %s", s.realm, e.Realm)
	}
	s.address, s.realm = e.Address, e.Realm
}

// reads runs a command to its end that reads a line.
func (s *twoServers) reads(state, line string, args ...string) result {
	s.Helper()
	p := prepare(s.T, s.binary, s.dir, s.environment(state), args...)
	p.cmd.Stdin = strings.NewReader(line + "\n")
	p.watch(fork(p.cmd.Start))
	return p.wait()
}

// session is a device's with the latest server, in this process.
func (s *twoServers) session(state string) *tracker.Tracker {
	s.Helper()
	c, err := client.Open(s.Context(), client.Config{
		Server: s.address, State: s.path("state", state), Transport: s.transport(), Log: zerolog.Nop(),
	}, client.Silent, nil)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(c.Close)
	return c.Session()
}

// groups are those that ann made, as a server tells of them.
func (s *twoServers) groups(i int) (names []string, err error) {
	entries, err := s.sessions[i].Groups(s.Context())
	for _, e := range entries {
		if e.Group != shoal.Public {
			names = append(names, string(e.Group))
		}
	}
	return names, err
}

// knows waits until a server, which may answer that it cannot say, says that there are those groups. It must not say
// anything else.
func (s *twoServers) knows(i int, want ...string) {
	s.Helper()
	eventually(s.T, func() error {
		names, err := s.groups(i)
		if err == nil && !slices.Equal(names, want) {
			s.Fatalf("server %d says that there are %q, not %q", i, names, want)
		}
		return err
	})
}

func (s *twoServers) create(i int, group shoal.Group) {
	s.Helper()
	if err := s.sessions[i].CreateGroup(s.Context(), group, 60); err != nil {
		s.Fatalf("creating %s: %v", group, err)
	}
}

func (s *twoServers) remove(i int, group shoal.Group) {
	s.Helper()
	if err := s.sessions[i].ChangeGroup(s.Context(), wire.DeleteGroup, group, ""); err != nil {
		s.Fatalf("deleting %s: %v", group, err)
	}
}

// TestDebiansEtcd loses a server's watch on Debian's etcd twice: for a while, and until etcd has forgotten what happened
// meanwhile. Either way the server tells nothing that is not so any more, and then everything. Who cannot prove to be a
// client of that etcd, or takes another for it, gets nowhere.
func TestDebiansEtcd(t *testing.T) {
	t.Parallel()
	s := newTwoServers(t)
	unknown := s.start("third", append([]string{"server", "--listen", "127.0.0.1:0"}, s.flags(0, "ca.pem", "stranger")...)...)
	deceived := s.start("fourth", append([]string{"server", "--listen", "127.0.0.1:0"}, s.flags(0, "stranger.pem", "client")...)...)
	const relisted = "listing all again"

	s.create(0, "one")
	s.knows(1, "one")
	s.relays[0].setCut(true)
	s.create(1, "two")
	s.remove(1, "one")
	s.relays[0].setCut(false)
	s.knows(0, "two")
	s.create(0, "three")
	s.knows(1, "three", "two")

	s.relays[0].setCut(true)
	s.create(1, "four")
	s.remove(1, "two")
	etcd := s.etcd.client()
	now, err := etcd.Get(t.Context(), "anything")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := etcd.Compact(t.Context(), now.Header.Revision); err != nil {
		t.Fatal(err)
	}
	before := strings.Count(s.servers[0].errors(), relisted)
	s.relays[0].setCut(false)
	s.knows(0, "four", "three")
	if after := strings.Count(s.servers[0].errors(), relisted); after == before {
		t.Error("the watch went on over what etcd has forgotten")
	}
	s.create(0, "five")
	s.knows(1, "five", "four", "three")
	if strings.Contains(s.servers[1].errors(), relisted) {
		t.Error("the other server lost its watch, too")
	}

	unknown.wait().exit(8, "reaching etcd at https:", "--etcd-cert")
	deceived.wait().exit(8, "reaching etcd at https:", "signed by unknown authority")
}

// TestDebiansEtcdRestarts kills etcd while both servers change the state as fast as they can, and starts it again: what
// was acknowledged is there, and it goes on.
func TestDebiansEtcdRestarts(t *testing.T) {
	t.Parallel()
	s := newTwoServers(t)
	l := &load{ended: make(chan struct{})}
	for i := range s.sessions {
		for k := range 4 {
			l.run.Go(func() { l.create(s, i, fmt.Sprintf("%d-%d", i, k)) })
		}
	}
	const each = 50
	for range 3 {
		s.waitForLoad(l, each)
		s.etcd.process.kill()
		s.etcd.start()
	}
	s.waitForLoad(l, each)
	close(l.ended)
	l.run.Wait()
	slices.Sort(l.acknowledged)
	t.Logf("%d groups, after %d failures", len(l.acknowledged), l.failures.Load())
	for i := range s.sessions {
		names, err := s.groups(i)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(names)
		if !slices.Equal(names, l.acknowledged) {
			t.Errorf("server %d knows of %d groups; %d were acknowledged", i, len(names), len(l.acknowledged))
		}
	}
}

// load makes groups.
type load struct {
	run      sync.WaitGroup
	ended    chan struct{} // closed when it is to end
	count    atomic.Int64  // of those that were acknowledged
	failures atomic.Int64

	mu           sync.Mutex // guards acknowledged
	acknowledged []string
}

// create makes groups at a server, each until it is known to be there.
func (l *load) create(s *twoServers, i int, prefix string) {
	for k := 0; ; k++ {
		select {
		case <-l.ended:
			return
		case <-s.Context().Done():
			return
		default:
		}
		group := fmt.Sprintf("%s-%d", prefix, k)
		for {
			err := s.sessions[i].CreateGroup(s.Context(), shoal.Group(group), 60)
			if err == nil || errors.Is(err, shoal.Exists) { // an attempt that failed had been carried out after all
				break
			}
			l.failures.Add(1)
			if code := shoal.CodeOf(err); code != shoal.Unreachable && code != shoal.Busy {
				s.Errorf("creating %s: %v", group, err)
				return
			}
		}
		l.mu.Lock()
		l.acknowledged = append(l.acknowledged, group)
		l.mu.Unlock()
		l.count.Add(1)
	}
}

// waitForLoad waits until so many more have been acknowledged.
func (s *twoServers) waitForLoad(l *load, more int64) {
	s.Helper()
	until := l.count.Load() + more
	eventually(s.T, func() error {
		if n := l.count.Load(); n < until {
			return fmt.Errorf("%d groups, not %d yet", n, until)
		}
		return nil
	})
}
