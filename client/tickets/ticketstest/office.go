// Package ticketstest makes tickets for tests, good ones and bad ones.
package ticketstest

import (
	"sync/atomic"
	"testing"
	"time"

	"shoal"
	"shoal/identity"
)

// Lab is the group that tickets are for.
const Lab shoal.Group = "lab"

// Office is where tickets are made: a realm with its keys, and whether it can be reached.
type Office struct {
	TB            testing.TB
	Root, Tickets *identity.Key
	Certified     []byte // the chain from Root to Tickets
	Up            atomic.Bool
}

// New opens an office of a realm of its own.
func New(t testing.TB) *Office {
	o := &Office{TB: t, Root: identity.NewKey(), Tickets: identity.NewKey()}
	o.Certified = identity.CertifyTicketKey(o.Root, o.Tickets.Public(), time.Now(), 10000*time.Hour)
	o.Up.Store(true)
	return o
}

// Authority believes the office.
func (o *Office) Authority() *identity.Authority { return identity.NewAuthority(o.Root.Public()) }

// Ticket is one to fetch and offer in Lab at epoch 3, for ten minutes with an hour of grace, unless change, which may be nil, makes
// it another.
func (o *Office) Ticket(device shoal.DeviceID, change func(*identity.Ticket)) []byte {
	o.TB.Helper()
	t := identity.Ticket{
		Group: Lab, Device: device, User: "ann", Rights: identity.MayFetch | identity.MayOffer, Epoch: 3, Grace: time.Hour,
		Issued: time.Now(), Expires: time.Now().Add(identity.TicketLasts),
	}
	if change != nil {
		change(&t)
	}
	b, err := identity.SignTicket(o.Tickets, o.Certified, t)
	if err != nil {
		o.TB.Fatal(err)
	}
	return b
}

// Record is one of a device with such a ticket, which accepts connections at these addresses for an hour from now.
func (o *Office) Record(device *identity.Key, change func(*identity.Ticket), at ...identity.Candidate) []byte {
	o.TB.Helper()
	chain, err := identity.Chain(o.Ticket(device.Device(), change), identity.SignCandidates(device, at, time.Now(), time.Hour))
	if err != nil {
		o.TB.Fatal(err)
	}
	return chain
}

// Ago makes a ticket one that was made earlier.
func Ago(d time.Duration) func(*identity.Ticket) {
	return func(t *identity.Ticket) { t.Issued, t.Expires = t.Issued.Add(-d), t.Expires.Add(-d) }
}

// AtEpoch makes a ticket one of another epoch.
func AtEpoch(epoch uint64) func(*identity.Ticket) {
	return func(t *identity.Ticket) { t.Epoch = epoch }
}

// Away makes the office unreachable for a while.
func (o *Office) Away(d time.Duration) {
	o.Up.Store(false)
	time.AfterFunc(d, func() { o.Up.Store(true) })
}
