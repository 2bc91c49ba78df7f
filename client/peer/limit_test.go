package peer

import (
	"bytes"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shoal"
	"shoal/client/store"
	"shoal/identity"
	"shoal/wire"
)

// about reports whether a time is within four percent, and a moment, of what it should be.
func about(took, want time.Duration) bool {
	return took > want-want/25-2*unitTime && took < want+want/25+2*unitTime
}

// drain asks for all of an object, a piece at a time, and returns how long that took.
func (r *raw) drain(handle uint32, o shoal.Object) time.Duration {
	began := time.Now()
	for i := range o.Pieces() {
		_, length := o.PieceRange(i)
		r.block(r.askBlock(handle, i, 0, int(length)), i, 0)
	}
	return time.Since(began)
}

// What is served is as fast as the limit of the process, and as that of the swarm; all connections together, and each as
// much as the others.
func TestUpLimit(t *testing.T) {
	const size = 4 << 20
	f, g := place(t, random(size, 80)), place(t, random(size, 81))
	type run struct {
		content store.Content
		want    time.Duration
	}
	for name, c := range map[string]struct {
		process, swarm int64 // of f
		runs           []run
	}{
		"alone":            {1 << 20, 0, []run{{f, 4 * time.Second}}},
		"slow":             {20_000, 0, []run{{f, size * time.Second / 20_000}}},
		"four":             {1 << 20, 0, []run{{f, 16 * time.Second}, {f, 16 * time.Second}, {g, 16 * time.Second}, {f, 16 * time.Second}}},
		"the swarm's":      {0, 1 << 20, []run{{f, 8 * time.Second}, {g, 0}, {f, 8 * time.Second}}},
		"both":             {2 << 20, 1 << 19, []run{{f, 8 * time.Second}, {g, size * time.Second / (3 << 19)}}},
		"the process less": {1 << 19, 1 << 20, []run{{f, 8 * time.Second}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, plaintext)
				defer r.end()
				r.Up = new(Limit)
				r.Up.Set(c.process)
				r.Shelf.Put(swarmOf(f), f)
				r.Shelf.Put(swarmOf(g), g)
				r.Shelf.Limits(swarmOf(f)).Up.Set(c.swarm)
				var all sync.WaitGroup
				for _, one := range c.runs {
					conn := r.pipe(64 << 10)
					handle := conn.join(swarmOf(one.content)).Handle
					all.Go(func() {
						if took := conn.drain(handle, one.content.Object()); !about(took, one.want) {
							t.Errorf("it took %v instead of %v", took, one.want)
						}
					})
				}
				all.Wait()
			})
		})
	}
}

// Another rate counts at once, also for who waits already.
func TestChangedLimit(t *testing.T) {
	f := place(t, random(4<<20, 82))
	for _, next := range []int64{0, 4 << 20, 1 << 18} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, plaintext)
			defer r.end()
			r.Up = new(Limit)
			r.Up.Set(1 << 10) // the first piece would take minutes
			r.Shelf.Put(swarmOf(f), f)
			c := r.pipe(0)
			handle := c.join(swarmOf(f)).Handle
			time.AfterFunc(2*time.Second, func() { r.Up.Set(next) })
			want := 2 * time.Second
			if next > 0 {
				want += time.Duration(f.Object().Size) * time.Second / time.Duration(next)
			}
			if took := c.drain(handle, f.Object()); !about(took, want) || r.Up.Rate() != next {
				t.Errorf("it took %v instead of %v", took, want)
			}
		})
	}
}

// What is no block does not wait for a limit, and the end does not either.
func TestControlPassesLimits(t *testing.T) {
	f := place(t, random(2*pieceLength, 83))
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, plaintext)
		r.Up = new(Limit)
		r.Up.Set(1 << 10)
		r.Shelf.Put(swarmOf(f), f)
		first, c := r.pipe(0), r.pipe(0)
		first.join(swarmOf(f))
		c.join(swarmOf(f))
		first.askBlock(1, 0, 0, pieceLength)
		synctest.Wait()
		waiting := c.askBlock(1, 1, 0, pieceLength)
		synctest.Wait()
		began := time.Now()
		for range 100 {
			c.Alive()
		}
		c.Send(wire.AppendEvent(nil, wire.KindCancel, &wire.Cancel{ID: waiting}))
		c.Refusal(waiting, wire.KindRequest, shoal.Canceled)
		c.askBlock(1, 1, 0, pieceLength)
		synctest.Wait()
		r.end()
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}

// The kernel's way keeps to limits, too, and sends the right bytes.
func TestLimitOfTheKernelsWay(t *testing.T) {
	f := place(t, random(2*pieceLength, 84))
	r := newRig(t, plaintext)
	r.Up = new(Limit)
	r.Up.Set(1 << 20)
	r.Shelf.Put(swarmOf(f), f)
	c := r.dial(r.listen())
	c.join(swarmOf(f))
	began := time.Now()
	for i := range 2 {
		if got := c.block(c.askBlock(1, i, 0, pieceLength), i, 0); !bytes.Equal(got, pieceOf(t, f, i)) {
			t.Error("wrong bytes")
		}
	}
	if took := time.Since(began); took < 350*time.Millisecond {
		t.Errorf("512 KiB at 1 MiB a second took %v", took)
	}
}

// What comes is as slow as the limits, and the source is not taken for one that stalls.
func TestDownLimit(t *testing.T) {
	for name, set := range map[string]func(w *world, bytes int64){
		"the process's": func(w *world, bytes int64) { w.pool.Down.Set(bytes) },
		"the swarm's":   func(w *world, bytes int64) { w.shelf.Limits(swarmOf(w.file)).Down.Set(bytes) },
	} {
		t.Run(name, func(t *testing.T) {
			within(t, 17, func(t *testing.T, w *world) {
				w.pool.Down = new(Limit)
				set(w, 1<<16)
				time.AfterFunc(16*time.Second, func() { set(w, 3<<18) })
				began := time.Now()
				sources := []*scripted{w.script(nil), w.script(nil)}
				st := w.fetch(w.transfer(sources...))
				if took, want := time.Since(began), 16*time.Second+4*time.Second; took < want-time.Second || took > want+time.Second {
					t.Errorf("it took %v instead of %v", took, want)
				}
				for _, s := range sources {
					if s.joins != 1 || share(st, s).Reason != "" {
						t.Errorf("joined %d times: %+v", s.joins, st.Sources)
					}
				}
			})
		})
	}
}

// Those who do not read what they have asked for keep others waiting for a moment only.
func TestPlaces(t *testing.T) {
	f := place(t, random(2*pieceLength, 85))
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, plaintext)
		defer r.end()
		groups := []shoal.Group{"a", "b", "c", "d", "e"}
		for _, group := range groups {
			r.Shelf.Put(shoal.Swarm{Group: group, Object: f.Object()}, f)
		}
		for i := range maxSending {
			c := r.pipeAs(identity.NewKey(), 4<<10)
			c.join(shoal.Swarm{Group: groups[i%len(groups)], Object: f.Object()})
			c.askBlock(1, 0, 0, pieceLength)
		}
		synctest.Wait()
		c := r.pipe(0)
		c.join(shoal.Swarm{Group: groups[0], Object: f.Object()})
		for i, most := range []time.Duration{slowAfter, 0} {
			began := time.Now()
			c.block(c.askBlock(1, i, 0, pieceLength), i, 0)
			if took := time.Since(began); took != most {
				t.Errorf("block %d took %v instead of %v", i, took, most)
			}
		}
	})
}
