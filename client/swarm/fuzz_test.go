package swarm

import (
	"testing"
	"time"

	"shoal"
	"shoal/tests/bounds"
)

// FuzzEngine feeds an engine any events in any order. Whatever its owner does wrong, it does not panic, asks nobody for
// what that one does not have or what is outside the object, and is silent after the end.
func FuzzEngine(f *testing.F) {
	f.Add([]byte{byte(Found), 1, 0, byte(Connected), 1, 255, byte(ManifestVerified), 1, 0, byte(Opened), 0, 0, byte(PieceVerified), 1, 3})
	f.Add([]byte{byte(PieceVerified), 1, 9, byte(Found), 1, 0, byte(PieceVerified), 1, 255, byte(Opened), 0, 255, byte(Tick), 40, 0})
	f.Add([]byte{byte(Found), 1, 0, byte(Connected), 1, 0, byte(Have), 1, 30, byte(Opened), 0, 0, byte(Lost), 1, 0, byte(PieceBad), 1, 1})
	f.Fuzz(func(t *testing.T, script []byte) {
		bounds.Hold(t, len(script), func() {
			const pieces = 20
			c := Config{Object: shoal.Object{Size: pieces * (256 << 10)}, Timeout: time.Minute, Seed: uint64(len(script))}
			if len(script)%2 > 0 {
				c.First, c.Count, c.InOrder, c.Reach = 3, 15, true, 4
			}
			e := New(c)
			var now time.Duration
			ended := false
			for ; len(script) >= 3; script = script[3:] {
				ev := Event{Kind: EventKind(script[0] % 24), Now: now, Peer: id(script[1] % 5), Piece: int(int8(script[2]))}
				switch ev.Kind {
				case BlockArrived, Refused, BlockBad: // of what was asked for, or of anything
					if p := e.peer(ev.Peer); p != nil && len(p.requests) > 0 && script[2]%4 > 0 {
						r := p.requests[int(script[2])%len(p.requests)]
						ev.Piece, ev.Begin, ev.Length = r.piece, r.begin, r.length
					} else {
						ev.Begin, ev.Length = int(int8(script[1]))<<12, int(int8(script[2]))<<12
					}
				case Budget:
					ev.Length = int(script[2]) << 16
				case Tick:
					now += time.Duration(script[1]) * TickEvery
				case Connected, Opened:
					ev.Mute = script[1]%2 > 0
					ev.Whole = script[2] == 255
					ev.Bitfield = make([]byte, script[2]%5)
					for i := range ev.Bitfield {
						ev.Bitfield[i] = script[2]
					}
				}
				actions := e.Step(ev, nil)
				if ended && len(actions) > 0 {
					t.Fatalf("%v after the end", actions)
				}
				for _, a := range actions {
					if a.Kind == Done || a.Kind == GiveUp || a.Kind == Fail {
						ended = true
					}
					if a.Kind == Request && (e.config.Object.CheckBlock(a.Piece, int64(a.Begin), int64(a.Length)) != nil || !e.proven) {
						t.Fatalf("asks for %+v", a)
					}
				}
				e.check(t)
			}
		})
	})
}

// check compares what the engine has counted with what there is.
func (e *Engine) check(t *testing.T) {
	t.Helper()
	asked, lates := map[int]int{}, 0
	for _, p := range e.known {
		if p.late {
			lates++
		}
		bytes := 0
		for _, r := range p.requests {
			bytes += r.length
			if !r.void {
				asked[r.piece]++
			}
		}
		if bytes != p.asked || p.phase != present && bytes > 0 {
			t.Fatalf("%d bytes are asked of a peer, and %d counted, in phase %d", bytes, p.asked, p.phase)
		}
	}
	if lates != e.lates {
		t.Fatalf("%d are late, and %d counted", lates, e.lates)
	}
	for _, a := range e.partials {
		unasked, missing := 0, 0
		for u := range a.units {
			state := a.units[u].state
			if state == 0 {
				unasked++
				if u < a.next {
					t.Fatalf("unit %d of piece %d is unasked, and the search begins at %d", u, a.piece, a.next)
				}
			}
			if state < there {
				missing++
			}
			if state > 2 && state != there {
				t.Fatalf("unit %d of piece %d is asked of %d", u, a.piece, state)
			}
		}
		if e.partial(a.piece) != a {
			t.Fatalf("piece %d is not where it is looked for", a.piece)
		}
		if unasked != a.unasked || missing != a.missing || asked[a.piece] != a.asked {
			t.Fatalf("piece %d: %d of %d units unasked, %d of %d missing, %d of %d requests",
				a.piece, a.unasked, unasked, a.missing, missing, a.asked, asked[a.piece])
		}
	}
	missing := 0
	for i := e.first; i < e.stop; i++ {
		if !e.have.get(i) {
			missing++
		}
	}
	if missing != e.missing {
		t.Fatalf("%d pieces are missing, and %d counted", missing, e.missing)
	}
	o := &e.rarity
	for at, i := range o.order {
		if o.pieces[i].place != int32(at) || !o.wanted.get(int(i)) || at > 0 && o.count(int(o.order[at-1])) > o.count(int(i)) {
			t.Fatalf("the order is broken at %d", at)
		}
		if c := o.count(int(i)); int32(at) < o.first[c] || c+1 < len(o.first) && int32(at) >= o.first[c+1] {
			t.Fatalf("piece %d at %d is not in bucket %d", i, at, c)
		}
	}
	if len(e.partials) > e.slots && e.slots == AssemblyBytes/e.pieceLength {
		t.Fatalf("%d pieces are in assembly", len(e.partials))
	}
}
