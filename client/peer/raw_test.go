package peer

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/identity"
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
	r.t.Cleanup(func() { _ = nc.Close() })
	e, err := identity.Initiator{
		Key: key, Wanted: wire.ServicePeer, Transport: r.Transport,
		Accept: func(*wire.HelloReply) error { return nil },
	}.Open(r.ctx, nc)
	must(r.t, err)
	must(r.t, e.SetDeadline(time.Now().Add(24*time.Hour)))
	return &raw{t: r.t, Conn: e.Conn, nc: nc, id: 2}
}

// raw is a peer that says whatever a test wants it to.
type raw struct {
	*wire.Conn
	t  *testing.T
	nc net.Conn
	id uint32 // the last one used
}

func (r *raw) send(frames []byte) {
	r.t.Helper()
	_, err := r.Write(frames)
	must(r.t, err)
}

func (r *raw) ask(kind wire.Kind, m wire.Message) (id uint32) {
	r.t.Helper()
	r.id++
	r.send(wire.AppendRequest(nil, kind, r.id, m))
	return r.id
}

// read returns the next frame; the body is a copy, and the block's bytes stand behind it.
func (r *raw) read() wire.Frame {
	r.t.Helper()
	f, err := r.ReadFrame()
	must(r.t, err)
	body := append([]byte(nil), f.Body...)
	if f.Data > 0 {
		data := make([]byte, f.Data)
		must(r.t, r.ReadData(data))
		body = append(body, data...)
	}
	f.Body = body
	return f
}

// reply expects the reply to a request.
func (r *raw) reply(id uint32, kind wire.Kind, m wire.Message) {
	r.t.Helper()
	f := r.read()
	if f.ID != id || f.Kind != kind || f.Flags != wire.FlagReply {
		r.t.Fatalf("got %v instead of the reply to %v %d", f.Header, kind, id)
	}
	must(r.t, wire.Decode(f.Body, m))
}

// refusal expects the error that answers a request.
func (r *raw) refusal(id uint32, kind wire.Kind, code shoal.Code) {
	r.t.Helper()
	f := r.read()
	if f.ID != id || f.Kind != kind || f.Flags != wire.FlagReply|wire.FlagError {
		r.t.Fatalf("got %v instead of an error for %v %d", f.Header, kind, id)
	}
	var m wire.ErrorReply
	must(r.t, wire.Decode(f.Body, &m))
	wantCode(r.t, m.Err(), code)
}

// event expects an event.
func (r *raw) event(kind wire.Kind, m wire.Message) {
	r.t.Helper()
	f := r.read()
	if f.Kind != kind || f.ID != 0 {
		r.t.Fatalf("got %v instead of %v", f.Header, kind)
	}
	must(r.t, wire.Decode(f.Body, m))
}

// bye expects the end of the connection, and nothing after that (rule H10).
func (r *raw) bye(code shoal.Code) {
	r.t.Helper()
	var reason wire.Bye
	r.event(wire.KindBye, &reason)
	wantCode(r.t, reason.Err(), code)
	r.closed()
}

// closed expects that nothing more comes.
func (r *raw) closed() {
	r.t.Helper()
	f, err := r.ReadFrame()
	if err == nil {
		r.t.Fatalf("got %v instead of the end", f.Header)
	}
	if !errors.Is(err, io.EOF) && !errors.Is(err, shoal.Unreachable) && !errors.Is(err, syscall.ECONNRESET) {
		r.t.Fatal(err)
	}
}

// alive expects that the connection goes on, with nothing left unsaid.
func (r *raw) alive() {
	r.t.Helper()
	r.reply(r.ask(wire.KindPing, &wire.Empty{}), wire.KindPing, &wire.Empty{})
}

// join opens a swarm.
func (r *raw) join(swarm shoal.Swarm) wire.JoinReply {
	r.t.Helper()
	var reply wire.JoinReply
	r.reply(r.ask(wire.KindJoin, &wire.Join{Swarm: swarm}), wire.KindJoin, &reply)
	return reply
}

func (r *raw) askBlock(handle uint32, piece, begin, length int) uint32 {
	r.t.Helper()
	return r.ask(wire.KindRequest, &wire.Request{
		Handle: handle, Piece: uint32(piece), Begin: uint32(begin), Length: uint32(length),
	})
}

// block expects a block, and returns its bytes.
func (r *raw) block(id uint32, piece, begin int) []byte {
	r.t.Helper()
	f := r.read()
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
