package simulation

import "shoal/client/swarm"

// together is how many happenings are looked at before the first of them comes about: what they touch is to stay in the
// processor's second cache until then.
const together = 48

// touch looks at what is needed for the happenings that are next, as swarm.Engine.Touch explains: without it a simulation of
// thousands of peers waits for memory for two thirds of the time. It makes no difference to what happens.
func (s *simulator) touch(next []happening) {
	for depth := range swarm.TouchDepths + 2 {
		for k := range next {
			s.touched += s.touchOne(&next[k], depth)
		}
	}
}

func (s *simulator) touchOne(h *happening, depth int) (sum int) {
	switch h.kind {
	case ask:
		return h.flow.touchSource(depth)
	case delivered:
		return h.flow.touchEnd(int(h.block.piece), depth)
	case transmitted:
		n := s.nodes[h.node]
		if depth == 0 {
			return len(n.burst)
		}
		for _, p := range n.burst {
			sum += p.flow.touchSource(depth - 1)
			if depth == 2 {
				sum += int(p.flow.dst.downFree)
			}
		}
		if depth == 2 { // as many may be next
			for _, f := range n.ring[:min(len(n.ring), len(n.burst))] {
				sum += int(f.place) + int(f.gave)
			}
		}
	}
	return sum
}

// touchSource looks at what an event for the upload side needs.
func (f *flow) touchSource(depth int) int {
	switch depth {
	case 0:
		return int(f.place) + int(f.gave)
	case 1:
		if f.place >= 0 {
			sum := int(f.src.in[f.place].dst)
			return sum + f.src.upload.Touch(f.sink, 0)
		}
	case 2:
		return f.src.upload.Touch(f.sink, 1)
	}
	return 0
}

// touchEnd looks at what an event for the engine needs.
func (f *flow) touchEnd(piece, depth int) int {
	switch depth {
	case 0:
		return int(f.place) + int(f.gave)
	case 1:
		n := f.dst
		if n.out[f.session] != f {
			return 0
		}
		return int(n.done) + n.held + len(n.pending)
	}
	return f.dst.engine.Touch(f.source, piece, depth-2)
}
