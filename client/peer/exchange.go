package peer

import (
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"shoal"
	"shoal/client/swarm"
	"shoal/client/tickets"
	"shoal/identity"
	"shoal/wire"
)

const (
	// mostRecords is how many processes are known of a swarm by their records, and mostOfDevice how many of one device.
	mostRecords  = 200
	mostOfDevice = 4
	// gain is how much longer a record must hold than the one that is known of the same process to be worth verifying.
	gain = 2 * time.Minute
	// ticketFor is how long a group's ticket is kept good for this process's own record after anybody wanted that last.
	ticketFor = time.Hour
)

// Exchange is what a process knows of the others in its swarms from those others, and tells of itself: signed records
// (PROTOCOL.md rules C11 and P23 to P27). So a swarm goes on, and grows, while no server can be reached. For concurrent use.
type Exchange struct {
	device   shoal.DeviceID
	security wire.Security
	realm    *tickets.Realm
	tickets  *tickets.Keeper
	own      func() []byte

	mu     sync.Mutex // guards the rest
	known  map[shoal.Swarm][]*record
	leases map[shoal.Group]*lease
	swept  time.Time
}

// lease is the interest in a group's ticket for this process's own record.
type lease struct {
	*tickets.Lease
	used time.Time
}

// record is one process that is known by its record.
type record struct {
	*tickets.Record
	addresses []identity.Candidate // of this process's own transport
}

// NewExchange makes an Exchange for a process of a device that accepts connections where own, a CANDIDATES statement, says;
// nil from own for nowhere. Records are judged by realm; a record has a ticket by keeper, whose Wait comes after Close.
func NewExchange(device shoal.DeviceID, security wire.Security, realm *tickets.Realm, keeper *tickets.Keeper, own func() []byte) *Exchange {
	return &Exchange{
		device: device, security: security, realm: realm, tickets: keeper, own: own,
		known: map[shoal.Swarm][]*record{}, leases: map[shoal.Group]*lease{},
	}
}

// Close ends what Use began.
func (x *Exchange) Close() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for group, l := range x.leases {
		l.Close()
		delete(x.leases, group)
	}
}

// Use makes ready for a record of this process in a group: that needs a ticket, which no server may be there for later.
func (x *Exchange) Use(group shoal.Group) {
	x.mu.Lock()
	defer x.mu.Unlock()
	l := x.leases[group]
	if l == nil {
		l = &lease{Lease: x.tickets.Use(group)}
		x.leases[group] = l
	}
	l.used = time.Now()
}

// Own is this process's record in a group; nil while there is none.
func (x *Exchange) Own(group shoal.Group) []byte {
	x.mu.Lock()
	l := x.leases[group]
	x.mu.Unlock()
	if l == nil {
		return nil
	}
	ticket, err := l.Current()
	if err != nil { // the server's last word, until somebody asks again
		x.mu.Lock()
		defer x.mu.Unlock()
		if x.leases[group] == l {
			delete(x.leases, group)
			l.Close()
		}
		return nil
	}
	candidates := x.own()
	if len(ticket) == 0 || len(candidates) == 0 {
		return nil
	}
	chain, err := identity.Chain(ticket, candidates)
	if err != nil {
		return nil
	}
	return chain
}

// Learn takes a record that somebody passed on, of any device if of is nil. An error says that it is none of a device of the
// group, or of no use here; identity's Refusals tell why.
func (x *Exchange) Learn(sw shoal.Swarm, chain []byte, of *shoal.DeviceID) error {
	claimed, err := identity.ReadRecord(chain)
	if err != nil {
		return err
	}
	if of != nil && claimed.Device != *of {
		return shoal.Errorf(shoal.Denied, "a record of %v: %w", claimed.Device, identity.RefusedHolder)
	}
	addresses := slices.DeleteFunc(slices.Clone(claimed.Candidates), func(c identity.Candidate) bool { return c.Security != x.security })
	if len(addresses) == 0 {
		return shoal.Errorf(shoal.Unsupported, "a record without an address that can be used here (rule C11)")
	}
	if claimed.Device == x.device || !x.wants(sw, claimed, addresses) {
		return nil
	}
	verified, err := x.realm.Vouch(sw.Group, slices.Clone(chain))
	if err == nil {
		x.put(sw, &record{verified, addresses})
	}
	return err
}

