package peer

import (
	"bytes"
	"context"
	"slices"
	"sync"

	"shoal"
	"shoal/wire"
)

// sink takes what comes from a peer for one transfer. All its methods but piece are called by the connection's reading
// goroutine, or by who asks for something on a connection that has ended, and must not block.
type sink interface {
	// connected: the swarm was joined. What follows comes after it, and the sink must leave j some day.
	connected(j *Joined)
	// have: the peer has these further pieces.
	have(j *Joined, pieces []uint32)
	// piece: data is what the peer sent for a piece; it is not verified, and reused after the call. It is called by a
	// goroutine of its own, which may take its time.
	piece(j *Joined, piece int, data []byte)
	// refused: the peer answered the request for a piece by an error.
	refused(j *Joined, piece int, err error)
	// lost: the swarm or its connection ended.
	lost(j *Joined, err error)
}

// Joined is a transfer's part in a connection: a swarm that was joined on it.
type Joined struct {
	conn     *conn
	sink     sink
	swarm    shoal.Swarm
	ticket   []byte // that the peer was shown last; the owner's once it was told
	handle   uint32
	whole    bool
	bitfield []byte
	state    joinState // the conn's mu guards it
	heard    int64     // the owner's: bytes received on the connection when it looked last

	mu       sync.Mutex // guards requests, and in each what it says
	requests map[int]*assembly
}

type joinState uint8

const (
	joining   joinState = iota
	isOpen              // the sink was told
	abandoned           // nobody waits for the reply to JOIN any more
)

// assembly is a piece that was asked for, block by block, and what has come of it.
type assembly struct {
	j       *Joined
	piece   int
	buf     []byte        // from the pool's buffers, once the first block comes; the reading goroutine owns it
	blocks  []wantedBlock // all there are; j's mu guards their ids, and the rest
	missing int           // replies that have not come
	cancel  bool          // it was taken back
	err     error         // why the piece will not be whole
}

// wantedBlock is one request for a part of a piece.
type wantedBlock struct {
	of *assembly
	wire.Request
	id uint32 // of the request; 0 before it is sent
}

// assemblies are those that are over: thousands of pieces need only a few.
var assemblies = sync.Pool{New: func() any { return new(assembly) }}

// join joins a swarm on the connection, with a ticket if one is needed. If it returns nil, to has been told.
func (c *conn) join(ctx context.Context, sw shoal.Swarm, ticket []byte, to sink) error {
	j := &Joined{conn: c, sink: to, swarm: sw, ticket: ticket, requests: map[int]*assembly{}}
	done := make(chan error, 1)
	c.link.Start(wire.KindJoin, &wire.Join{Swarm: sw, Ticket: ticket}, func(f wire.Frame, err error) {
		if err == nil {
			if err = j.opened(f); err != nil {
				c.link.Close(err)
			}
		}
		done <- err
	})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		if j.state == isOpen {
			return nil
		}
		j.state = abandoned
		return context.Cause(ctx)
	}
}

// opened takes JOIN's reply, in the reading goroutine: events for the handle may follow right behind.
func (j *Joined) opened(f wire.Frame) error {
	var reply wire.JoinReply
	if err := wire.Decode(f.Body, &reply); err != nil {
		return err
	}
	pieces := j.swarm.Object.Pieces()
	if !reply.Whole {
		spare := 8*((pieces+7)/8) - pieces
		if len(reply.Bitfield) != (pieces+7)/8 || reply.Bitfield[len(reply.Bitfield)-1]&(1<<spare-1) != 0 {
			return shoal.Errorf(shoal.BadRequest, "a bitfield that does not fit %d pieces (rule P3)", pieces)
		}
	}
	j.conn.mu.Lock()
	defer j.conn.mu.Unlock()
	j.handle, j.whole = reply.Handle, reply.Whole
	j.bitfield = append([]byte(nil), reply.Bitfield...)
	switch {
	case j.conn.joined[j.handle] != nil:
		return shoal.Errorf(shoal.BadRequest, "handle %d is given to two swarms", j.handle)
	case j.state == abandoned:
		j.sendLeave()
	default:
		j.state = isOpen
		j.conn.joined[j.handle] = j
		j.sink.connected(j)
	}
	return nil
}

func (j *Joined) sendLeave() {
	j.conn.link.Start(wire.KindLeave, &wire.Leave{Handle: j.handle}, func(wire.Frame, error) {})
}

// renew shows the peer another ticket, unless it has seen that. A peer that refuses it goes on with the one before, for as
// long as that counts (rule P15).
func (j *Joined) renew(ticket []byte) {
	if bytes.Equal(j.ticket, ticket) {
		return
	}
	j.ticket = ticket
	j.conn.link.Start(wire.KindRenew, &wire.Renew{Handle: j.handle, Ticket: ticket}, func(_ wire.Frame, err error) {
		if err != nil {
			j.conn.pool.log.Debug().Err(err).Stringer("device", j.conn.id.Device).Msg("a peer refuses a new ticket")
		}
	})
}

// leave ends the transfer's part in the connection, and the connection if nobody else uses it.
func (j *Joined) leave() {
	if j.conn.remove(j) {
		j.sendLeave()
	}
	j.conn.pool.release(j.conn)
}

