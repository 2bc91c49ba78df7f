package swarm

import (
	"testing"
	"time"

	"shoal"
)

// FuzzEngine feeds an engine any events in any order. Whatever its owner does wrong, it does not panic, asks nobody for
// what that one does not have or what is outside the object, and is silent after the end.
func FuzzEngine(f *testing.F) {
	f.Add([]byte{byte(Found), 1, 0, byte(Connected), 1, 255, byte(ManifestVerified), 1, 0, byte(Opened), 0, 0, byte(PieceVerified), 1, 3})
	f.Add([]byte{byte(PieceVerified), 1, 9, byte(Found), 1, 0, byte(PieceVerified), 1, 255, byte(Opened), 0, 255, byte(Tick), 40, 0})
	f.Add([]byte{byte(Found), 1, 0, byte(Connected), 1, 0, byte(Have), 1, 30, byte(Opened), 0, 0, byte(Lost), 1, 0, byte(PieceBad), 1, 1})
	f.Fuzz(func(t *testing.T, script []byte) {
		const pieces = 20
		e := New(Config{Object: shoal.Object{Size: pieces * (256 << 10)}, Timeout: time.Minute, Seed: uint64(len(script))})
		var now time.Duration
		ended := false
		for ; len(script) >= 3; script = script[3:] {
			ev := Event{Kind: EventKind(script[0] % 14), Now: now, Peer: id(script[1] % 5), Piece: int(int8(script[2]))}
			switch ev.Kind {
			case Tick:
				now += time.Duration(script[1]) * TickEvery
			case Connected, Opened:
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
				if a.Kind == Done || a.Kind == GiveUp {
					ended = true
				}
				if a.Kind == Request && (a.Piece < 0 || a.Piece >= pieces || !e.proven) {
					t.Fatalf("asks for piece %d", a.Piece)
				}
			}
			for i := range e.asked {
				if e.asked[i] > 2 {
					t.Fatalf("piece %d is asked of %d peers", i, e.asked[i])
				}
			}
		}
	})
}
