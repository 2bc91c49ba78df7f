package peer

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"shoal"
	"shoal/client/link"
	"shoal/wire"
)

// sink takes what comes from suppliers for one transfer. Its methods are called by the connection's reading goroutine, or by
// who asks for something on a connection that has ended. They must not block, but for block, which may wait for memory.
type sink interface {
	// connected: the supplier is there, and has all pieces, or those of the bitfield. What follows comes after it, and the
	// sink must leave j some day.
	connected(j supplier, whole bool, bitfield []byte)
	// have: the peer has these further pieces.
	have(j supplier, pieces []uint32)
	// choked: the peer sends no blocks for now, or does again.
	choked(j supplier, choked bool)
	// block: the peer sends a block that was asked for, and perhaps canceled; read fills a buffer with all of it. What is
	// not read is thrown away. An error is passed to refused.
	block(j supplier, r *wire.Request, read func([]byte) error) error
	// refused: the peer answered the request for a block by an error.
	refused(j supplier, r *wire.Request, err error)
	// lost: the swarm or its connection ended.
	lost(j supplier, err error)
}

// Joined is a transfer's part in a connection: a swarm that was joined on it.
type Joined struct {
	*origin
	conn     *conn
	sink     sink
	swarm    shoal.Swarm
	ticket   []byte // that the peer was shown last; the owner's once it was told
	handle   uint32
	whole    bool
	bitfield shoal.Bitfield
	isChoked bool           // the reading goroutine's, as bitfield is
	hidden   int            // pieces that the peer has not announced; likewise
	open     atomic.Bool    // the peer has announced everything
	told     shoal.Bitfield // the pieces that the peer was told are here; nil where it is told of none; the owner's
	state    joinState      // the conn's mu guards it

	// The owner's: when the next EXCHANGE is due, from the transfer's beginning, whether one waits for its reply, and
	// whether there was any.
	exchangeAt            time.Duration
	exchanging, exchanged bool

	mu       sync.Mutex // guards requests
	requests map[wire.Request]*wantedBlock
}

type joinState uint8

const (
	joining   joinState = iota
	isOpen              // the sink was told
	abandoned           // nobody waits for the reply to JOIN any more
)

// wantedBlock is one request for a part of a piece.
type wantedBlock struct {
	j *Joined
	wire.Request
	id uint32 // of the request; 0 before it is sent. j's mu guards it
}

