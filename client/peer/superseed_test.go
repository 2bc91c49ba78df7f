package peer

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/wire"
)

// The only one who has everything shows each piece to one of the newcomers, and everything once all have gone out.
func TestSuperSeeding(t *testing.T) {
	const pieces = 40
	f := place(t, random(pieces*pieceLength, 72))
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, plaintext)
		defer r.end()
		var asked atomic.Int32
		r.Alone = func(_ context.Context, sw shoal.Swarm) bool {
			asked.Add(1)
			return sw == swarmOf(f)
		}
		r.Shelf.Put(swarmOf(f), f)
		picky := r.pipe(0)
		var all wire.JoinReply
		picky.Reply(picky.Ask(wire.KindJoin, &wire.Join{Swarm: swarmOf(f), Picky: true}), wire.KindJoin, &all)
		if !all.Whole {
			t.Error("one who is picky is not shown everything at once")
		}
		var conns []*observer
		for range 2 {
			c := &observer{raw: r.pipe(0)}
			if reply := c.join(swarmOf(f)); reply.Whole || slices.Max(reply.Bitfield) != 0 {
				t.Fatalf("shown at once: %+v", reply)
			}
			conns = append(conns, c)
		}
		if asked.Load() != 1 {
			t.Errorf("asked %d times whether it is alone", asked.Load())
		}
		shown := map[int]int{} // to whom
		seen := []map[int]bool{{}, {}}
		for given := 0; given < pieces; {
			for k, c := range conns {
				synctest.Wait()
				for _, i := range c.haves() {
					if seen[k][i] {
						t.Errorf("piece %d is shown twice", i)
					}
					seen[k][i] = true
					if _, out := shown[i]; !out {
						shown[i] = k
					} else if given < pieces-8 {
						t.Errorf("piece %d is shown to another, when %d of %d have gone out", i, given, pieces)
					}
				}
				if given == 0 {
					for i := range pieces {
						if !seen[k][i] {
							c.Refusal(c.askBlock(1, i, 0, 1), wire.KindRequest, shoal.NotHeld)
							break
						}
					}
				}
				for i := range pieces {
					if at, out := shown[i]; out && at == k {
						must(t, c.take(i))
						c.Send(wire.AppendEvent(nil, wire.KindHave, &wire.Have{Handle: 1, Pieces: []uint32{uint32(i)}}))
						shown[i] = -1
						given++
					}
				}
			}
		}
		synctest.Wait()
		for k, c := range conns {
			for _, i := range c.haves() {
				seen[k][i] = true
			}
			if len(seen[k]) != pieces {
				t.Errorf("%d pieces are shown at the end", len(seen[k]))
			}
		}
	})
}

// observer is a connection on which pieces are announced while others are fetched.
type observer struct {
	*raw
	news []int
}

// until reads up to the reply to a request.
func (o *observer) until(id uint32) wire.Frame {
	o.t.Helper()
	for {
		f := o.Next()
		if f.ID == id {
			return f
		}
		var m wire.Have
		must(o.t, wire.Decode(f.Body, &m))
		for _, i := range m.Pieces {
			o.news = append(o.news, int(i))
		}
	}
}

// haves are the pieces that were announced since it was called last.
func (o *observer) haves() (news []int) {
	o.t.Helper()
	o.until(o.Ask(wire.KindPing, &wire.Empty{}))
	news, o.news = o.news, nil
	return news
}

// take fetches a whole piece.
func (o *observer) take(i int) error {
	o.t.Helper()
	if f := o.until(o.askBlock(1, i, 0, pieceLength)); !f.IsPiece() {
		return shoal.Errorf(shoal.NotHeld, "piece %d is answered by %v", i, f.Header)
	}
	return nil
}

