package swarm

// extend makes pieces wanted that come before end. A stream asks for no more than its reader will soon need, for as long as
// the reader may stop.
func (e *Engine) extend(end int) {
	for end = min(end, e.stop); e.reach < end; e.reach++ {
		if !e.have.get(e.reach) {
			e.rarity.want(e.reach)
			e.released = true
		}
	}
}

// urgent decides whether p is asked for what is needed next, or for what is rarest. Those who stream the same need the same
// next, and would all have to get it from the few who have everything. So one in as many as they are asks those for it, on
// average, and has it for the others; the rest of them get something else to trade (after Vlavianos, Iliofotou, Faloutsos:
// BiToS: Enhancing BitTorrent for Supporting Streaming Applications, 2006, whose share is fixed).
func (e *Engine) urgent(p *peer) bool {
	others := len(e.present) - e.wholes
	return !p.whole || others == 0 || e.rand.IntN(others+1) == 0
}

// isWanted reports whether piece i is of what the whole download is for.
func (e *Engine) isWanted(i int) bool { return i >= e.first && i < e.stop }

// rests reports whether all that may be asked for is there, and more will be wanted.
func (e *Engine) rests() bool {
	return e.opened && e.missing > 0 && e.reach < e.stop && len(e.rarity.order) == 0 && len(e.partials) == 0
}
