package peer

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"shoal"
	"shoal/client/swarm/upload"
	"shoal/identity"
	"shoal/wire"
)

// crowd is a rig whose machines are told the time, with so many connections that have joined what is served.
func crowd(t *testing.T, sw shoal.Swarm, r *rig, n int) (conns []*raw, keys []*identity.Key) {
	t.Helper()
	r.run.Go(func() { r.sweep(r.ctx) })
	for range n {
		key := identity.NewKey()
		c := r.pipeAs(key, 0)
		c.join(sw)
		conns, keys = append(conns, c), append(keys, key)
	}
	return conns, keys
}

// In a small swarm everybody is served. One more has to wait, and gets its turn within ten seconds; then somebody else's
// comes.
func TestNewcomerInACrowd(t *testing.T) {
	f := place(t, random(2*pieceLength, 70))
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, plaintext)
		defer r.end()
		r.Shelf.Put(swarmOf(f), f)
		conns, _ := crowd(t, swarmOf(f), r, upload.Slots)
		c := r.pipe(8 << 10)
		handle := c.join(swarmOf(f)).Handle
		var choke wire.Choke
		c.Event(wire.KindChoke, &choke)
		if choke.Handle != handle {
			t.Errorf("handle %d is choked", choke.Handle)
		}
		c.Refusal(c.askBlock(handle, 0, 0, 1), wire.KindRequest, shoal.Busy)
		c.Reply(c.Ask(wire.KindManifest, &wire.ManifestRequest{Handle: handle}), wire.KindManifest, &wire.ManifestReply{})
		for _, other := range conns {
			other.block(other.askBlock(1, 1, 0, 1), 1, 0)
		}

		began := time.Now()
		c.Event(wire.KindUnchoke, &wire.Unchoke{})
		if waited := time.Since(began); waited > 10*time.Second {
			t.Errorf("it had to wait for %v", waited)
		}
		// It has had the most, and asks for more than is sent before the slots are given anew.
		c.block(c.askBlock(handle, 0, 0, pieceLength), 0, 0)
		another := r.pipe(0)
		another.join(swarmOf(f))
		another.Event(wire.KindChoke, &wire.Choke{})
		first := c.ID + 1
		for i := range 3 {
			c.askBlock(handle, 0, i, pieceLength-2)
		}
		another.Event(wire.KindUnchoke, &wire.Unchoke{})
		another.block(another.askBlock(1, 0, 0, 1), 0, 0)
		time.Sleep(11*time.Second - time.Since(began))
		if got := c.block(first, 0, 0); !bytes.Equal(got, pieceOf(t, f, 0)[:pieceLength-2]) {
			t.Error("wrong bytes")
		}
		c.Event(wire.KindChoke, &choke)
		c.Refusal(first+1, wire.KindRequest, shoal.Busy)
		c.Refusal(first+2, wire.KindRequest, shoal.Busy)
	})
}

// Who gives to the download here is served by it.
func TestReciprocity(t *testing.T) {
	f := place(t, random(2*pieceLength, 71))
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, plaintext)
		defer r.end()
		r.Shelf.Put(swarmOf(f), partOf(t, f, 0))
		conns, keys := crowd(t, swarmOf(f), r, upload.Slots+24)
		generous := []int{upload.Slots + 2, upload.Slots + 10, upload.Slots + 23}
		for _, i := range generous {
			r.Shelf.Gave(swarmOf(f), keys[i].Device(), 1<<20)
		}
		time.Sleep(11 * time.Second)
		for range 40 {
			for _, i := range generous {
				c := conns[i]
				for id := c.Ask(wire.KindPing, &wire.Empty{}); c.Next().ID != id; { // CHOKE and UNCHOKE, before
					continue
				}
				c.block(c.askBlock(1, 0, 0, 1), 0, 0)
			}
			time.Sleep(time.Second)
		}
	})
}

// A source that chokes is not asked, and not given up.
func TestChokedByASource(t *testing.T) {
	within(t, 20, func(t *testing.T, w *world) {
		asked := time.Time{}
		began := time.Now()
		s := w.script(func(s *scripted, c *identity.Established, f wire.Frame) ([]byte, bool) {
			switch {
			case f.Kind == wire.KindJoin:
				time.AfterFunc(30*time.Second, func() {
					_, _ = c.Write(wire.AppendEvent(nil, wire.KindUnchoke, &wire.Unchoke{Handle: 1}))
				})
				b := wire.AppendReply(nil, f.Kind, f.ID, &wire.JoinReply{Handle: 1, Whole: true})
				return wire.AppendEvent(b, wire.KindChoke, &wire.Choke{Handle: 1}), true
			case f.Kind == wire.KindRequest && time.Since(began) < 30*time.Second:
				asked = time.Now()
				return wire.AppendError(nil, f.Kind, f.ID, shoal.Busy), true
			}
			return nil, false
		})
		st := w.fetch(w.transfer(s))
		if took := time.Since(began); took > 32*time.Second {
			t.Errorf("it took %v", took)
		}
		if s.joins != 1 || share(st, s).Bytes != st.Size || asked.Sub(began) > time.Second {
			t.Errorf("joined %d times, asked for a block after %v: %+v", s.joins, asked.Sub(began), st.Sources)
		}
	})
}

// CHOKE that crosses our LEAVE.
func TestChokeOfAHandleThatIsNotOpen(t *testing.T) {
	within(t, 2, func(t *testing.T, w *world) {
		w.fetch(w.transfer(w.script(func(s *scripted, _ *identity.Established, f wire.Frame) ([]byte, bool) {
			if f.Kind != wire.KindManifest {
				return nil, false
			}
			b := wire.AppendEvent(nil, wire.KindChoke, &wire.Choke{Handle: 77})
			b = wire.AppendEvent(b, wire.KindUnchoke, &wire.Unchoke{Handle: 77})
			return wire.AppendReply(b, f.Kind, f.ID, &wire.ManifestReply{Manifest: *s.file.Manifest()}), true
		})))
	})
}
