package session

import (
	"context"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/server/registry"
	"shoal/wire"
)

// certainFor is how old the last confirmation of the state may be for a ticket to be given (rule K2).
const certainFor = 5 * time.Second

// Tickets are how a host gives tickets.
type Tickets struct {
	// Sign makes a ticket that is valid by itself.
	Sign func(identity.Ticket) ([]byte, error)
	// Confirmed is the last time of which the registry is known to have had all that was acknowledged until then.
	Confirmed func() time.Time
	// Clock reports by an error, with code Busy, that this machine's clock is wrong. nil where nobody can tell.
	Clock func() error
}

// ticket answers TICKET (rules K1 and K2).
func (s *Session) ticket(ctx context.Context, m *wire.TicketRequest) (reply *wire.TicketReply, err error) {
	defer func(begin time.Time) { s.audit("ticket", string(m.Group), shoal.Object{}, begin, err) }(time.Now())
	is, revision, err := s.within(ctx, m.Group, registry.Member)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if t := s.host.Tickets; t.Sign == nil || now.Sub(t.Confirmed()) > certainFor {
		return nil, shoal.Errorf(shoal.Busy, "the server does not know whether it knows the latest, so it gives no tickets just now; try again")
	}
	if t := s.host.Tickets; t.Clock != nil {
		if err := t.Clock(); err != nil {
			return nil, err
		}
	}
	ticket, err := s.host.Tickets.Sign(identity.Ticket{
		Group: m.Group, Device: s.device, User: string(is.User), Rights: identity.MayFetch | identity.MayOffer,
		Epoch: is.Group.Epoch, Grace: is.Group.Grace, Issued: now, Expires: now.Add(identity.TicketLasts),
	})
	if err != nil {
		return nil, err
	}
	return &wire.TicketReply{Revision: revision, Ticket: ticket, Epoch: is.Group.Epoch, Now: now.UnixMilli()}, nil
}
