package upload

import (
	"testing"
	"time"

	"shoal/client/swarm"
	"shoal/tests/bounds"
)

// FuzzMachine feeds a machine any events in any order. Whatever its owner and its peers do wrong, it does not panic, serves only
// what is here and was asked for, and no block twice.
func FuzzMachine(f *testing.F) {
	f.Add([]byte{byte(Joined), 1, 0, byte(Asked), 1, 3, byte(Sent), 1, 3, byte(Left), 1, 0})
	f.Add([]byte{byte(OnlySeed), 0, 1, byte(Joined), 1, 0, byte(Joined), 2, 0, byte(PeerHas), 1, 4, byte(Asked), 1, 4, byte(Tick), 40, 0, byte(Canceled), 1, 4})
	f.Add([]byte{byte(Held), 0, 9, byte(Gave), 1, 200, byte(PeerWhole), 2, 0, byte(Tick), 255, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		bounds.Hold(t, len(script), func() {
			type asked struct {
				peer         swarm.PeerID
				piece, begin int
			}
			waits := map[asked]int{}
			have := map[int]bool{}
			c := Config{Whole: len(script)%2 == 0, Seed: uint64(len(script)), Parallel: len(script) % 3, Slots: len(script) % 4}
			if !c.Whole {
				c.Bitfield = []byte{0xaa, 0xaa, 0xaa, 0xaa, 0xaa}
			}
			m := open(c)
			for i := range pieces {
				have[i] = c.Whole || i%2 == 0
			}
			joined := map[swarm.PeerID]bool{}
			for ; len(script) >= 3; script = script[3:] {
				ev := Event{Kind: EventKind(script[0] % 13), Now: m.now, Peer: id(int(script[1] % 7)), Piece: int(script[2]) % pieces, Begin: int(script[1]/7) << 14, Length: 1 << 14}
				switch ev.Kind {
				case Joined:
					if joined[ev.Peer] {
						continue // each connection joins once
					}
					joined[ev.Peer], ev.Picky = true, script[2]%2 > 0
				case Left:
					delete(joined, ev.Peer)
					for a := range waits {
						if a.peer == ev.Peer {
							delete(waits, a)
						}
					}
				case Asked:
					if !joined[ev.Peer] {
						continue
					}
					waits[asked{ev.Peer, ev.Piece, ev.Begin}]++
				case Gave:
					ev.Length = int(script[2]) << 16
				case Held:
					have[ev.Piece] = true
				case OnlySeed:
					ev.Whole = script[2]%2 > 0
				case Tick:
					m.now += time.Duration(script[1]) * swarm.TickEvery
					ev.Now = m.now
				}
				for _, a := range m.Step(ev, nil) {
					if a.Kind != Serve && a.Kind != Refuse {
						continue
					}
					of := asked{a.Peer, a.Piece, a.Begin}
					if waits[of]--; waits[of] < 0 || a.Kind == Serve && !have[a.Piece] {
						t.Fatalf("%+v answers nothing, or what is not here", a)
					}
				}
			}
		})
	})
}
