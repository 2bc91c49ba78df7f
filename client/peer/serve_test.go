package peer

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"shoal"
	"shoal/wire"
)

func TestIDThatIsOpen(t *testing.T) {
	f := place(t, random(pieceLength, 1))
	r := newRig(t, plaintext)
	r.Shelf.Put(swarmOf(f), f)
	for _, again := range [][]byte{
		wire.AppendRequest(nil, wire.KindRequest, 101, &wire.Request{Handle: 1, Length: 1}),
		wire.AppendRequest(nil, wire.KindPing, 101, &wire.Empty{}),
	} {
		c := r.pipe(8 << 10)
		handle := c.join(swarmOf(f)).Handle
		c.ID = 99
		c.askBlock(handle, 0, 0, pieceLength)
		head, err := c.ReadFrame() // the rest is being sent, for as long as it is not read
		must(t, err)
		c.askBlock(handle, 0, 0, 1) // waits
		c.Send(again)
		must(t, c.ReadData(make([]byte, head.Data)))
		f := c.Next()
		if f.IsPiece() && f.ID == 101 { // it was on its way
			f = c.Next()
		}
		if f.Kind != wire.KindBye {
			t.Fatalf("got %v instead of BYE", f.Header)
		}
		c.Closed()
	}
}

func TestJoin(t *testing.T) {
	f := place(t, random(3*pieceLength, 2))
	r := newRig(t, plaintext)
	r.Shelf.Put(swarmOf(f), f)
	c := r.pipe(0)

	// P1: it is served in one group, and nobody learns more than that.
	other := shoal.Swarm{Group: "other", Object: f.Object()}
	c.Refusal(c.Ask(wire.KindJoin, &wire.Join{Swarm: other}), wire.KindJoin, shoal.NotFound)
	bigger := swarmOf(f)
	bigger.Object.Size++
	c.Refusal(c.Ask(wire.KindJoin, &wire.Join{Swarm: bigger}), wire.KindJoin, shoal.NotFound)

	if reply := c.join(swarmOf(f)); !reply.Whole || len(reply.Bitfield) != 0 {
		t.Errorf("a whole file is announced as %+v (rule P3)", reply)
	}
	c.Refusal(c.Ask(wire.KindJoin, &wire.Join{Swarm: swarmOf(f)}), wire.KindJoin, shoal.Limit) // P2
	c.Reply(c.Ask(wire.KindLeave, &wire.Leave{Handle: 1}), wire.KindLeave, &wire.Empty{})
	c.Refusal(c.Ask(wire.KindLeave, &wire.Leave{Handle: 1}), wire.KindLeave, shoal.NotFound) // P4
	if reply := c.join(swarmOf(f)); reply.Handle == 1 {
		t.Error("a handle comes back: what crosses LEAVE would be taken for the new one's")
	}
}

func TestJoinPart(t *testing.T) {
	f := place(t, random(9*pieceLength+1, 3))
	r := newRig(t, plaintext)
	r.Shelf.Put(swarmOf(f), partOf(t, f, 0, 2, 9))
	c := r.pipe(0)
	reply := c.join(swarmOf(f))
	if reply.Whole || !bytes.Equal(reply.Bitfield, []byte{0b1010_0000, 0b0100_0000}) {
		t.Fatalf("got %+v (rule P3)", reply)
	}
	c.Refusal(c.askBlock(reply.Handle, 1, 0, 1), wire.KindRequest, shoal.NotHeld) // P6
	c.Refusal(c.Ask(wire.KindHashes, &wire.HashesRequest{Handle: reply.Handle, Piece: 1}), wire.KindHashes, shoal.NotHeld)
	if got := c.block(c.askBlock(reply.Handle, 9, 0, 1), 9, 0); !bytes.Equal(got, pieceOf(t, f, 9)) {
		t.Error("wrong bytes")
	}
}

// P6 is about what was announced on this connection, not about what is there.
func TestPieceThatWasNotAnnounced(t *testing.T) {
	f := place(t, random(2*pieceLength, 4))
	part := partOf(t, f)
	r := newRig(t, plaintext)
	r.Shelf.Put(swarmOf(f), part)
	c := r.pipe(0)
	handle := c.join(swarmOf(f)).Handle
	must(t, part.WritePiece(1, pieceOf(t, f, 1)))
	c.Refusal(c.askBlock(handle, 1, 0, 1), wire.KindRequest, shoal.NotHeld)
	r.Shelf.Have(swarmOf(f), 1)
	r.Shelf.Have(swarmOf(f), 1)
	var have wire.Have
	c.Event(wire.KindHave, &have)
	if have.Handle != handle || fmt.Sprint(have.Pieces) != "[1]" {
		t.Fatalf("got %+v", have)
	}
	if got := c.block(c.askBlock(handle, 1, 7, 11), 1, 7); !bytes.Equal(got, pieceOf(t, f, 1)[7:18]) {
		t.Error("wrong bytes")
	}
	c.Alive()
}

