package swarm

import "math"

// noFront is the front of what is wanted in order where nothing else was said: all of it.
const noFront = math.MaxInt

// extend makes pieces wanted that come before end, and those before front in order. A stream asks for no more than its
// reader will soon need, for as long as the reader may stop: the first of it in order, because it waits for them, and the
// others as in any download, so that those who stream the same have something for one another (Vlavianos, Iliofotou,
// Faloutsos: BiToS: Enhancing BitTorrent for Supporting Streaming Applications, 2006).
func (e *Engine) extend(end, front int) {
	e.front = front
	for end = min(end, e.stop); e.reach < end; e.reach++ {
		if !e.have.get(e.reach) {
			e.rarity.want(e.reach)
			e.released = true
		}
	}
}

// isWanted reports whether piece i is of what the whole download is for.
func (e *Engine) isWanted(i int) bool { return i >= e.first && i < e.stop }

// rests reports whether all that may be asked for is there, and more will be wanted.
func (e *Engine) rests() bool {
	return e.opened && e.missing > 0 && e.reach < e.stop && len(e.rarity.order) == 0 && len(e.partials) == 0
}
