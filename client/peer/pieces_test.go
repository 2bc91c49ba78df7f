package peer

import (
	"bytes"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shoal"
	"shoal/client/tracker"
	"shoal/identity"
	"shoal/wire"
)

// taker is a sink that keeps what comes.
type taker struct {
	mu     sync.Mutex // guards the rest
	joined supplier
	pieces map[int][]byte
	errs   []error
}

func (k *taker) connected(j supplier, _ bool, _ []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.joined = j
}

func (k *taker) have(supplier, []uint32) {}

func (k *taker) choked(supplier, bool) {}

func (k *taker) block(_ supplier, r *wire.Request, read func([]byte) error) error {
	data := make([]byte, r.Length)
	err := read(data)
	k.mu.Lock()
	defer k.mu.Unlock()
	if end := int(r.Begin + r.Length); len(k.pieces[int(r.Piece)]) < end {
		k.pieces[int(r.Piece)] = append(k.pieces[int(r.Piece)], make([]byte, end-len(k.pieces[int(r.Piece)]))...)
	}
	copy(k.pieces[int(r.Piece)][r.Begin:], data)
	return err
}

func (k *taker) refused(_ supplier, _ *wire.Request, err error) { k.lost(nil, err) }

func (k *taker) lost(_ supplier, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.errs = append(k.errs, err)
}

// Pieces of more than one block: from 64 GiB on. The source answers the blocks of two pieces in a bad order.
func TestPiecesOfManyBlocks(t *testing.T) {
	file := place(t, random(1, 50))
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, file)
		huge := shoal.Swarm{Group: shoal.Public, Object: shoal.Object{Size: 200 << 30}} // pieces of 4 MiB
		fill := func(m wire.Request) []byte {
			return bytes.Repeat([]byte{byte(m.Piece), byte(m.Begin >> 20)}, int(m.Length/2))
		}
		const asked = 4 + 4
		var waiting [][]byte
		refuse := map[uint32]bool{}
		s := w.script(onRequest(func(s *scripted, id uint32, m wire.Request) []byte {
			if refuse[m.Piece] && m.Begin == 1<<20 {
				return wire.AppendError(nil, wire.KindRequest, id, shoal.NotHeld)
			}
			if refuse[m.Piece] {
				return s.block(id, m, fill(m))
			}
			if waiting = append(waiting, s.block(id, m, fill(m))); len(waiting) < asked {
				return nil
			}
			var all []byte
			for i := range asked / 2 {
				all = append(all, waiting[asked-1-i]...)
				all = append(all, waiting[i]...)
			}
			waiting = nil
			return all
		}))
		refuse[9] = true
		c, err := w.pool.connect(w.ctx, s.found())
		must(t, err)
		k := &taker{pieces: map[int][]byte{}}
		must(t, c.join(w.ctx, wire.Join{Swarm: huge}, k))
		fetch := func(piece int) {
			for begin := range 4 {
				k.joined.fetch(piece, begin<<20, 1<<20)
			}
		}
		fetch(3)
		fetch(5)
		synctest.Wait()
		for _, piece := range []int{3, 5} {
			want := make([]byte, 0, 4<<20)
			for begin := range 4 {
				want = append(want, fill(wire.Request{Piece: uint32(piece), Begin: uint32(begin << 20), Length: 1 << 20})...)
			}
			if !bytes.Equal(k.pieces[piece], want) {
				t.Errorf("piece %d: %d bytes, not the right ones", piece, len(k.pieces[piece]))
			}
		}
		fetch(9) // one block of it is refused
		synctest.Wait()
		if len(k.errs) != 1 || len(k.joined.(*Joined).requests) != 0 {
			t.Errorf("got errors %v, and %d requests are open", k.errs, len(k.joined.(*Joined).requests))
		}
		k.joined.leave()
		w.pool.Wait()
	})
}

// A connection that must wait for the memory that others hold is not taken for one that stalls; those others are.
func TestWaitingForMemory(t *testing.T) {
	file := place(t, random(3*pieceLength, 51))
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, file)
		all, err := w.pool.buffers.Get(w.ctx, 8<<20)
		must(t, err)
		s := w.script(nil)
		time.AfterFunc(20*time.Second, func() { w.pool.buffers.Put(all) })
		st := w.fetch(w.transfer(s))
		if share(st, s).Bytes != st.Size || s.joins != 1 {
			t.Errorf("joined %d times: %+v", s.joins, st.Sources)
		}
	})
}