func TestTooManySwarms(t *testing.T) {
	f := place(t, random(1, 5))
	r := newRig(t, plaintext)
	in := func(i int) shoal.Swarm {
		return shoal.Swarm{Group: shoal.Group(fmt.Sprint("g", i)), Object: f.Object()}
	}
	for i := range wire.MaxSwarms + 2 {
		r.Shelf.Put(in(i), f)
	}
	c := r.pipe(0)
	for i := range wire.MaxSwarms {
		c.join(in(i))
	}
	c.Refusal(c.Ask(wire.KindJoin, &wire.Join{Swarm: in(wire.MaxSwarms)}), wire.KindJoin, shoal.Limit)
	r.Shelf.Withdraw(in(3), shoal.NotFound) // closes its handle (rule P11), which makes room
	c.Event(wire.KindWithdraw, &wire.Withdraw{})
	c.join(in(wire.MaxSwarms))
	c.Refusal(c.Ask(wire.KindJoin, &wire.Join{Swarm: in(wire.MaxSwarms + 1)}), wire.KindJoin, shoal.Limit)
}

func TestBlocksThatCannotBe(t *testing.T) {
	f := place(t, random(pieceLength+1000, 6))
	r := newRig(t, plaintext)
	r.Shelf.Put(swarmOf(f), f)
	c := r.pipe(0)
	handle := c.join(swarmOf(f)).Handle
	for _, b := range [][3]int{
		{0, 0, 0},                 // empty
		{0, pieceLength, 1},       // behind its end
		{0, 1, pieceLength},       // past its end
		{1, 0, 1001},              // past the file's end
		{2, 0, 1},                 // no such piece
		{1 << 31, 0, 1},           // nor this
		{0, 0, 1<<20 + 1},         // too long
		{0, 1<<32 - 1, 1<<32 - 1}, // past all bounds
	} {
		c.Refusal(c.askBlock(handle, b[0], b[1], b[2]), wire.KindRequest, shoal.BadRequest) // P5
	}
	c.Refusal(c.askBlock(handle+1, 0, 0, 1), wire.KindRequest, shoal.NotFound) // P4
	c.Refusal(c.Ask(wire.KindManifest, &wire.ManifestRequest{Handle: 9}), wire.KindManifest, shoal.NotFound)
	c.Refusal(c.Ask(wire.KindHashes, &wire.HashesRequest{Handle: 9}), wire.KindHashes, shoal.NotFound)
	c.Refusal(c.Ask(wire.KindHashes, &wire.HashesRequest{Handle: handle, Piece: 2}), wire.KindHashes, shoal.BadRequest)
	if got := c.block(c.askBlock(handle, 1, 0, 1000), 1, 0); !bytes.Equal(got, pieceOf(t, f, 1)) {
		t.Error("wrong bytes after the errors")
	}
}

func TestEmptyObject(t *testing.T) {
	f := place(t, nil)
	r := newRig(t, plaintext)
	r.Shelf.Put(swarmOf(f), f)
	c := r.pipe(0)
	handle := c.join(swarmOf(f)).Handle
	if got := c.block(c.askBlock(handle, 0, 0, 0), 0, 0); len(got) != 0 {
		t.Errorf("%d bytes of nothing", len(got))
	}
	c.Refusal(c.askBlock(handle, 0, 0, 1), wire.KindRequest, shoal.BadRequest)
	c.Refusal(c.Ask(wire.KindHashes, &wire.HashesRequest{Handle: handle}), wire.KindHashes, shoal.BadRequest) // P13
	var m wire.ManifestReply
	c.Reply(c.Ask(wire.KindManifest, &wire.ManifestRequest{Handle: handle}), wire.KindManifest, &m)
	must(t, m.Verify(f.Object()))
}

func TestProofs(t *testing.T) {
	for _, size := range []int{16<<10 + 1, pieceLength, 2*pieceLength + 16<<10 + 5} {
		f := place(t, random(size, 7))
		r := newRig(t, plaintext)
		r.Shelf.Put(swarmOf(f), f)
		c := r.pipe(0)
		handle := c.join(swarmOf(f)).Handle
		var m wire.ManifestReply
		c.Reply(c.Ask(wire.KindManifest, &wire.ManifestRequest{Handle: handle}), wire.KindManifest, &m)
		must(t, m.Verify(f.Object()))
		for i := range f.Object().Pieces() {
			var hashes wire.HashesReply
			c.Reply(c.Ask(wire.KindHashes, &wire.HashesRequest{Handle: handle, Piece: uint32(i)}), wire.KindHashes, &hashes)
			if !m.VerifyBlockValues(f.Object(), i, hashes.Values) {
				t.Errorf("size %d: the hashes of piece %d do not prove it (rule M4)", size, i)
			}
		}
	}
	f := place(t, random(16<<10, 8))
	r := newRig(t, plaintext)
	r.Shelf.Put(swarmOf(f), f)
	c := r.pipe(0)
	c.Refusal(c.Ask(wire.KindHashes, &wire.HashesRequest{Handle: c.join(swarmOf(f)).Handle}), wire.KindHashes, shoal.BadRequest)
}

// What a client asked before it ended its direction is answered, as far as it is not blocks.
func TestHalfClosed(t *testing.T) {
	c := newRig(t, plaintext).pipe(0)
	id := c.Ask(wire.KindPing, &wire.Empty{})
	must(t, c.nc.(interface{ CloseWrite() error }).CloseWrite())
	c.Reply(id, wire.KindPing, &wire.Empty{})
	if _, err := c.ReadFrame(); err != io.EOF {
		t.Fatal(err)
	}
}

func TestGoodbye(t *testing.T) {
	c := newRig(t, plaintext).pipe(0)
	c.Send(wire.AppendEvent(nil, wire.KindBye, wire.NewBye(shoal.Canceled)))
	c.Closed()
}
