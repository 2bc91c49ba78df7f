package identity

import (
	"time"

	"shoal"
	"shoal/xdr"
)

// Rights say what a ticket's holder may do in its group; a set of bits. Bits without a name give nothing.
type Rights uint32

// The rights.
const (
	MayFetch Rights = 1 << iota // fetch pieces from those who offer them
	MayOffer                    // serve pieces to others
)

const (
	// TicketLasts is the longest that a ticket can last (rule C7).
	TicketLasts = 10 * time.Minute
	// MaxGrace is the longest offline grace.
	MaxGrace = 30 * 24 * time.Hour
)

// Ticket is the realm's word that a device may do something in a group. Times are the server's.
type Ticket struct {
	Group   shoal.Group
	Device  shoal.DeviceID
	User    string // whose device it is; obeys the rules of names
	Rights  Rights
	Epoch   uint64        // of the group: raised by each change that takes a right away
	Grace   time.Duration // for how long it still counts after Expires where no server can be reached; whole seconds
	Issued  time.Time     // milliseconds count
	Expires time.Time
}

func (t *Ticket) append(b []byte) []byte {
	b = xdr.AppendString(b, t.Group)
	b = xdr.AppendFixed(b, t.Device[:])
	b = xdr.AppendString(b, t.User)
	b = xdr.AppendUint32(b, uint32(t.Rights))
	b = xdr.AppendUint64(b, t.Epoch)
	return xdr.AppendUint32(b, uint32(t.Grace/time.Second))
}

// check is rule C7.
func (t *Ticket) check() error {
	if _, err := shoal.ParseGroup(string(t.Group)); err != nil {
		return err
	}
	if _, err := shoal.ParseName(t.User); err != nil {
		return shoal.Errorf(shoal.BadRequest, "the ticket's user: %w", err)
	}
	switch lasts := t.Expires.Sub(t.Issued); {
	case lasts <= 0 || lasts > TicketLasts:
		return shoal.Errorf(shoal.BadRequest, "a ticket of %v; it can last up to %v", lasts, TicketLasts)
	case t.Grace < 0 || t.Grace > MaxGrace:
		return shoal.Errorf(shoal.BadRequest, "an offline grace of %v; it can be up to %v", t.Grace, MaxGrace)
	}
	return nil
}

// SignTicket makes a ticket that is valid by itself: certified is the chain from the realm's root to key. The error has
// code BadRequest for a ticket that everybody would refuse, or Limit for a chain that is too long.
func SignTicket(key *Key, certified []byte, t Ticket) ([]byte, error) {
	t.Issued, t.Expires = t.Issued.Truncate(time.Millisecond), t.Expires.Truncate(time.Millisecond)
	if err := t.check(); err != nil {
		return nil, err
	}
	return Chain(certified, issue(key, SaysTicket, t.append(nil), t.Issued, t.Expires.Sub(t.Issued)))
}

// readTicket takes a TICKET apart, whose signature has been checked.
func readTicket(s *statement) (*Ticket, error) {
	d := xdr.NewDecoder(s.body)
	t := &Ticket{Group: shoal.Group(d.String(shoal.MaxGroup))}
	copy(t.Device[:], d.Fixed(len(t.Device)))
	t.User = d.String(shoal.MaxName)
	t.Rights, t.Epoch = Rights(d.Uint32()), d.Uint64()
	t.Grace = time.Duration(d.Uint32()) * time.Second
	t.Issued, t.Expires = time.UnixMilli(s.issued), time.UnixMilli(s.expires)
	err := d.Finish()
	if err == nil {
		err = t.check()
	}
	if err != nil {
		return nil, shoal.Errorf(shoal.Untrusted, "a ticket is refused: %w: %w", RefusedForm, err)
	}
	return t, nil
}

// Demand is what a ticket must allow, and when.
type Demand struct {
	Device    shoal.DeviceID // that HELLO proved
	Group     shoal.Group
	Rights    Rights
	Epoch     uint64    // the highest of the group that is known here
	Now       time.Time // the server's (Clock)
	Reachable bool      // whether any server of the realm can be reached from here
}

// VerifyTicket checks that the realm issued the ticket and that it allows what is demanded (rules C7 to C9). The error
// is a Refusal and has code Untrusted or Denied.
func (a *Authority) VerifyTicket(ticket []byte, d Demand) (*Ticket, error) {
	before, last, err := a.split(ticket)
	if err != nil {
		return nil, err
	}
	if last.says != SaysTicket {
		return nil, shoal.Errorf(shoal.Untrusted, "a statement of kind %d where a ticket belongs: %w", last.says, RefusedChain)
	}
	at, err := a.follow(before, d.Now)
	if err != nil {
		return nil, err
	}
	if at.role != ticketRole {
		return nil, shoal.Errorf(shoal.Untrusted, "a ticket is by a key that signs none: %w", RefusedChain)
	}
	if err := last.verifyOrigin(at.key, d.Now); err != nil {
		return nil, err
	}
	t, err := readTicket(last)
	if err != nil {
		return nil, err
	}
	if err := t.Allows(d); err != nil {
		return nil, err
	}
	return t, nil
}

// Allows reports by a nil error that a ticket, which has been verified, allows what is demanded now: it is to be asked
// again when the time, the epoch or the server's being there has changed. The error is a Refusal and has code Untrusted
// where the ticket expired, and else Denied.
func (t *Ticket) Allows(d Demand) error {
	switch {
	case t.Device != d.Device:
		return shoal.Errorf(shoal.Denied, "the ticket is refused: %w", RefusedHolder)
	case t.Group != d.Group:
		return shoal.Errorf(shoal.Denied, "the ticket is refused: %w", RefusedGroup)
	case t.Epoch < d.Epoch:
		return shoal.Errorf(shoal.Denied, "the ticket is refused: %w; ask the server for a new one", RefusedEpoch)
	case t.Rights&d.Rights != d.Rights:
		return shoal.Errorf(shoal.Denied, "the ticket is refused: %w", RefusedRights)
	case !t.Lasts(d.Now, d.Reachable):
		return shoal.Errorf(shoal.Untrusted, "the ticket is refused: %w at %v; ask the server for a new one", RefusedExpired, t.Expires.UTC())
	}
	return nil
}

// Lasts reports whether the ticket has not ended at now, in the server's time: at its expiry, or, where no server can be
// reached that would renew it, when its offline grace is over as well (rule C9).
func (t *Ticket) Lasts(now time.Time, reachable bool) bool {
	end := t.Expires
	if !reachable {
		end = end.Add(t.Grace)
	}
	return now.Before(end)
}
