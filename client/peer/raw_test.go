package peer

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/identity"
	"shoal/tests/script"
	"shoal/wire"
	"shoal/wire/wiretest"
)

var (
	plaintext = identity.Transport{Security: wire.Plaintext}
	overTLS   = identity.Transport{Security: wire.TLS, Buffer: identity.BulkBuffer}
)

// rig is a Server of a test.
type rig struct {
	*Server
	t       *testing.T
	ctx     context.Context
	cancel  context.CancelFunc
	run     sync.WaitGroup
	changed atomic.Int32 // calls of Changed
}

func newRig(t *testing.T, transport identity.Transport) *rig {
	r := &rig{t: t}
	r.Server = &Server{
		Key: identity.NewKey(), Transport: transport, Shelf: NewShelf(), Log: zerolog.Nop(),
		Changed: func(shoal.Swarm, error) { r.changed.Add(1) },
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	t.Cleanup(r.end)
	return r
}

// end stops the server and waits for all that it started.
func (r *rig) end() {
	r.cancel()
	r.run.Wait()
}

// listen lets the server accept real connections, and returns its address.
func (r *rig) listen() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(r.t, err)
	r.run.Go(func() {
		if err := r.Run(r.ctx, l); err != nil {
			r.t.Error(err)
		}
	})
	return l.Addr().String()
}

// pipe connects to the server through buffers of so many bytes; 0 is no limit.
func (r *rig) pipe(size int) *raw {
	r.t.Helper()
	return r.pipeAs(identity.NewKey(), size)
}

// pipeAs is pipe for a device.
func (r *rig) pipeAs(key *identity.Key, size int) *raw {
	r.t.Helper()
	ours, theirs := wiretest.PipeSize(size)
	r.run.Go(func() {
		if c, err := r.welcome(r.ctx, theirs); err == nil {
			r.serve(r.ctx, theirs, c)
		}
	})
	return r.greet(key, ours)
}

func (r *rig) dial(address string) *raw {
	r.t.Helper()
	nc, err := net.Dial("tcp", address)
	must(r.t, err)
	return r.greet(identity.NewKey(), nc)
}

func (r *rig) greet(key *identity.Key, nc net.Conn) *raw {
	r.t.Helper()
	c, _ := script.Open(r.t, nc, identity.Initiator{Key: key, Wanted: wire.ServicePeer, Transport: r.Transport})
	must(r.t, c.SetDeadline(time.Now().Add(24*time.Hour)))
	return &raw{c, r.t, nc}
}

// raw is a peer that says whatever a test wants it to.
type raw struct {
	*script.Speaker
	t  *testing.T
	nc net.Conn
}

// join opens a swarm.
func (r *raw) join(swarm shoal.Swarm) wire.JoinReply {
	r.t.Helper()
	var reply wire.JoinReply
	r.Reply(r.Ask(wire.KindJoin, &wire.Join{Swarm: swarm}), wire.KindJoin, &reply)
	return reply
}

func (r *raw) askBlock(handle uint32, piece, begin, length int) uint32 {
	r.t.Helper()
	return r.Ask(wire.KindRequest, &wire.Request{
		Handle: handle, Piece: uint32(piece), Begin: uint32(begin), Length: uint32(length),
	})
}

// block expects a block, and returns its bytes.
func (r *raw) block(id uint32, piece, begin int) []byte {
	r.t.Helper()
	f := r.Next()
	if f.ID != id || !f.IsPiece() {
		r.t.Fatalf("got %v instead of a PIECE for %d", f.Header, id)
	}
	var head wire.PieceHead
	must(r.t, wire.Decode(f.Body[:8], &head))
	if head != (wire.PieceHead{Piece: uint32(piece), Begin: uint32(begin)}) {
		r.t.Fatalf("got %+v instead of piece %d at %d (rule P7)", head, piece, begin)
	}
	return f.Body[8:]
}
