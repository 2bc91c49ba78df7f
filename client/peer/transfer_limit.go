package peer

import "context"

const (
	// leastShare is how many bytes a second a source should be able to send, so that its first block does not take so long
	// that it counts as stalled; fewPeers is how many are connected whatever their share.
	leastShare = 64 << 10
	fewPeers   = 4
)

// limitsOf are the limits of the transfer's swarm.
func (t Transfer) limitsOf() *Limits {
	if t.Shelf == nil {
		return new(Limits)
	}
	return t.Shelf.Limits(t.Swarm)
}

// peersFor is how many sources are connected at a time when what comes is limited; 0 for as many as are good.
func peersFor(limits ...*Limit) int {
	peers := int64(0)
	for _, l := range limits {
		if l == nil || l.Rate() == 0 {
			continue
		}
		if n := max(fewPeers, l.Rate()/leastShare); peers == 0 || n < peers {
			peers = n
		}
	}
	if peers >= mostPeers {
		return 0
	}
	return int(peers)
}

// mostPeers is what the engine connects to without being told.
const mostPeers = 50

// readLimited reads a block as fast as the limits allow. What is not read yet keeps the source from sending more.
func (t *transfer) readLimited(from *origin, buf []byte, read func([]byte) error) error {
	g := gate{limits: [2]*Limit{&t.limits.Down, t.Pool.Down}}
	for !g.open() && len(buf) > 0 {
		n := g.unit(int64(len(buf)))
		from.waiting.Store(true)
		passed := g.wait(n, from.ctx.Done())
		from.waiting.Store(false)
		if !passed {
			return context.Cause(from.ctx)
		}
		if err := read(buf[:n]); err != nil {
			return err
		}
		buf = buf[n:]
	}
	return read(buf)
}
