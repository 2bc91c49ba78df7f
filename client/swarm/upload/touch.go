package upload

// Touch reads what the step of an event of a connection will read, as swarm.Engine.Touch does, at depths 0 and 1.
func (m *Machine) Touch(h Handle, depth int) int {
	p := h.peer
	if p == nil {
		return 0
	}
	if depth == 0 {
		return int(p.joined) + len(p.open) + p.allowed
	}
	sum := len(m.have) + len(m.turn) + int(m.now)
	if depth == 1 && len(p.open) > 0 {
		sum += int(p.open[0].piece)
	}
	return sum
}
