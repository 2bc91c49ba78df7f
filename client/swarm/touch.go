package swarm

// TouchDepths is how deep there is anything to touch.
const TouchDepths = 4

// Touch reads what the step of an event from a peer about a piece will read, and changes nothing: at depth 0 the peer's
// record, and then, each time, what was pointed to before. Where thousands of engines take turns none of it is in the
// processor's caches. A step waits for one thing after the other; the owner that knows which steps are next has all of
// them wait together by touching for each at depth 0, then for each at depth 1, and so on. The result is only there so that
// the reading is not left out.
func (e *Engine) Touch(h Handle, piece, depth int) int {
	p := h.peer
	if p == nil || piece >= e.pieces {
		return 0
	}
	sum := 0
	switch depth {
	case 0: // a field on each of the lines that hold it
		sum = int(p.phase) + len(p.requests) + int(p.served) + int(p.wait) + int(p.lapsedAt)
	case 1:
		if k := len(p.requests); k > 0 {
			sum = p.requests[0].piece + p.requests[k-1].piece
		}
		if !p.whole && p.has != nil {
			sum += int(p.has[piece/8])
		}
		sum += int(e.rarity.pieces[piece].slot) + len(e.partials) + len(e.known) + len(e.hungry) + e.missing + int(e.now)
	case 2:
		if a := e.partial(piece); a != nil {
			sum = a.missing
		}
	case 3:
		if a := e.partial(piece); a != nil {
			sum = int(a.units[0].from)
		}
	}
	return sum
}
