package accept

import (
	"context"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

const (
	// silentPlaces is how many connections there may be in a Lobby that have yet to say anything, and take some 5 KiB each;
	// fewer where the system allows few files.
	silentPlaces = 4096
	// provingPlaces is how many more there may be that have begun, and take up to 40 KiB each.
	provingPlaces = 1024
	// LobbyPlaces is how many there may be in all.
	LobbyPlaces = silentPlaces + provingPlaces
)

// Lobby is where connections are until they have proven who they are. Whoever fills it with silence, or with one byte after
// the other, keeps nobody out: there is a place for each who comes, taken from who has been there for longest. What the
// proofs cost in processor time takes turns, so that a flood of them leaves the rest of the process a core, and each
// address its share.
type Lobby struct {
	silent   *Room // settled there is who has said something, and waits for its first turn
	proving  *Room // who has had that; settled there is who has a turn or waits for one
	turns    *turns
	patience time.Duration
}

// NewLobby makes an empty one, in which a connection has so long to prove who it is.
func NewLobby(patience time.Duration) *Lobby {
	silent := silentPlaces
	var files unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &files) == nil {
		silent = int(max(16, min(silentPlaces, files.Cur/4)))
	}
	return &Lobby{
		silent: NewRoom(silent, 0), proving: NewRoom(provingPlaces, 0), turns: newTurns(max(1, runtime.GOMAXPROCS(0)-1)),
		patience: patience,
	}
}

// Guest is a connection in a Lobby. What is read from it comes with a turn, which lasts until more is to be read; so
// between two reads only what does not wait may be done, and a few KiB be written, which the kernel takes at once.
type Guest struct {
	net.Conn
	lobby *Lobby
	seat  *Seat
	until time.Time
	gone  atomic.Bool // it is no guest any more

	// What follows is its goroutine's until it is gone.
	first  [1]byte
	peeked bool // first is yet to be read
	turn   bool
}

// Serve accepts connections from l until ctx ends, and closes l. It calls serve for each that says something, in a goroutine
// of its own; Leave must be called within serve. It returns when all of these have ended. The error says why accepting ended
// by itself; the end of ctx is none.
func (y *Lobby) Serve(ctx context.Context, l net.Listener, log zerolog.Logger, serve func(context.Context, *Guest)) error {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		y.silent.empty()
		y.proving.empty()
	})()
	return Loop(ctx, l, log, func(nc net.Conn) {
		seat, err := enter(ctx, y.silent, nc)
		if err != nil {
			nc.Close()
			return
		}
		g := &Guest{Conn: nc, lobby: y, seat: seat, until: time.Now().Add(y.patience)}
		all.Go(func() {
			defer g.Leave()
			if g.await() != nil {
				nc.Close()
				return
			}
			serve(ctx, g)
		})
	})
}

// enter gives nc a place in a room. It waits only while half of them are settled: then it is this side that is slow, and
// further ones wait in the kernel's backlog. The error is ctx's.
func enter(ctx context.Context, r *Room, nc net.Conn) (*Seat, error) {
	for freed := r.crowded(); freed != nil; freed = r.crowded() {
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	seat, err := r.Enter(nc)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		seat.Leave()
		return nil, err
	}
	return seat, nil
}

// await waits until the other side has said something: until then nothing else is kept of it. Then it goes among those who
// prove who they are.
func (g *Guest) await() error {
	if err := g.SetReadDeadline(g.until); err != nil {
		return err
	}
	if _, err := g.Conn.Read(g.first[:]); err != nil {
		return err
	}
	g.peeked = true
	g.seat.Settle(true)
	g.lobby.turns.take(g.seat.origin, false)
	g.turn = true
	// Nobody who has had a turn waits for one now, so somebody is there who can go.
	seat, err := g.lobby.proving.Enter(g.Conn)
	g.seat.Leave()
	g.seat = seat
	seat.Settle(true)
	if err != nil {
		return err
	}
	return g.SetReadDeadline(time.Time{})
}

// Deadline returns a context that ends when the guest's time is over.
func (g *Guest) Deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithDeadline(ctx, g.until)
}

// Read implements net.Conn.
func (g *Guest) Read(p []byte) (n int, err error) {
	if g.gone.Load() {
		return g.Conn.Read(p)
	}
	if g.peeked && len(p) > 0 {
		g.peeked = false
		p[0] = g.first[0]
		return 1, nil
	}
	g.rest()
	n, err = g.Conn.Read(p)
	g.seat.Settle(true) // it does not wait for the other side now, and that is not to be held against it
	g.lobby.turns.take(g.seat.origin, true)
	g.turn = true
	return n, err
}

// rest ends the turn, if it has one.
func (g *Guest) rest() {
	if g.turn {
		g.turn = false
		g.lobby.turns.give()
		g.seat.Settle(false)
	}
}

// Leave ends the stay: the connection has proven whose it is, or has ended. From then on a Guest is as the connection that it
// was made of. It may be called more than once, by the goroutine that reads.
func (g *Guest) Leave() {
	g.rest()
	g.seat.Leave()
	g.gone.Store(true)
}

// CloseWrite ends the direction to the other side, where that is possible.
func (g *Guest) CloseWrite() error {
	if half, ok := g.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
