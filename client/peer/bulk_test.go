package peer

import (
	"bytes"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"shoal"
	"shoal/client/store"
	"shoal/identity"
	"shoal/wire"
)

// The kernel's way and the one through TLS deliver the same bytes.
func TestBothWaysDeliverTheSame(t *testing.T) {
	f := place(t, random(2*pieceLength+12345, 30))
	for _, transport := range []identity.Transport{plaintext, overTLS} {
		t.Run(transport.Security.String(), func(t *testing.T) {
			r := newRig(t, transport)
			r.Shelf.Put(swarmOf(f), f)
			c := r.dial(r.listen())
			c.join(swarmOf(f))
			type wish struct{ id, piece, begin, length int }
			var wishes []wish
			for _, b := range [][3]int{
				{0, 0, pieceLength},
				{0, 1, pieceLength - 1},
				{1, 4095, 4098},
				{1, 0, 1},
				{1, pieceLength - 1, 1},
				{2, 0, 12345},
				{2, 12344, 1},
				{0, 12287, 65537},
				{1, 1, 16383},
			} {
				wishes = append(wishes, wish{int(c.askBlock(1, b[0], b[1], b[2])), b[0], b[1], b[2]})
			}
			for _, w := range wishes {
				got := c.block(uint32(w.id), w.piece, w.begin)
				if !bytes.Equal(got, pieceOf(t, f, w.piece)[w.begin:w.begin+w.length]) {
					t.Errorf("wrong bytes of %+v", w)
				}
			}
			c.Alive()
		})
	}
}

func TestKernelSends(t *testing.T) {
	r := newRig(t, plaintext)
	nc := r.dial(r.listen()).Conn
	if _, kernel := newBulkWriter(nc).(*fileSender); !kernel {
		t.Error("TCP without TLS does not use sendfile")
	}
	nc.Conn = &idleConn{nc.Conn}
	if _, kernel := newBulkWriter(nc).(*fileSender); !kernel {
		t.Error("neither does it below a limit of silence")
	}
}

// cutContent is a file that is cut after so many more calls of ReadAt.
type cutContent struct {
	*store.File
	t     *testing.T
	after int
}

func (c *cutContent) ReadAt(p []byte, off int64) (int, error) {
	if c.after--; c.after < 0 {
		must(c.t, os.Truncate(c.Path(), off+int64(len(p))/2))
	}
	return c.File.ReadAt(p, off)
}

// When a file is cut while it is being sent, the connection ends within the frame, and nothing takes the place of what
// is missing.
func TestCutWhileCopied(t *testing.T) {
	f := place(t, random(pieceLength, 31))
	r := newRig(t, plaintext)
	r.Shelf.Put(swarmOf(f), &cutContent{f, t, 0})
	c := r.pipe(0)
	c.join(swarmOf(f))
	c.askBlock(1, 0, 0, 1000)
	if head, err := c.ReadFrame(); err == nil {
		t.Errorf("%d bytes of half as many are sent", head.Data)
	}
}

func TestCutWhileTheKernelSends(t *testing.T) {
	f := place(t, random(pieceLength, 32))
	r := newRig(t, plaintext)
	r.Shelf.Put(swarmOf(f), &lateContent{File: f, t: t})
	c := r.dial(r.listen())
	c.join(swarmOf(f))
	c.askBlock(1, 0, 0, pieceLength)
	head, err := c.ReadFrame()
	must(t, err)
	if !head.IsPiece() {
		t.Fatalf("got %v", head.Header)
	}
	wantCode(t, c.ReadData(make([]byte, head.Data)), shoal.Unreachable)
}

// lateContent is a file that is cut right after the last of its checks: of JOIN, of REQUEST, and of the block.
type lateContent struct {
	*store.File
	t      *testing.T
	checks atomic.Int32
}

func (c *lateContent) Check() error {
	err := c.File.Check()
	if c.checks.Add(1) == 3 {
		must(c.t, os.Truncate(c.Path(), 1000))
	}
	return err
}

func TestHashesOfAFileThatIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := place(t, random(pieceLength, 33))
		r := newRig(t, plaintext)
		r.Shelf.Put(swarmOf(f), &cutContent{f, t, 0})
		c := r.pipe(0)
		c.join(swarmOf(f))
		id := c.Ask(wire.KindHashes, &wire.HashesRequest{Handle: 1})
		c.Event(wire.KindWithdraw, &wire.Withdraw{})
		c.Refusal(id, wire.KindHashes, shoal.Changed)
	})
}
