package tickets

import (
	"shoal"
	"shoal/identity"
)

// Record is one that was accepted, as it can be passed on. Immutable.
type Record struct {
	*identity.Record
	Chain     []byte
	admission Admission
}

// Vouch checks a record of a device that offers in a group (rule C11, but for the security). The error has code Untrusted
// or Denied.
func (r *Realm) Vouch(group shoal.Group, chain []byte) (*Record, error) {
	authority, demand, revision, err := r.demand(group, identity.MayOffer)
	if err != nil {
		return nil, err
	}
	is, err := authority.VerifyRecord(chain, demand)
	if err != nil {
		return nil, err
	}
	r.Raise(group, is.Ticket.Epoch)
	return &Record{is, chain, Admission{is.Ticket, identity.MayOffer, revision}}, nil
}

// Reachable reports whether a server can be reached that gives new tickets.
func (r *Realm) Reachable() bool { return r.config.Reachable() }

// Holds reports whether a record still counts: it ends with its candidates and with its ticket (Check).
func (r *Realm) Holds(record *Record) bool {
	return r.config.Now().Before(record.Expires) && r.Check(record.admission) == nil
}
