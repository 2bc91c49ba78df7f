package peer

import (
	"time"

	"shoal"
	"shoal/wire"
)

// exchangeAfter is how long after an EXCHANGE the next one of the same connection and swarm is answered (rule P25).
const exchangeAfter = 15 * time.Second

// exchange takes the other side's record, and answers with others.
func (c *served) exchange(m *wire.Exchange) (wire.Message, error) {
	member, err := c.member(m.Handle)
	if err != nil {
		return nil, err
	}
	sw := member.item.swarm
	if !c.mayExchange(sw) {
		return nil, shoal.Errorf(shoal.Limit, "EXCHANGE comes again within %v (rule P25)", exchangeAfter)
	}
	x := c.server.Exchange
	if x == nil {
		return &wire.ExchangeReply{}, nil
	}
	device := shoal.DeviceID(c.Remote)
	if len(m.Record) > 0 {
		if err := x.Learn(sw, m.Record, &device); err != nil {
			return nil, shoal.Errorf(shoal.BadRequest, "the record of this device is refused (rule P24): %w", err)
		}
	}
	return &wire.ExchangeReply{Records: x.Records(sw, int(m.Most), device)}, nil
}

// mayExchange reports whether it is time for another EXCHANGE in a swarm, and takes it that there is one. Leaving the swarm
// and joining it again does not make it come sooner.
func (c *served) mayExchange(sw shoal.Swarm) bool {
	now := time.Now()
	for other, at := range c.exchanged {
		if now.Sub(at) >= exchangeAfter {
			delete(c.exchanged, other)
		}
	}
	if _, soon := c.exchanged[sw]; soon {
		return false
	}
	c.exchanged[sw] = now
	return true
}
