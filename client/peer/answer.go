package peer

import (
	"errors"
	"fmt"
	"os"

	"shoal"
	"shoal/wire"
)

func (c *served) join(f wire.Frame) error {
	var m wire.Join
	if err := wire.Decode(f.Body, &m); err != nil {
		return err
	}
	admission, err := c.server.admit(c.Remote, m.Swarm.Group, m.Ticket)
	if err != nil {
		c.server.Log.Debug().Err(err).Stringer("device", shoal.DeviceID(c.Remote)).Msg("a peer's ticket is refused")
		c.out.refuse(f.Kind, f.ID, notServed(m.Swarm))
		return nil
	}
	it, err := c.joinable(m.Swarm)
	if err == nil {
		it.settle(c.ctx, c.server.Alone, &c.helpers)
		c.handles++
		joined := &member{id: peerID{Device: c.Remote, Session: c.number}, handle: c.handles, out: c.out, admission: admission}
		if err = it.join(joined, f.ID, m.Picky); err == nil {
			c.members[joined.handle] = joined
			if c.server.Exchange != nil {
				c.server.Exchange.Use(m.Swarm.Group)
			}
			return nil
		}
	}
	c.out.refuse(f.Kind, f.ID, err)
	return nil
}

// joinable is what is served in the swarm, if this connection may join it.
func (c *served) joinable(swarm shoal.Swarm) (*item, error) {
	it := c.server.Shelf.find(swarm)
	if it == nil {
		return nil, notServed(swarm)
	}
	for handle, other := range c.members {
		if other.over() != nil {
			delete(c.members, handle)
		} else if other.item == it {
			return nil, shoal.Errorf(shoal.Limit, "this swarm is joined already, as %d (rule P2)", handle)
		}
	}
	if len(c.members) >= wire.MaxSwarms {
		return nil, shoal.Errorf(shoal.Limit, "%d swarms are joined on this connection (rule P2)", len(c.members))
	}
	return it, c.check(it)
}

func (c *served) leave(m *wire.Leave) (wire.Message, error) {
	member, err := c.member(m.Handle)
	if err != nil {
		return nil, err
	}
	member.item.leave(member)
	c.out.forget(member)
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
	member, err := c.holds(m.Handle, m.Piece)
	if err != nil {
		return nil, err
	}
	content, err := member.open()
	if err != nil {
		return nil, err
	}
	defer content.Release()
	o, piece := member.item.swarm.Object, int(m.Piece)
	if len(content.Manifest().Pieces) == 0 && shoal.BlockValueCount(o, piece) == 1 {
		return nil, shoal.Errorf(shoal.BadRequest, "the object is one block, whose only hash is the FileID (rule P13)")
	}
	c.server.hashing.Lock()
	defer c.server.hashing.Unlock()
	if c.server.hashed == nil {
		c.server.hashed = make([]byte, hashedAtOnce)
	}
	values, err := shoal.ReadBlockValues(content, o, piece, c.server.hashed)
	if err != nil {
		if changed := c.check(member.item); changed != nil {
			return nil, changed
		}
		return nil, fmt.Errorf("reading piece %d: %w", piece, err)
	}
	return &wire.HashesReply{Values: values}, nil
}

func (c *served) request(f wire.Frame) error {
	var m wire.Request
	if err := wire.Decode(f.Body, &m); err != nil {
		return err
	}
	member, err := c.holds(m.Handle, m.Piece)
	if err == nil {
		err = member.item.swarm.Object.CheckBlock(int(m.Piece), int64(m.Begin), int64(m.Length))
	}
	if err != nil {
		c.out.refuse(f.Kind, f.ID, err)
		return nil
	}
	offset, _ := member.item.swarm.Object.PieceRange(int(m.Piece))
	member.ask(block{
		id: f.ID, member: member, extent: extent{m.Piece, m.Begin, m.Length}, offset: offset + int64(m.Begin),
	})
	return nil
}

// have takes note of the pieces that the other side has (rule P22).
func (c *served) have(m *wire.Have) error {
	member := c.members[m.Handle]
	if member == nil {
		return nil // it may have crossed a WITHDRAW
	}
	pieces := member.item.swarm.Object.Pieces()
	if member.told == nil {
		member.told = shoal.NewBitfield(pieces)
	}
	for _, p := range m.Pieces {
		if int64(p) >= int64(pieces) {
			return shoal.Errorf(shoal.BadRequest, "piece %d is announced, of an object of %d (rule P22)", p, pieces)
		}
		if member.told.Has(int(p)) {
			return shoal.Errorf(shoal.BadRequest, "piece %d is announced for the second time (rule P22)", p)
		}
		member.told.Set(int(p))
	}
	member.has(m.Pieces)
	return nil
}

// member finds an open handle. One that a WITHDRAW has closed counts as not there (rule P4), and one whose ticket has
// ended gets that now.
func (c *served) member(handle uint32) (*member, error) {
	m := c.members[handle]
	if m != nil {
		if c.server.Realm != nil {
			m.item.mu.Lock()
			m.check(c.server.Realm.Check)
			m.item.mu.Unlock()
		}
		if m.over() == nil {
			return m, nil
		}
		delete(c.members, handle)
	}
	return nil, shoal.Errorf(shoal.NotFound, "no swarm is open as %d (rule P4)", handle)
}

// holds checks that a piece is there, that the other side knows, and that the file is still what was published.
func (c *served) holds(handle, piece uint32) (*member, error) {
	m, err := c.member(handle)
	if err != nil {
		return nil, err
	}
	if pieces := m.item.swarm.Object.Pieces(); int64(piece) >= int64(pieces) {
		return nil, shoal.Errorf(shoal.BadRequest, "piece %d is asked for, of an object of %d (rule P5)", piece, pieces)
	}
	if !m.knows(int(piece)) {
		return nil, shoal.Errorf(shoal.NotHeld, "piece %d is not here yet (rule P6)", piece)
	}
	return m, c.check(m.item)
}

// check withdraws an object whose file is no longer what was published (rule P11).
func (c *served) check(it *item) error {
	content, err := it.open()
	if errors.Is(err, os.ErrClosed) { // its owner serves it no longer
		err = shoal.Errorf(shoal.NotFound, "%v is no longer served here", it.swarm.Object.ID)
		c.server.Shelf.Withdraw(it.swarm, err)
	}
	if err != nil {
		return err
	}
	defer content.Release()
	if err = content.Check(); errors.Is(err, shoal.Changed) {
		if c.server.Shelf.Withdraw(it.swarm, err) && c.server.Changed != nil {
			c.server.Changed(it.swarm, err)
		}
	}
	return err
}
