package peer

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/client/store"
	"shoal/client/tickets/ticketstest"
	"shoal/identity"
	"shoal/tests/bounds"
	"shoal/tests/frames"
	"shoal/wire"
)

// spoken are the kinds that FuzzServed makes requests and events of, those that break a rule last.
var spoken = []wire.Kind{
	wire.KindJoin, wire.KindRequest, wire.KindManifest, wire.KindHashes, wire.KindLeave, wire.KindRenew, wire.KindExchange, wire.KindPing,
	wire.KindCancel, wire.KindHave, wire.KindJoin, wire.KindRequest, wire.KindRequest, wire.KindRequest, wire.KindCancel, wire.KindHave,
	wire.KindBye, wire.KindHello, wire.KindAuth, wire.KindList, wire.KindWithdraw, wire.KindChoke, wire.KindUnchoke, wire.KindEpoch,
}

// FuzzServed holds a whole session with a peer: frames of any kind in any order, most of them good, while time passes. All
// that comes back can be read, answers something that was asked, and is what the file has; nothing but what was asked
// for ends the session.
func FuzzServed(f *testing.F) {
	join, part := []byte{0, 0, 0, 0, 0, 0}, []byte{0, 0, 1, 0, 0, 0}
	for how := range byte(2) {
		for i := range spoken {
			f.Add(slices.Concat([]byte{how}, join, []byte{byte(i), 1, 0, 0, 64, 0, byte(i), 1, 1, 32, 64, 250, 3, byte(i)}))
		}
		begin := slices.Concat([]byte{how}, join, part)
		for _, again := range [][]byte{
			{3, 1, 1, 0},
			{3, 2, 2, 0},
			{2, 1, 0},
			{1, 1, 0, 0, 223, 0},
			{1, 2, 2, 0, 223, 0},
			{1, 1, 2, 0, 1, 0, 8, 3, 0},
			{4, 1, 0, 0, 0, 0, 0, 0, 0},
			{9, 1, 2, 3, 2, 0},
			{5, 1, 2, 0},
			{6, 1, 31, 1, 0, 250, 30},
		} {
			f.Add(slices.Concat(begin, bytes.Repeat(again, 10)))
		}
	}
	whole := place(f, random(2*pieceLength+100, 70))
	small := place(f, random(100, 71))
	some := partOf(f, place(f, random(3*pieceLength, 72)), 0, 2)
	f.Fuzz(func(t *testing.T, b []byte) {
		bounds.HoldSaid(t, func() (said int) {
			synctest.Test(t, func(t *testing.T) {
				script := frames.New(b)
				o := ticketstest.New(t)
				group, r := shoal.Public, (*rig)(nil)
				if how := script.Byte(); how%2 == 0 {
					r = newRig(t, plaintext)
				} else {
					r, group = exchanging(t, o), ticketstest.Lab
				}
				defer r.end()
				key := identity.NewKey()
				script.Know(
					group, group, shoal.Group("other"), whole.Object(), some.Object(), small.Object(), o.Ticket(key.Device(), nil),
					o.Record(key, nil, at(1)), o.Ticket(key.Device(), ticketstest.AtEpoch(2)),
				)
				r.Shelf.Put(shoal.Swarm{Group: group, Object: whole.Object()}, whole)
				r.Shelf.Put(shoal.Swarm{Group: group, Object: some.Object()}, some)
				r.Shelf.Put(shoal.Swarm{Group: group, Object: small.Object()}, small)

				c := r.pipeAs(key, 64<<10)
				read := checker{raw: c, contents: []store.Content{whole, some, small}, handles: map[uint32]store.Content{}}
				r.run.Go(read.all)
				for step, more := script.Next(spoken); more; step, more = script.Next(spoken) {
					said += len(step.Bytes)
					read.asked.Sent(step.Bytes)
					if _, err := c.Write(step.Bytes); err != nil {
						break // the peer has hung up
					}
					time.Sleep(step.Wait)
				}
				_ = c.nc.(interface{ CloseWrite() error }).CloseWrite()
				r.run.Wait()
			})
			return said
		})
	})
}

// checker reads and checks all that a peer answers.
type checker struct {
	*raw
	asked    frames.Asked
	contents []store.Content
	handles  map[uint32]store.Content // that are joined
}

func (c *checker) all() {
	for {
		f, err := c.ReadFrame()
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
				c.t.Errorf("the answers end with %v", err)
			}
			return
		}
		m := wire.NewMessage(f.Header)
		if err := wire.Decode(f.Body, m); err != nil {
			c.t.Errorf("%v cannot be read: %v", f.Header, err)
			return
		}
		request, answers := c.asked.Answered(f.Header)
		if f.IsReply() && !answers {
			c.t.Errorf("%v answers nothing", f.Header)
			return
		}
		switch m := m.(type) {
		case *wire.ErrorReply:
			if m.Code == shoal.Internal {
				c.t.Errorf("%v is the peer's own fault", f.Header)
			}
		case *wire.JoinReply:
			join := new(wire.Join)
			must(c.t, wire.Decode(request.Body, join))
			i := slices.IndexFunc(c.contents, func(of store.Content) bool { return of.Object() == join.Swarm.Object })
			c.handles[m.Handle] = c.contents[i]
		case *wire.PieceHead:
			c.block(request, m, f.Data)
		}
	}
}

