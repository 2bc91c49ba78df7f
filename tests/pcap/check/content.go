package check

import (
	"slices"

	"shoal"
	"shoal/native"
	"shoal/wire"
)

// pieceOf is a piece of an object.
type pieceOf struct {
	object shoal.Object
	piece  uint32
}

// blockSums are the chaining values of those of a piece's units of shoal.BlockUnit that were seen.
type blockSums map[int]shoal.Hash

// summing is the block that is being read.
type summing struct {
	of    pieceOf
	next  int // the unit that is being read
	first int // the first of the block
	buf   []byte
	sums  []shoal.Hash
}

const (
	// maxSums and maxOpenPieces bound what is kept of one connection's pieces that are not complete.
	maxSums       = 1 << 18
	maxOpenPieces = 1 << 10
	chunkLength   = 1 << 10 // of BLAKE3
	unitOfChunks  = shoal.BlockUnit / chunkLength
)

// beginBlock begins to read the block of a PIECE. Only what begins with a unit is held against hashes.
func (c *Conn) beginBlock(f *Frame) {
	c.openPeer()
	c.peer.summing = nil
	asked := c.open[f.ID]
	head, ok := f.Message.(*wire.PieceHead)
	if c.broken != nil || asked == nil || !ok || asked.ask.peer.handle == nil || head.Begin%shoal.BlockUnit != 0 {
		return
	}
	o := asked.ask.peer.handle.Swarm.Object
	if o.CheckBlock(int(head.Piece), int64(head.Begin), int64(f.Data)) == nil {
		unit := int(head.Begin / shoal.BlockUnit)
		c.peer.summing = &summing{of: pieceOf{o, head.Piece}, next: unit, first: unit}
	}
}

// block takes the next bytes of the block.
func (c *Conn) block(f *Frame, b []byte) {
	for s := c.peer.summing; s != nil && len(b) > 0; {
		n := min(shoal.BlockUnit-len(s.buf), len(b))
		s.buf, b = append(s.buf, b[:n]...), b[n:]
		if len(s.buf) == shoal.BlockUnit {
			s.unit()
		}
	}
}

// unit sums a unit up.
func (s *summing) unit() {
	offset, length := s.of.object.PieceRange(int(s.of.piece))
	if s.of.object.Pieces() == 1 && int64(len(s.buf)) == length {
		s.sums = append(s.sums, native.Sum(s.buf)) // it is the file
	} else {
		s.sums = append(s.sums, native.ChainingValue(s.buf, uint64(offset/chunkLength)+uint64(s.next)*unitOfChunks))
	}
	s.next++
	s.buf = s.buf[:0]
}

func (c *Conn) loseBlock(*Frame, int) { c.peer.summing = nil }

// sumsOf is what is known of a piece. Where too much is, what came first is forgotten.
func (c *Conn) sumsOf(of pieceOf) blockSums {
	if p := c.peer.pieces[of]; p != nil {
		return p
	}
	all := 0
	for _, p := range c.peer.pieces {
		all += len(p)
	}
	for all > maxSums || len(c.peer.order) > maxOpenPieces {
		oldest := c.peer.order[0]
		all -= len(c.peer.pieces[oldest])
		c.dropSums(oldest)
	}
	p := blockSums{}
	c.peer.pieces[of] = p
	c.peer.order = append(c.peer.order, of)
	return p
}

func (c *Conn) dropSums(of pieceOf) {
	delete(c.peer.pieces, of)
	c.peer.order = slices.DeleteFunc(c.peer.order, func(other pieceOf) bool { return other == of })
}

// manifest holds rule M1.
func (c *Conn) manifest(f *Frame, m *wire.ManifestReply) {
	h := f.Request.ask.peer.handle
	if h == nil {
		return
	}
	if err := m.Verify(h.Swarm.Object); err != nil {
		c.violate(f, "M1", "%v", err)
		return
	}
	c.trace.lore.keepManifest(h.Swarm.Object, &m.Manifest)
}

// hashes takes the reply to HASHES (rules M4, P6 and P13).
func (c *Conn) hashes(f *Frame, m *wire.HashesReply) {
	asked, ok := f.Request.Message.(*wire.HashesRequest)
	h := f.Request.ask.peer.handle
	if !ok || h == nil {
		return
	}
	o := h.Swarm.Object
	switch {
	case !f.Request.ask.peer.valid:
		c.violate(f, "P5", "there is no piece %d", asked.Piece)
	case !h.has(asked.Piece) && !h.unsure:
		c.violate(f, "P6", "piece %d was not announced", asked.Piece)
	case oneBlock(o):
		c.violate(f, "P13", "the object is one block")
	case len(m.Values) != shoal.BlockValueCount(o, int(asked.Piece)) || c.matches(pieceOf{o, asked.Piece}, m.Values) == mismatch:
		c.violate(f, "M4", "%d values that do not combine to the hash of piece %d", len(m.Values), asked.Piece)
	case c.matches(pieceOf{o, asked.Piece}, m.Values) == right:
		c.trace.lore.units.learn(pieceOf{o, asked.Piece}, m.Values)
	}
}

// sum is the FileID of a whole file.
func sum(b []byte) shoal.FileID { return native.Sum(b) }

// forgetPieces forgets what was seen of pieces.
func (c *Conn) forgetPieces() { c.peer.pieces, c.peer.order, c.peer.summing = nil, nil, nil }