// An unfinished download that is removed, or whose folder was taken, ends with the disk's reason.
func TestDiskFails(t *testing.T) {
	file := place(t, random(3*pieceLength, 52))
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, file)
		var tr Transfer
		asked := 0 // bytes
		s := w.script(onRequest(func(s *scripted, id uint32, m wire.Request) []byte {
			if asked += int(m.Length); asked > 64<<10 && asked < 2*pieceLength {
				time.Sleep(time.Second)                          // the download is open
				must(t, os.WriteFile(tr.Dir+"/got", nil, 0o600)) // somebody takes the name
			}
			return s.block(id, m, s.bytes(m))
		}))
		tr = w.transfer(s)
		_, err := tr.Run(w.ctx)
		wantCode(t, err, shoal.Exists)
		if w.shelf.find(tr.Swarm) != nil || w.offers[len(w.offers)-1] != 0 {
			t.Error("a download that failed at its end is still served")
		}
		must(t, os.Remove(tr.Dir+"/got"))
		again := w.script(nil)
		tr.Sources = []tracker.Source{again.found()}
		w.fetch(tr)
		if again.requests() != 0 {
			t.Error("what was there was fetched again")
		}

		tr = w.transfer(again)
		tr.Dir += "/missing"
		_, err = tr.Run(w.ctx)
		wantCode(t, err, shoal.NotFound)
	})
}

// What serves in the same process from elsewhere is not disturbed by a download that fails.
func TestFailedDownloadOfWhatIsServed(t *testing.T) {
	file := place(t, random(3*pieceLength, 53))
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, file)
		w.shelf.Put(swarmOf(file), file)
		tr := w.transfer(w.script(onRequest(func(*scripted, uint32, wire.Request) []byte { return nil })))
		tr.Timeout = 3 * time.Second
		_, err := tr.Run(w.ctx)
		wantCode(t, err, shoal.NoSources)
		if content, gone := w.shelf.find(swarmOf(file)).current(); gone != nil || content != any(file) {
			t.Error("the published file is not served any more")
		}
	})
}

// Two transfers share a connection, and one that ends leaves the other alone.
func TestSharedConnection(t *testing.T) {
	file := place(t, random(6*pieceLength, 54))
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, file)
		var handles uint32
		s := w.script(func(s *scripted, _ *identity.Established, f wire.Frame) ([]byte, bool) {
			switch f.Kind {
			case wire.KindJoin:
				handles++
				return wire.AppendReply(nil, f.Kind, f.ID, &wire.JoinReply{Handle: handles, Whole: true}), true
			case wire.KindRequest:
				time.Sleep(time.Second)
			}
			return nil, false
		})
		c, err := w.pool.connect(w.ctx, s.found())
		must(t, err)
		k := &taker{pieces: map[int][]byte{}}
		must(t, c.join(w.ctx, wire.Join{Swarm: swarmOf(file)}, k))
		w.fetch(w.transfer(s))
		synctest.Wait()
		if s.left != 1 || len(k.errs) != 0 {
			t.Errorf("left %d times; the other transfer was told %v", s.left, k.errs)
		}
		k.joined.fetch(0, 0, pieceLength)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !bytes.Equal(k.pieces[0], pieceOf(t, file, 0)) {
			t.Error("the connection is of no use any more")
		}
		k.joined.leave()
	})
}

func TestOneHandleForTwoSwarms(t *testing.T) {
	file := place(t, random(10, 55))
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, file)
		c, err := w.pool.connect(w.ctx, w.script(nil).found()) // whose handle is always 1
		must(t, err)
		k := &taker{pieces: map[int][]byte{}}
		must(t, c.join(w.ctx, wire.Join{Swarm: swarmOf(file)}, k))
		c2, err := w.pool.connect(w.ctx, tracker.Source{Device: c.id.Device, Session: c.id.Session})
		must(t, err)
		wantCode(t, c2.join(w.ctx, wire.Join{Swarm: swarmOf(file)}, &taker{}), shoal.BadRequest)
		w.pool.release(c2)
		synctest.Wait()
		if len(k.errs) != 1 {
			t.Errorf("the first was told %v", k.errs)
		}
		k.joined.leave()
	})
}
