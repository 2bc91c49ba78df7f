package peer

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"testing"

	"shoal"
	"shoal/wire"
)

func header(length uint32, kind wire.Kind, flags wire.Flags, id uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, length)
	b = binary.BigEndian.AppendUint16(b, uint16(kind))
	b = binary.BigEndian.AppendUint16(b, uint16(flags))
	return binary.BigEndian.AppendUint32(b, id)
}

func TestBrokenRulesEndTheConnection(t *testing.T) {
	for name, frames := range map[string][]byte{
		"F1 too long":                header(17, wire.KindRequest, 0, 7),
		"F2 unknown kind":            header(0, 999, 0, 7),
		"F2 unknown flags":           header(0, wire.KindPing, 4, 7),
		"F2 a server's kind":         wire.AppendRequest(nil, wire.KindList, 7, &wire.List{Group: shoal.Public, Limit: 1}),
		"F3 request without id":      header(0, wire.KindPing, 0, 0),
		"F3 event with id":           append(header(4, wire.KindCancel, 0, 7), 0, 0, 0, 1),
		"F5 reply to nothing":        wire.AppendReply(nil, wire.KindPing, 7, &wire.Empty{}),
		"F5 error to nothing":        wire.AppendError(nil, wire.KindJoin, 7, shoal.NotFound),
		"F6 CHOKE of an initiator":   wire.AppendEvent(nil, wire.KindChoke, &wire.Choke{Handle: 1}),
		"F6 WITHDRAW of one":         wire.AppendEvent(nil, wire.KindWithdraw, &wire.Withdraw{Handle: 1, Code: shoal.Changed}),
		"H1 HELLO again":             wire.AppendRequest(nil, wire.KindHello, 7, &wire.Hello{Version: 1, Wanted: wire.ServicePeer, Secured: wire.Plaintext}),
		"H1 AUTH again":              wire.AppendRequest(nil, wire.KindAuth, 7, &wire.Auth{}),
		"X1 bytes missing":           append(header(8, wire.KindRequest, 0, 7), make([]byte, 8)...),
		"X1 bytes left over":         append(header(16, wire.KindHashes, 0, 7), make([]byte, 16)...),
		"X2 length past the end":     append(header(8, wire.KindJoin, 0, 7), 0, 0, 1, 0, 'a', 'b', 'c', 'd'),
		"X3 impossible group":        wire.AppendRequest(nil, wire.KindJoin, 7, &wire.Join{Swarm: shoal.Swarm{Group: "a/b"}}),
		"X4 impossible size":         wire.AppendRequest(nil, wire.KindJoin, 7, &wire.Join{Swarm: shoal.Swarm{Group: "a", Object: shoal.Object{Size: -1}}}),
		"X1 BYE that makes no sense": append(header(4, wire.KindBye, 0, 0), 0, 0, 0, 1),
	} {
		t.Run(name, func(t *testing.T) {
			c := newRig(t, plaintext).pipe(0)
			c.send(frames)
			c.bye(shoal.BadRequest)
		})
	}
}

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
		c.id = 99
		c.askBlock(handle, 0, 0, pieceLength)
		head, err := c.ReadFrame() // the rest is being sent, for as long as it is not read
		must(t, err)
		c.askBlock(handle, 0, 0, 1) // waits
		c.send(again)
		must(t, c.ReadData(make([]byte, head.Data)))
		f := c.read()
		if f.IsPiece() && f.ID == 101 { // it was on its way
			f = c.read()
		}
		if f.Kind != wire.KindBye {
			t.Fatalf("got %v instead of BYE", f.Header)
		}
		c.closed()
	}
}

