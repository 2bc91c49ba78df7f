package peer

import (
	"fmt"

	"shoal"
	"shoal/client/store"
	"shoal/wire"
)

func (c *served) join(m *wire.Join) (wire.Message, error) {
	it := c.server.Shelf.find(m.Swarm)
	if it == nil {
		return nil, shoal.Errorf(shoal.NotFound, "%v is not served here in group %q", m.Swarm.Object.ID, m.Swarm.Group)
	}
	if len(c.members) >= wire.MaxSwarms {
		return nil, shoal.Errorf(shoal.Limit, "%d swarms are joined on this connection (rule P2)", len(c.members))
	}
	for _, other := range c.members {
		if other.item == it {
			return nil, shoal.Errorf(shoal.Limit, "this swarm is joined already, as %d (rule P2)", other.handle)
		}
	}
	c.handles++
	member := &member{handle: c.handles, out: c.out}
	whole, bitfield, err := it.join(member)
	if err != nil {
		return nil, err
	}
	if err := c.check(it); err != nil {
		return nil, err
	}
	c.members[member.handle] = member
	return &wire.JoinReply{Handle: member.handle, Whole: whole, Bitfield: bitfield}, nil
}

func (c *served) leave(m *wire.Leave) (wire.Message, error) {
	member, err := c.member(m.Handle)
	if err != nil {
		return nil, err
	}
	member.item.leave(member)
	delete(c.members, m.Handle)
	return &wire.Empty{}, nil
}

func (c *served) manifest(m *wire.ManifestRequest) (wire.Message, error) {
	member, err := c.member(m.Handle)
	if err != nil {
		return nil, err
	}
	content, err := member.item.current()
	if err != nil {
		return nil, err
	}
	return &wire.ManifestReply{Manifest: *content.Manifest()}, nil
}

func (c *served) hashes(m *wire.HashesRequest) (wire.Message, error) {
	member, content, err := c.holds(m.Handle, m.Piece)
	if err != nil {
		return nil, err
	}
	o, piece := member.item.swarm.Object, int(m.Piece)
	if len(content.Manifest().Pieces) == 0 && shoal.BlockValueCount(o, piece) == 1 {
		return nil, shoal.Errorf(shoal.BadRequest, "the object is one block, whose only hash is the FileID (rule P13)")
	}
	offset, length := o.PieceRange(piece)
	data := make([]byte, length)
	if _, err := content.ReadAt(data, offset); err != nil {
		return nil, fmt.Errorf("reading piece %d: %w", piece, err)
	}
	return &wire.HashesReply{Values: shoal.BlockValues(o, piece, data)}, nil
}

func (c *served) request(f wire.Frame) error {
	var m wire.Request
	if err := wire.Decode(f.Body, &m); err != nil {
		return err
	}
	member, _, err := c.holds(m.Handle, m.Piece)
	if err == nil {
		err = member.item.swarm.Object.CheckBlock(int(m.Piece), int64(m.Begin), int64(m.Length))
	}
	if err != nil {
		c.out.refuse(f.Kind, f.ID, err)
		return nil
	}
	offset, _ := member.item.swarm.Object.PieceRange(int(m.Piece))
	return c.out.block(block{
		id: f.ID, member: member, piece: m.Piece, begin: m.Begin, length: m.Length, offset: offset + int64(m.Begin),
	})
}

// member finds an open handle. One that a WITHDRAW has closed counts as not there (rule P4).
func (c *served) member(handle uint32) (*member, error) {
	m := c.members[handle]
	if m != nil {
		if _, gone := m.item.current(); gone == nil {
			return m, nil
		}
		delete(c.members, handle)
	}
	return nil, shoal.Errorf(shoal.NotFound, "no swarm is open as %d (rule P4)", handle)
}

// holds checks that a piece is there, that the other side knows, and that the file is still what was published.
func (c *served) holds(handle, piece uint32) (*member, store.Content, error) {
	m, err := c.member(handle)
	if err != nil {
		return nil, nil, err
	}
	if pieces := m.item.swarm.Object.Pieces(); int64(piece) >= int64(pieces) {
		return nil, nil, shoal.Errorf(shoal.BadRequest, "piece %d is asked for, of an object of %d (rule P5)", piece, pieces)
	}
	if !m.knows(int(piece)) {
		return nil, nil, shoal.Errorf(shoal.NotHeld, "piece %d is not here yet (rule P6)", piece)
	}
	if err := c.check(m.item); err != nil {
		return nil, nil, err
	}
	content, err := m.item.current()
	return m, content, err
}

// check withdraws an object whose file is no longer what was published (rule P11).
func (c *served) check(it *item) error {
	content, err := it.current()
	if err != nil {
		return err
	}
	if err = content.Check(); err != nil {
		if c.server.Shelf.Withdraw(it.swarm, err) && c.server.Changed != nil {
			c.server.Changed(it.swarm, err)
		}
	}
	return err
}
