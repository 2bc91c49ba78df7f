package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"shoal/tests/netns"
)

// island is a network and mount namespace. Processes on it reach the world through links only, at the addresses that
// everybody knows: so the speed of each connection is the test's to decide, and the processes know nothing of it.
type island struct {
	w  *world
	do chan func() // carried out by the island's thread
}

// newIsland makes an island with a link to the server. The test is skipped where that is not allowed.
func newIsland(w *world) *island {
	w.Helper()
	if os.Geteuid() != 0 {
		w.Skip("only root may make a network namespace")
	}
	i := &island{w: w, do: make(chan func())}
	made := make(chan error)
	go i.live(made)
	if err := <-made; err != nil {
		w.Skipf("making a network namespace: %v", err)
	}
	w.Cleanup(func() { close(i.do) })
	if w.address != "" {
		i.link(w.address).open()
	}
	return i
}

// live is the island's thread. It ends with the goroutine, because no other goroutine could live there; processes that
// it has started must have ended by then.
func (i *island) live(made chan<- error) {
	runtime.LockOSThread()
	err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS)
	if err == nil {
		err = netns.LoopbackUp()
	}
	if err == nil {
		err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	}
	made <- err
	if err != nil {
		return
	}
	for f := range i.do {
		f()
	}
}

// run runs f on the island and returns when it has.
func (i *island) run(f func()) {
	done := make(chan struct{})
	i.do <- func() { defer close(done); f() }
	<-done
}

// start is world.start on the island.
func (i *island) start(state string, args ...string) *process {
	i.w.Helper()
	i.w.enrolState(state, args)
	return i.launch(i.w.binary, i.w.environment(state), args...)
}

// launch starts any program on the island.
func (i *island) launch(program string, environment []string, args ...string) *process {
	i.w.Helper()
	p := prepare(i.w.T, program, i.w.dir, environment, args...)
	var err error
	i.run(func() { err = p.cmd.Start() }) // a child lives where the thread does that made it
	p.watch(err)
	return p
}

// get is world.get on the island.
func (i *island) get(state string, args ...string) *process {
	i.w.Helper()
	return i.start(state, append([]string{"get", "--json"}, args...)...)
}

// tmpfs mounts a filesystem of that size at path, which only the island sees.
func (i *island) tmpfs(path string, size int64) {
	i.w.Helper()
	var err error
	i.run(func() { err = unix.Mount("tmpfs", path, "tmpfs", 0, fmt.Sprintf("size=%d", size)) })
	if err != nil {
		i.w.Skipf("mounting a tmpfs: %v", err)
	}
}

// link is the way from an island to one address of the world. What comes from there passes only as far as the link
// allows; what goes there always passes.
type link struct {
	t       *testing.T
	target  string
	carried atomic.Int64 // bytes that came from there
	run     sync.WaitGroup

	mu      sync.Mutex // guards the rest
	change  sync.Cond
	allowed int64 // bytes that may come in all; everything when negative
	cut     bool
	ends    map[net.Conn]struct{}
}

// link makes a link to the address, through which nothing comes yet.
func (i *island) link(address string) *link {
	i.w.Helper()
	l := &link{t: i.w.T, target: address, ends: map[net.Conn]struct{}{}}
	l.change.L = &l.mu
	var listener net.Listener
	var err error
	i.run(func() { listener, err = net.Listen("tcp", address) })
	if err != nil {
		i.w.Fatalf("linking to %s: %v", address, err)
	}
	l.run.Go(func() { l.accept(listener) })
	i.w.Cleanup(func() {
		listener.Close()
		l.hangUp()
		l.run.Wait()
	})
	return l
}

// links makes a link to each peer.
func (i *island) links(peers []*peer) []*link {
	i.w.Helper()
	links := make([]*link, len(peers))
	for k, p := range peers {
		links[k] = i.link(p.address)
	}
	return links
}

// allow lets bytes come until there have been n in all.
func (l *link) allow(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.allowed = n
	l.change.Broadcast()
}

// open lets everything come.
func (l *link) open() { l.allow(-1) }

// isSpent reports that everything that may come has come.
func (l *link) isSpent() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if got := l.carried.Load(); l.allowed < 0 || got < l.allowed {
		return fmt.Errorf("%d of %d bytes have come from %s", got, l.allowed, l.target)
	}
	return nil
}

// hangUp breaks all connections and makes no more.
func (l *link) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	for end := range l.ends {
		end.Close()
	}
	l.change.Broadcast()
}

func (l *link) accept(listener net.Listener) {
	for {
		near, err := listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", l.target)
		if err != nil { // as if nobody listened there
			_ = near.(*net.TCPConn).SetLinger(0)
			near.Close()
			continue
		}
		if !l.adopt(near, far) {
			return
		}
		l.run.Go(func() { l.carry(near, far) })
	}
}

func (l *link) adopt(ends ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, end := range ends {
		if l.cut {
			end.Close()
		}
		l.ends[end] = struct{}{}
	}
	return !l.cut
}

// carry joins two connections until either ends.
func (l *link) carry(near, far net.Conn) {
	var out sync.WaitGroup
	out.Go(func() {
		_, _ = io.Copy(far, near)
		near.Close()
		far.Close()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.change.Broadcast()
	})
	_, _ = io.Copy(&gate{l, near, far}, far)
	near.Close()
	far.Close()
	out.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.ends, near)
	delete(l.ends, far)
}

// gate writes to near what the link allows.
type gate struct {
	link      *link
	near, far net.Conn
}

func (g *gate) Write(b []byte) (written int, err error) {
	for len(b) > 0 {
		n := g.link.take(len(b), g.near)
		if n == 0 {
			return written, net.ErrClosed
		}
		n, err = g.near.Write(b[:n])
		b, written = b[n:], written+n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// take waits until some of n bytes may pass, and returns how many; 0 when the connection has ended.
func (l *link) take(n int, near net.Conn) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.cut && !closed(near) {
		if free := l.allowed - l.carried.Load(); l.allowed < 0 || free > 0 {
			if l.allowed >= 0 {
				n = int(min(int64(n), free))
			}
			l.carried.Add(int64(n))
			return n
		}
		l.change.Wait()
	}
	return 0
}

// closed reports whether this side has closed the connection.
func closed(c net.Conn) bool {
	raw, err := c.(*net.TCPConn).SyscallConn()
	return err != nil || raw.Control(func(uintptr) {}) != nil
}