// join joins a swarm on the connection. If it returns nil, to has been told.
func (c *conn) join(ctx context.Context, m wire.Join, to sink) error {
	j := &Joined{
		origin: &origin{id: c.id, ctx: c.ctx, waiting: &c.waiting},
		conn:   c, sink: to, swarm: m.Swarm, ticket: m.Ticket, requests: map[wire.Request]*wantedBlock{},
	}
	done := make(chan error, 1)
	c.link.Start(wire.KindJoin, &m, func(f wire.Frame, err error) {
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
	if !reply.Whole && !reply.Bitfield.Fits(pieces) {
		return shoal.Errorf(shoal.BadRequest, "a bitfield that does not fit %d pieces (rule P3)", pieces)
	}
	j.conn.mu.Lock()
	defer j.conn.mu.Unlock()
	j.handle, j.whole = reply.Handle, reply.Whole
	j.bitfield = append([]byte(nil), reply.Bitfield...)
	j.hidden = pieces - j.bitfield.Count()
	if !reply.Whole && bytes.Count(reply.Bitfield, []byte{0}) == len(reply.Bitfield) {
		j.told = make([]byte, len(reply.Bitfield)) // rule P22
	}
	switch {
	case j.conn.joined[j.handle] != nil:
		return shoal.Errorf(shoal.BadRequest, "handle %d is given to two swarms", j.handle)
	case j.state == abandoned:
		j.sendLeave()
	default:
		j.state = isOpen
		j.conn.joined[j.handle] = j
		j.sink.connected(j, j.whole, bytes.Clone(j.bitfield))
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

func (j *Joined) received() int64 { return j.conn.link.Received() }

func (j *Joined) curious() bool { return j.told != nil && !j.open.Load() }

func (j *Joined) fail(why error) { j.conn.link.Close(why) }

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
		if j.whole || j.bitfield.Has(int(p)) {
			return shoal.Errorf(shoal.BadRequest, "piece %d is announced for the second time (rule P12)", p)
		}
		j.bitfield.Set(int(p))
		j.hidden--
	}
	if j.hidden == 0 {
		j.open.Store(true)
	}
	j.sink.have(j, pieces)
	return nil
}

// choke takes CHOKE and UNCHOKE.
func (j *Joined) choke(choked bool) error {
	if choked == j.isChoked {
		return shoal.Errorf(shoal.BadRequest, "CHOKE or UNCHOKE twice (rule P20)")
	}
	j.isChoked = choked
	j.sink.choked(j, choked)
	return nil
}

// tell tells the peer of pieces that are here, if it is one that wants to know (rule P22).
func (j *Joined) tell(pieces ...int) {
	if !j.curious() {
		return
	}
	var news []uint32
	flush := func() {
		if len(news) > 0 {
			j.conn.link.Event(wire.KindHave, &wire.Have{Handle: j.handle, Pieces: news})
		}
		news = news[:0]
	}
	for _, p := range pieces {
		if j.told.Has(p) {
			continue
		}
		j.told.Set(p)
		if news = append(news, uint32(p)); len(news) == wire.MaxHave {
			flush()
		}
	}
	flush()
}

// fetch asks for a block. The sink's block or refused, or lost, tells how that went.
func (j *Joined) fetch(piece, begin, length int) {
	b := &wantedBlock{j: j, Request: wire.Request{
		Handle: j.handle, Piece: uint32(piece), Begin: uint32(begin), Length: uint32(length),
	}}
	j.mu.Lock()
	j.requests[b.Request] = b
	j.mu.Unlock()
	j.conn.link.Ask(wire.KindRequest, &b.Request, b)
}

// cancel takes back the request for a block. If it comes all the same it is thrown away.
func (j *Joined) cancel(piece, begin, length int) {
	r := wire.Request{Handle: j.handle, Piece: uint32(piece), Begin: uint32(begin), Length: uint32(length)}
	j.mu.Lock()
	b := j.requests[r]
	delete(j.requests, r)
	j.mu.Unlock()
	if b != nil && b.id != 0 {
		j.conn.link.Event(wire.KindCancel, &wire.Cancel{ID: b.id})
	}
}

// Asked implements link.Asker.
func (b *wantedBlock) Asked(id uint32) {
	b.j.mu.Lock()
	defer b.j.mu.Unlock()
	b.id = id
}

// Answered implements link.Asker: it takes the block, and tells the sink.
func (b *wantedBlock) Answered(f wire.Frame, err error) {
	j := b.j
	if err == nil {
		err = b.read(f)
	}
	j.mu.Lock()
	wanted := j.requests[b.Request] == b
	if wanted {
		delete(j.requests, b.Request)
	}
	j.mu.Unlock()
	var lost *link.LostError
	if err != nil && wanted && !errors.As(err, &lost) {
		j.sink.refused(j, &b.Request, err)
	}
}

// read lets the sink take a block's bytes from the connection.
func (b *wantedBlock) read(f wire.Frame) error {
	c := b.j.conn
	head, err := wire.DecodePieceHead(f.Body)
	if err == nil && (head.Piece != b.Piece || head.Begin != b.Begin || f.Data != int(b.Length)) {
		err = shoal.Errorf(shoal.BadRequest, "%d bytes of piece %d at %d where %d of %d at %d were asked for (rule P7)",
			f.Data, head.Piece, head.Begin, b.Length, b.Piece, b.Begin)
	}
	if err != nil {
		c.link.Close(err)
		return err
	}
	return b.j.sink.block(b.j, &b.Request, c.link.ReadData)
}

// hashes fetches the values of a piece's blocks of 16 KiB. They are not verified.
func (j *Joined) hashes(ctx context.Context, piece int) ([]shoal.Hash, error) {
	var reply wire.HashesReply
	err := j.conn.link.Call(ctx, wire.KindHashes, &wire.HashesRequest{Handle: j.handle, Piece: uint32(piece)}, &reply)
	return reply.Values, err
}