// manifest fetches what should prove the object. It is not verified.
func (j *Joined) manifest(ctx context.Context) (*shoal.Manifest, error) {
	var reply wire.ManifestReply
	err := j.conn.link.Call(ctx, wire.KindManifest, &wire.ManifestRequest{Handle: j.handle}, &reply)
	return &reply.Manifest, err
}

// have checks the pieces that the peer announces, and passes them on: each once, so that it cannot fill the memory.
func (j *Joined) have(pieces []uint32) error {
	for _, p := range pieces {
		if int64(p) >= int64(j.swarm.Object.Pieces()) {
			return shoal.Errorf(shoal.BadRequest, "piece %d is announced, of an object of %d (rule P12)", p, j.swarm.Object.Pieces())
		}
		if j.whole || bit(j.bitfield, int(p)) {
			return shoal.Errorf(shoal.BadRequest, "piece %d is announced for the second time (rule P12)", p)
		}
		j.bitfield[p/8] |= 0x80 >> (p % 8)
	}
	j.sink.have(j, pieces)
	return nil
}

// fetch asks for a piece. The sink's piece or refused, or lost, tells how that went.
func (j *Joined) fetch(piece int) {
	_, length := j.swarm.Object.PieceRange(piece)
	count := int(max(1, (length+shoal.MaxBlock-1)/shoal.MaxBlock))
	a := assemblies.Get().(*assembly)
	*a = assembly{j: j, piece: piece, missing: count, blocks: slices.Grow(a.blocks[:0], count)[:count]}
	for i := range a.blocks {
		begin := int64(i) * shoal.MaxBlock
		a.blocks[i] = wantedBlock{of: a, Request: wire.Request{
			Handle: j.handle, Piece: uint32(piece), Begin: uint32(begin), Length: uint32(min(shoal.MaxBlock, length-begin)),
		}}
	}
	j.mu.Lock()
	j.requests[piece] = a
	j.mu.Unlock()
	for i := range count { // a is over, and perhaps another's, as soon as the last one was asked for
		b := &a.blocks[i]
		j.conn.link.Ask(wire.KindRequest, &b.Request, b)
	}
}

// cancel takes back the request for a piece. If it comes all the same it is as welcome as any.
func (j *Joined) cancel(piece int) {
	var ids []uint32
	j.mu.Lock()
	if a := j.requests[piece]; a != nil {
		a.cancel = true
		for _, b := range a.blocks {
			if b.id != 0 {
				ids = append(ids, b.id)
			}
		}
	}
	j.mu.Unlock()
	for _, id := range ids {
		j.conn.link.Event(wire.KindCancel, &wire.Cancel{ID: id})
	}
}

// Asked implements link.Asker.
func (b *wantedBlock) Asked(id uint32) {
	b.of.j.mu.Lock()
	defer b.of.j.mu.Unlock()
	b.id = id
}

// Answered implements link.Asker: it takes the block, and with the last one of a piece hands that on.
func (b *wantedBlock) Answered(f wire.Frame, err error) {
	a := b.of
	j, pool := a.j, a.j.conn.pool
	if err == nil {
		err = b.read(f)
	}
	last, canceled, err := j.account(a, err)
	if !last {
		return
	}
	if a.buf != nil {
		j.conn.assembling--
	}
	if err == nil {
		// The next piece is read while this one is hashed and written.
		pool.writers <- struct{}{}
		pool.run.Add(1)
		go a.handOn()
		return
	}
	if !canceled {
		j.sink.refused(j, a.piece, err)
	}
	if a.buf != nil {
		pool.buffers.Put(a.buf)
	}
	assemblies.Put(a)
}

// handOn gives a whole piece to the sink.
func (a *assembly) handOn() {
	pool := a.j.conn.pool
	defer pool.run.Done()
	a.j.sink.piece(a.j, a.piece, a.buf)
	pool.buffers.Put(a.buf)
	assemblies.Put(a)
	<-pool.writers
}

// account notes one reply of a piece; it reports whether that was the last one, whether the piece was taken back, and
// what went wrong first.
func (j *Joined) account(a *assembly, err error) (last, canceled bool, first error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if a.err == nil {
		a.err = err
	}
	a.missing--
	if a.missing == 0 && j.requests[a.piece] == a {
		delete(j.requests, a.piece)
	}
	return a.missing == 0, a.cancel, a.err
}

// read takes a block's bytes from the connection into the piece's buffer.
func (b *wantedBlock) read(f wire.Frame) error {
	a, c := b.of, b.of.j.conn
	head, err := wire.DecodePieceHead(f.Body)
	if err == nil && (head.Piece != b.Piece || head.Begin != b.Begin || f.Data != int(b.Length)) {
		err = shoal.Errorf(shoal.BadRequest, "%d bytes of piece %d at %d where %d of %d at %d were asked for (rule P7)",
			f.Data, head.Piece, head.Begin, b.Length, b.Piece, b.Begin)
	}
	if err == nil && a.buf == nil {
		_, length := a.j.swarm.Object.PieceRange(a.piece)
		a.buf, err = c.buffer(int(length))
	}
	if err != nil {
		c.link.Close(err)
		return err
	}
	return c.link.ReadData(a.buf[b.Begin : b.Begin+b.Length])
}
