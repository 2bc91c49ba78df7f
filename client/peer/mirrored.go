package peer

import (
	"context"
	"sync/atomic"

	"shoal"
	"shoal/client/mirror"
	"shoal/client/swarm"
	"shoal/wire"
)

// mirrored is a mirror that a transfer reads from.
type mirrored struct {
	*origin
	conn *mirror.Conn
	sink sink
}

// openMirror connects to a mirror. If it returns nil, the transfer has been told.
func (t *transfer) openMirror(ctx context.Context, s *mirror.Source, o origin) error {
	c, err := s.Open(ctx)
	if err != nil {
		return err
	}
	o.ctx, o.waiting = c.Context(), new(atomic.Bool)
	m := &mirrored{origin: &o, conn: c, sink: t}
	pieces := c.Pieces()
	t.connected(m, pieces == nil, pieces)
	t.Pool.run.Go(func() { c.Run(m) })
	return nil
}

func (m *mirrored) received() int64                 { return m.conn.Received() }
func (m *mirrored) fetch(piece, begin, length int)  { m.conn.Fetch(piece, begin, length) }
func (m *mirrored) cancel(piece, begin, length int) { m.conn.Cancel(piece, begin, length) }
func (m *mirrored) fail(why error)                  { m.conn.Close(why) }
func (m *mirrored) leave()                          { m.conn.Close(nil) }
func (m *mirrored) renew([]byte)                    {}
func (m *mirrored) tell(...int)                     {}
func (m *mirrored) curious() bool                   { return false }

var errMute = shoal.Errorf(shoal.Unsupported, "a mirror has the file alone")

func (m *mirrored) manifest(context.Context) (*shoal.Manifest, error) { return nil, errMute }

func (m *mirrored) hashes(context.Context, int) ([]shoal.Hash, error) { return nil, errMute }

// Block implements mirror.Sink, as the other two do.
func (m *mirrored) Block(piece, begin, length int, read func([]byte) error) error {
	return m.sink.block(m, blockOf(piece, begin, length), read)
}

func (m *mirrored) Refused(piece, begin, length int, err error) {
	m.sink.refused(m, blockOf(piece, begin, length), err)
}

func (m *mirrored) Lost(err error) { m.sink.lost(m, err) }

func blockOf(piece, begin, length int) *wire.Request {
	return &wire.Request{Piece: uint32(piece), Begin: uint32(begin), Length: uint32(length)}
}

// fetchKept fetches the manifest that the server keeps for when no peer is there, unless that is under way.
func (t *transfer) fetchKept() {
	if t.opening || t.asking {
		return
	}
	t.asking = true
	t.helpers.Go(func() {
		proof, err := t.Tracker.KeptManifest(t.ctx, t.Swarm)
		t.inbox.put(event{kept: true, proof: proof, err: err})
	})
}

// keptCame takes the outcome of fetchKept. Without a manifest the peers are asked, and the server with the next lookup.
func (t *transfer) keptCame(e event) {
	t.asking = false
	if e.err != nil {
		t.Log.Debug().Err(e.err).Msg("asking the server for the manifest")
		return
	}
	if !t.opening {
		t.opening = true
		t.step(swarm.Event{Kind: swarm.Proven})
		t.open(e.proof)
	}
}
