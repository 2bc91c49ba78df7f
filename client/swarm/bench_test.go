package swarm

import "testing"

// BenchmarkHave is what a HAVE costs an engine that is connected to 50 peers: well under a microsecond, because large
// swarms send one for each piece on each connection.
func BenchmarkHave(b *testing.B) {
	const pieces = 4096
	w := newWorld(b, pieces, Config{}, proven)
	e := w.engine
	for n := range byte(50) {
		e.Step(Event{Kind: Found, Peer: id(n)}, nil)
		e.Step(Event{Kind: Connected, Peer: id(n)}, nil)
		e.Step(Event{Kind: Choked, Peer: id(n)}, nil)
	}
	actions := make([]Action, 0, 16)
	b.ReportAllocs()
	k := 0
	for b.Loop() {
		p := byte(k % 50)
		i := k / 50 % pieces
		if i == 0 && p == 0 {
			b.StopTimer()
			for n := range byte(50) {
				e.Step(Event{Kind: Lost, Peer: id(n)}, nil)
				e.now += retryMost * 2
				e.Step(Event{Kind: Tick, Now: e.now}, nil)
				e.Step(Event{Kind: Connected, Peer: id(n)}, nil)
				e.Step(Event{Kind: Choked, Peer: id(n)}, nil)
			}
			b.StartTimer()
		}
		actions = e.Step(Event{Kind: Have, Peer: id(p), Piece: i, Now: e.now}, actions[:0])
		k++
	}
}