// Where it is not known to be the only one, or that takes long to find out, it shows everything.
func TestNoSuperSeeding(t *testing.T) {
	f := place(t, random(3*pieceLength, 73))
	for name, alone := range map[string]func(context.Context, shoal.Swarm) bool{
		"nobody to ask": nil,
		"others":        func(context.Context, shoal.Swarm) bool { return false },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, plaintext)
				defer r.end()
				r.Alone = alone
				r.Shelf.Put(swarmOf(f), f)
				for range 5 {
					if !r.pipe(0).join(swarmOf(f)).Whole {
						t.Error("not everything is shown")
					}
				}
			})
		})
	}
}

// Nobody waits for long to hear whether there are others who have everything, and until then there are none.
func TestUncertainSeed(t *testing.T) {
	f := place(t, random(40*pieceLength, 73))
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, plaintext)
		defer r.end()
		r.Alone = func(ctx context.Context, _ shoal.Swarm) bool {
			<-ctx.Done()
			return false
		}
		r.Shelf.Put(swarmOf(f), f)
		began := time.Now()
		c := &observer{raw: r.pipe(0)}
		if reply := c.join(swarmOf(f)); reply.Whole || time.Since(began) > aloneWait {
			t.Errorf("after %v it shows all: %v", time.Since(began), reply.Whole)
		}
		synctest.Wait()
		first := len(c.haves())
		time.Sleep(aloneWithin)
		synctest.Wait()
		rest := len(c.haves())
		if first == 0 || rest == 0 || first+rest != 40 {
			t.Errorf("%d pieces are shown at first, and then %d", first, rest)
		}
		if !r.pipe(0).join(swarmOf(f)).Whole {
			t.Error("not everything is shown to others then")
		}
	})
}

// Rule P22.
func TestHaveOfAnInitiator(t *testing.T) {
	f := place(t, random(9*pieceLength, 74))
	r := newRig(t, plaintext)
	r.Shelf.Put(swarmOf(f), f)
	for name, pieces := range map[string][]uint32{"outside": {9}, "far outside": {1 << 31}, "twice": {8, 8}} {
		t.Run(name, func(t *testing.T) {
			c := r.pipe(0)
			c.join(swarmOf(f))
			c.Send(wire.AppendEvent(nil, wire.KindHave, &wire.Have{Handle: 7, Pieces: pieces})) // is ignored
			c.Alive()
			c.Send(wire.AppendEvent(nil, wire.KindHave, &wire.Have{Handle: 1, Pieces: pieces}))
			c.Bye(shoal.BadRequest, "")
		})
	}
}

// A download tells one who showed nothing at first what it has, each piece once, and nobody else.
func TestTellingASuperSeed(t *testing.T) {
	within(t, 30, func(t *testing.T, w *world) {
		told := map[*scripted][]uint32{}
		note := func(s *scripted, _ *identity.Established, f wire.Frame) ([]byte, bool) {
			if f.Kind != wire.KindHave {
				return nil, false
			}
			var m wire.Have
			must(t, wire.Decode(f.Body, &m))
			w.mu.Lock()
			defer w.mu.Unlock()
			told[s] = append(told[s], m.Pieces...)
			return nil, true
		}
		whole := w.script(note)
		shy := w.script(func(s *scripted, c *identity.Established, f wire.Frame) ([]byte, bool) {
			switch f.Kind {
			case wire.KindJoin:
				b := wire.AppendReply(nil, f.Kind, f.ID, &wire.JoinReply{Handle: 1, Bitfield: make([]byte, 4)})
				return wire.AppendEvent(b, wire.KindHave, &wire.Have{Handle: 1, Pieces: []uint32{3, 7}}), true
			case wire.KindLeave:
				return nil, false
			}
			return note(s, c, f)
		})
		w.fetch(w.transfer(whole, shy))
		w.pool.Wait()
		if len(told[whole]) > 0 {
			t.Errorf("one who has everything was told %v", told[whole])
		}
		got := told[shy]
		slices.Sort(got)
		if unique := slices.Compact(slices.Clone(got)); len(unique) != len(got) || len(got) < 25 {
			t.Errorf("told of %v", got)
		}
	})
}