// block compares a block with what it is of.
func (c *checker) block(request wire.Frame, head *wire.PieceHead, length int) {
	var m wire.Request
	must(c.t, wire.Decode(request.Body, &m))
	content := c.handles[m.Handle]
	if content == nil || *head != (wire.PieceHead{Piece: m.Piece, Begin: m.Begin}) || length != int(m.Length) {
		c.t.Errorf("%+v with %d bytes answers %+v", head, length, m)
		return
	}
	offset, _ := content.Object().PieceRange(int(m.Piece))
	got, want := fuzzBuffers[0][:length], fuzzBuffers[1][:length]
	if _, err := content.ReadAt(want, offset+int64(m.Begin)); err != nil && err != io.EOF {
		c.t.Error(err)
	}
	if err := c.ReadData(got); err == nil && !bytes.Equal(got, want) {
		c.t.Errorf("other bytes for %+v", m)
	}
}

// fuzzBuffers are a block's bytes, and what they should be.
var fuzzBuffers = [2][]byte{make([]byte, shoal.MaxBlock), make([]byte, shoal.MaxBlock)}

// sent are the events that FuzzSource sends, those that break a rule last.
var sent = []wire.Kind{wire.KindHave, wire.KindChoke, wire.KindUnchoke, wire.KindWithdraw, wire.KindBye, wire.KindEpoch, wire.KindCancel}

// FuzzSource has a source answer whatever it likes to what a download asks it for. The download ends, and with the file as it
// is or not at all; and nothing else lies in its folder then.
func FuzzSource(f *testing.F) {
	for how := range byte(16) {
		f.Add([]byte{0, how, 1, 1, 1, 0, how, 1, 0, 0, how, 1, 2, 0, 0, how, 1, 7, 0, how, 9, 0, 0, how})
		f.Add([]byte{1, 0, 1, 1, 1, 0, how, how, how, how, 0, how, 1, how, 1, how, 0, 3, how, how})
		f.Add([]byte{0, 0, 0, 0, 0, how, how, 0, how, 0, how, how, 0, how, 200, how, how, how})
	}
	files := []*store.File{place(f, random(2*pieceLength+100, 73)), place(f, random(20_000, 74))}
	right, buffers := files[0].Manifest(), new(store.Buffers)
	f.Fuzz(func(t *testing.T, b []byte) {
		bounds.HoldSaid(t, func() int {
			var said atomic.Int64
			synctest.Test(t, func(t *testing.T) {
				script := frames.New(b)
				file := files[int(script.Byte())%len(files)]
				script.Know(file.Object(), *right, *file.Manifest(), shoal.Bitfield{0xa0}, shoal.Bitfield{0xe0})
				w := newWorld(t, file)
				w.pool = NewPool(identity.NewKey(), plaintext, w.dial, buffers, zerolog.Nop())
				honest := &scripted{world: w, whole: true, asked: map[int]int{}}
				var turn sync.Mutex // guards script
				liar := w.script(func(_ *scripted, c *identity.Established, f wire.Frame) ([]byte, bool) {
					right, err := honest.reply(c, f)
					if err != nil {
						t.Error(err)
					}
					turn.Lock()
					step := frames.Step{Bytes: right}
					if !script.Over() {
						step = script.Answer(f.Header, right, sent)
					}
					turn.Unlock()
					said.Add(int64(len(step.Bytes)))
					time.Sleep(step.Wait)
					return step.Bytes, true
				})
				tr := w.transfer(liar)
				tr.Timeout = 5 * time.Second
				got, err := tr.Run(w.ctx)
				checkFetched(t, tr.Dir, file, got, err)
			})
			return int(said.Load())
		})
	})
}

// checkFetched looks at what a download has left.
func checkFetched(t *testing.T, dir string, file, got *store.File, err error) {
	t.Helper()
	left, readErr := os.ReadDir(dir)
	must(t, readErr)
	if err != nil {
		for _, e := range left {
			if !strings.HasPrefix(e.Name(), ".") {
				t.Errorf("%s is left of a download that failed: %v", e.Name(), err)
			}
		}
		return
	}
	defer got.Close()
	if len(left) != 1 || left[0].Name() != "got" {
		t.Errorf("the folder has %v", left)
	}
	if size := file.Object().Size; got.Object() != file.Object() || !bytes.Equal(bytesOf(t, got, 0, size), bytesOf(t, file, 0, size)) {
		t.Error("other bytes were fetched")
	}
}