// wants reports whether a record, if it is true, is worth having.
func (x *Exchange) wants(sw shoal.Swarm, claimed *identity.Record, addresses []identity.Candidate) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	known := x.prune(sw)
	ofDevice := 0
	for _, r := range known {
		if r.Device != claimed.Device {
			continue
		}
		if ofDevice++; overlap(r.addresses, addresses) {
			return claimed.Expires.Sub(r.Expires) >= gain || claimed.Ticket != nil && claimed.Ticket.Expires.Sub(r.Ticket.Expires) >= gain
		}
	}
	return len(known) < mostRecords && ofDevice < mostOfDevice
}

// put keeps a record, in the place of what is known of the same process.
func (x *Exchange) put(sw shoal.Swarm, is *record) {
	x.mu.Lock()
	defer x.mu.Unlock()
	known, ofDevice := x.prune(sw), 0
	for i, r := range known {
		if r.Device != is.Device {
			continue
		}
		if ofDevice++; overlap(r.addresses, is.addresses) {
			known[i] = is
			return
		}
	}
	if len(known) < mostRecords && ofDevice < mostOfDevice { // others may have come meanwhile
		x.known[sw] = append(known, is)
	}
}

// prune forgets what does not hold any more, in a swarm and, now and then, in all, and returns what is left. mu is held.
func (x *Exchange) prune(sw shoal.Swarm) []*record {
	if now := time.Now(); now.Sub(x.swept) >= time.Minute {
		x.swept = now
		for other := range x.known {
			x.pruneOne(other)
		}
		for group, l := range x.leases {
			if now.Sub(l.used) >= ticketFor && x.realm.Reachable() { // else there will be no other
				l.Close()
				delete(x.leases, group)
			}
		}
	} else {
		x.pruneOne(sw)
	}
	return x.known[sw]
}

func (x *Exchange) pruneOne(sw shoal.Swarm) {
	left := slices.DeleteFunc(x.known[sw], func(r *record) bool { return !x.realm.Holds(r.Record) })
	if len(left) == 0 {
		delete(x.known, sw)
	} else {
		x.known[sw] = left
	}
}

// Sources are the processes that are known in a swarm.
func (x *Exchange) Sources(sw shoal.Swarm) []*record {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.prune(sw))
}

// Records are a random choice of those that can be passed on in a swarm, this process's own among them, and none of the
// device that they are for (rule P26).
func (x *Exchange) Records(sw shoal.Swarm, most int, to shoal.DeviceID) [][]byte {
	all := [][]byte{}
	for _, r := range x.Sources(sw) {
		if r.Device != to {
			all = append(all, r.Chain)
		}
	}
	if own := x.Own(sw.Group); own != nil && to != x.device {
		all = append(all, own)
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:min(most, len(all))]
}

// id is what the engine knows a process by: the server's number of its session may not be known, or be another soon, and
// nobody has signed it.
func (r *record) id() swarm.PeerID {
	h := fnv.New64a()
	for _, c := range r.addresses {
		_, _ = h.Write([]byte(c.Addr.String() + "\n"))
	}
	return swarm.PeerID{Device: r.Device, Session: learned | h.Sum64()}
}

// learned is set in the sessions of processes that are known by their records. A server's numbers do not get so far.
const learned = 1 << 63

// overlap reports whether two lists have an address in common: then it is one process, if it is one device.
func overlap(a, b []identity.Candidate) bool {
	return slices.ContainsFunc(a, func(c identity.Candidate) bool { return slices.Contains(b, c) })
}

// isForged reports whether an error is about a record that nobody can have verified before he passed it on.
func isForged(err error) bool {
	return errors.Is(err, identity.RefusedSignature) || errors.Is(err, identity.RefusedForm)
}