func TestJoin(t *testing.T) {
	f := place(t, random(3*pieceLength, 2))
	r := newRig(t, plaintext)
	r.Shelf.Put(swarmOf(f), f)
	c := r.pipe(0)

	// P1: it is served in one group, and nobody learns more than that.
	other := shoal.Swarm{Group: "other", Object: f.Object()}
	c.refusal(c.ask(wire.KindJoin, &wire.Join{Swarm: other}), wire.KindJoin, shoal.NotFound)
	bigger := swarmOf(f)
	bigger.Object.Size++
	c.refusal(c.ask(wire.KindJoin, &wire.Join{Swarm: bigger}), wire.KindJoin, shoal.NotFound)

	if reply := c.join(swarmOf(f)); !reply.Whole || len(reply.Bitfield) != 0 {
		t.Errorf("a whole file is announced as %+v (rule P3)", reply)
	}
	c.refusal(c.ask(wire.KindJoin, &wire.Join{Swarm: swarmOf(f)}), wire.KindJoin, shoal.Limit) // P2
	c.reply(c.ask(wire.KindLeave, &wire.Leave{Handle: 1}), wire.KindLeave, &wire.Empty{})
	c.refusal(c.ask(wire.KindLeave, &wire.Leave{Handle: 1}), wire.KindLeave, shoal.NotFound) // P4
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
	c.refusal(c.askBlock(reply.Handle, 1, 0, 1), wire.KindRequest, shoal.NotHeld) // P6
	c.refusal(c.ask(wire.KindHashes, &wire.HashesRequest{Handle: reply.Handle, Piece: 1}), wire.KindHashes, shoal.NotHeld)
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
	c.refusal(c.askBlock(handle, 1, 0, 1), wire.KindRequest, shoal.NotHeld)
	r.Shelf.Have(swarmOf(f), 1)
	r.Shelf.Have(swarmOf(f), 1)
	var have wire.Have
	c.event(wire.KindHave, &have)
	if have.Handle != handle || fmt.Sprint(have.Pieces) != "[1]" {
		t.Fatalf("got %+v", have)
	}
	if got := c.block(c.askBlock(handle, 1, 7, 11), 1, 7); !bytes.Equal(got, pieceOf(t, f, 1)[7:18]) {
		t.Error("wrong bytes")
	}
	c.alive()
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
	c.refusal(c.ask(wire.KindJoin, &wire.Join{Swarm: in(wire.MaxSwarms)}), wire.KindJoin, shoal.Limit)
	r.Shelf.Withdraw(in(3), shoal.NotFound) // closes its handle (rule P11), which makes room
	c.event(wire.KindWithdraw, &wire.Withdraw{})
	c.join(in(wire.MaxSwarms))
	c.refusal(c.ask(wire.KindJoin, &wire.Join{Swarm: in(wire.MaxSwarms + 1)}), wire.KindJoin, shoal.Limit)
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
		c.refusal(c.askBlock(handle, b[0], b[1], b[2]), wire.KindRequest, shoal.BadRequest) // P5
	}
	c.refusal(c.askBlock(handle+1, 0, 0, 1), wire.KindRequest, shoal.NotFound) // P4
	c.refusal(c.ask(wire.KindManifest, &wire.ManifestRequest{Handle: 9}), wire.KindManifest, shoal.NotFound)
	c.refusal(c.ask(wire.KindHashes, &wire.HashesRequest{Handle: 9}), wire.KindHashes, shoal.NotFound)
	c.refusal(c.ask(wire.KindHashes, &wire.HashesRequest{Handle: handle, Piece: 2}), wire.KindHashes, shoal.BadRequest)
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
	c.refusal(c.askBlock(handle, 0, 0, 1), wire.KindRequest, shoal.BadRequest)
	c.refusal(c.ask(wire.KindHashes, &wire.HashesRequest{Handle: handle}), wire.KindHashes, shoal.BadRequest) // P13
	var m wire.ManifestReply
	c.reply(c.ask(wire.KindManifest, &wire.ManifestRequest{Handle: handle}), wire.KindManifest, &m)
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
		c.reply(c.ask(wire.KindManifest, &wire.ManifestRequest{Handle: handle}), wire.KindManifest, &m)
		must(t, m.Verify(f.Object()))
		for i := range f.Object().Pieces() {
			var hashes wire.HashesReply
			c.reply(c.ask(wire.KindHashes, &wire.HashesRequest{Handle: handle, Piece: uint32(i)}), wire.KindHashes, &hashes)
			if !m.VerifyBlockValues(f.Object(), i, hashes.Values) {
				t.Errorf("size %d: the hashes of piece %d do not prove it (rule M4)", size, i)
			}
		}
	}
	f := place(t, random(16<<10, 8))
	r := newRig(t, plaintext)
	r.Shelf.Put(swarmOf(f), f)
	c := r.pipe(0)
	c.refusal(c.ask(wire.KindHashes, &wire.HashesRequest{Handle: c.join(swarmOf(f)).Handle}), wire.KindHashes, shoal.BadRequest)
}

// What a client asked before it ended its direction is answered, as far as it is not blocks.
func TestHalfClosed(t *testing.T) {
	c := newRig(t, plaintext).pipe(0)
	id := c.ask(wire.KindPing, &wire.Empty{})
	must(t, c.nc.(interface{ CloseWrite() error }).CloseWrite())
	c.reply(id, wire.KindPing, &wire.Empty{})
	if _, err := c.ReadFrame(); err != io.EOF {
		t.Fatal(err)
	}
}

func TestGoodbye(t *testing.T) {
	c := newRig(t, plaintext).pipe(0)
	c.send(wire.AppendEvent(nil, wire.KindBye, wire.NewBye(shoal.Canceled)))
	c.closed()
}
