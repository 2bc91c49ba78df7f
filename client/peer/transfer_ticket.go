package peer

import (
	"context"

	"shoal"
	"shoal/client/tickets"
)

// lease is the transfer's interest in its group's ticket.
func (t Transfer) lease() *tickets.Lease {
	if t.Tickets == nil {
		return new(tickets.Lease)
	}
	return t.Tickets.Use(t.Swarm.Group)
}

// awaitTickets tells the owner, and who waits for the first ticket, whenever there is another one or none any more.
func (t *transfer) awaitTickets() {
	for first := true; ; first = false {
		select {
		case <-t.lease.News():
		case <-t.ctx.Done():
			return
		}
		if first {
			close(t.ready)
		}
		t.inbox.put(event{ticket: true})
	}
}

// ticket is what to show to a peer now: nil where none is needed.
func (t *transfer) ticket(ctx context.Context) ([]byte, error) {
	if !t.lease.Needed() {
		return nil, nil
	}
	select {
	case <-t.ready:
		return t.lease.Current()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// renew shows the new ticket to all peers. Without one the transfer cannot go on: the peers end it, too.
func (t *transfer) renew() {
	ticket, err := t.lease.Current()
	if err != nil {
		t.fail(shoal.Errorf(shoal.CodeOf(err), "%w%s", err, t.kept()))
		return
	}
	for _, s := range t.order {
		if s.joined != nil {
			s.joined.renew(ticket)
		}
	}
}
