package check

import (
	"shoal"
	"shoal/native"
)

// A piece may come in blocks from several peers, and then its hash alone does not say whose are wrong. As soon as all of it is
// known to be right, from whomever, each unit of shoal.BlockUnit that anybody sent before or sends later is held against that.

// units are those of pieces, by what was sent as such.
type units struct {
	right bounded[pieceOf, []shoal.Hash] // where all are known
	sent  bounded[pieceOf, sentUnits]    // where they are not
	known int                            // hashes in right
	many  int                            // hashes in sent
}

// sentUnits are what was sent as each unit of a piece.
type sentUnits map[int][]sentUnit

type sentUnit struct {
	hash shoal.Hash
	by   *Frame
}

const (
	maxUnits  = 1 << 18 // that are remembered, of each sort
	maxSent   = 4       // times a unit
	maxPieces = 1 << 16
)

func newUnits() units {
	return units{right: newBounded[pieceOf, []shoal.Hash](maxPieces), sent: newBounded[pieceOf, sentUnits](maxPieces)}
}

// send takes the units of a block from first on, and tells of the first that is wrong.
func (u *units) send(of pieceOf, first int, hashes []shoal.Hash, by *Frame) {
	if right := u.right.get(of); right != nil {
		for i, h := range hashes {
			if first+i < len(right) && right[first+i] != h {
				by.Conn.violate(by, "M3", "the block has other bytes than piece %d of %v", of.piece, of.object.ID)
				return
			}
		}
		return
	}
	if u.many > maxUnits {
		u.sent, u.many = newBounded[pieceOf, sentUnits](maxPieces), 0
	}
	all := u.sent.get(of)
	if all == nil {
		all = sentUnits{}
		u.sent.put(of, all)
	}
	for i, h := range hashes {
		if len(all[first+i]) < maxSent {
			all[first+i] = append(all[first+i], sentUnit{h, by})
			u.many++
		}
	}
}

// together are the units as they were sent last, where there is one of each.
func (u *units) together(of pieceOf, units int) []shoal.Hash {
	all := u.sent.get(of)
	if len(all) < units {
		return nil
	}
	values := make([]shoal.Hash, units)
	for i := range values {
		if len(all[i]) == 0 {
			return nil
		}
		values[i] = all[i][len(all[i])-1].hash
	}
	return values
}

// learn takes note of what a piece's units are, and tells of who sent others before.
func (u *units) learn(of pieceOf, values []shoal.Hash) {
	if u.right.has(of) {
		return
	}
	if u.known += len(values); u.known > maxUnits {
		u.right, u.known = newBounded[pieceOf, []shoal.Hash](maxPieces), len(values)
	}
	u.right.put(of, values)
	told := map[*Frame]bool{}
	for i, v := range values {
		for _, s := range u.sent.get(of)[i] {
			if s.hash != v && !told[s.by] {
				told[s.by] = true
				s.by.Conn.violate(s.by, "M3", "the block has other bytes than piece %d of %v", of.piece, of.object.ID)
			}
		}
	}
	u.forget(of, nil)
}

// forget forgets what was sent as a piece by c, or by all where it is nil.
func (u *units) forget(of pieceOf, c *Conn) {
	all := u.sent.get(of)
	for i, sent := range all {
		var left []sentUnit
		for _, s := range sent {
			if c != nil && s.by.Conn != c {
				left = append(left, s)
			}
		}
		u.many -= len(sent) - len(left)
		if all[i] = left; left == nil {
			delete(all, i)
		}
	}
}

// blockAsked is which piece a block is of, and where in it the block ends.
type blockAsked struct {
	piece uint32
	end   int64
}

// endBlock adds the block to its piece, and holds that against its hash when all of it was seen (rule M3).
func (c *Conn) endBlock(f *Frame, h *Handle, asked blockAsked) {
	s := c.peer.summing
	if c.peer.summing = nil; s == nil || s.of != (pieceOf{h.Swarm.Object, asked.piece}) {
		return
	}
	_, length := s.of.object.PieceRange(int(s.of.piece))
	all := shoal.BlockValueCount(s.of.object, int(s.of.piece))
	if len(s.buf) > 0 && asked.end == length || length == 0 {
		s.unit()
	}
	known := &c.trace.lore.units
	known.send(s.of, s.first, s.sums, f)
	p := c.sumsOf(s.of)
	for i, v := range s.sums {
		if s.first+i < all {
			p[s.first+i] = v
		}
	}
	if len(p) == all {
		c.endPiece(f, s.of, p)
	}
	if values := known.together(s.of, all); values != nil && c.matches(s.of, values) == right {
		known.learn(s.of, values)
	}
}

// endPiece holds a piece that came on this connection alone against its hash.
func (c *Conn) endPiece(f *Frame, of pieceOf, p blockSums) {
	c.dropSums(of)
	known := &c.trace.lore.units
	if known.right.has(of) {
		return // and each block was held against that
	}
	values := make([]shoal.Hash, len(p))
	for i := range values {
		values[i] = p[i]
	}
	switch c.matches(of, values) {
	case right:
		known.learn(of, values)
	case mismatch:
		known.forget(of, c)
		c.violate(f, "M3", "piece %d of %v does not match its hash", of.piece, of.object.ID)
	}
}

// match is whether a piece is right, as far as its hash is known.
type match int

const (
	unknown match = iota
	right
	mismatch
)

func (c *Conn) matches(of pieceOf, values []shoal.Hash) match {
	is := false
	switch m := c.trace.lore.manifests.get(of.object); {
	case of.object.Pieces() == 1 && len(values) == 1:
		is = shoal.FileID(values[0]) == of.object.ID
	case of.object.Pieces() == 1:
		is = shoal.FileID(native.Root(values)) == of.object.ID
	case m == nil:
		return unknown
	default:
		is = native.Combine(values) == m.Pieces[of.piece]
	}
	if is {
		return right
	}
	return mismatch
}
