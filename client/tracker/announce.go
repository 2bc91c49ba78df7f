package tracker

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"time"

	"shoal"
	"shoal/client/link"
	"shoal/identity"
	"shoal/wire"
)

// announceRoom is how many bytes of offers go into an ANNOUNCE of 64 KiB beside the candidates, and offerBytes how many an
// offer takes at most without its bitfield.
const (
	announceRoom = 64<<10 - wire.MaxStatement - 3*4
	offerBytes   = 4 + shoal.MaxGroup + 32 + 8 + 4 + 4 + 3
)

// Offer says which pieces of a swarm's object this process serves, from now on and at every server it connects to: those in
// has, which is kept and must not change, and nil for all of them. It does not wait: the server is told soon.
func (t *Tracker) Offer(swarm shoal.Swarm, has shoal.Bitfield) {
	o := wire.Offer{Swarm: swarm, Pieces: uint32(swarm.Object.Pieces())}
	if has != nil {
		all := o.Pieces
		if o.Pieces = uint32(has.Count()); o.Pieces > 0 && o.Pieces < all {
			o.Bitfield = has
		}
	}
	t.offer(o)
}

// Withdraw ends the offer for a swarm, as Offer does what it does.
func (t *Tracker) Withdraw(swarm shoal.Swarm) { t.offer(wire.Offer{Swarm: swarm}) }

func (t *Tracker) offer(o wire.Offer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if o.Pieces == 0 {
		delete(t.offers, o.Swarm)
	} else {
		t.offers[o.Swarm] = o
	}
	t.changed[o.Swarm] = struct{}{}
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// keepTold tells the server of one connection everything that it must know, and then what changes.
func (t *Tracker) keepTold(ctx context.Context, l *link.Link) error {
	if t.config.Addresses == nil {
		return t.republish(ctx, l)
	}
	t.mu.Lock()
	for swarm := range t.offers {
		t.changed[swarm] = struct{}{}
	}
	t.mu.Unlock()
	// The offers first: others wait for them, and what is not to be offered any more is told in return.
	if err := t.announce(ctx, l, t.signCandidates(l)); err != nil {
		return err
	}
	if err := t.republish(ctx, l); err != nil {
		return err
	}
	renew := time.NewTicker(candidateLife / 2)
	defer renew.Stop()
	for signed := []byte(nil); ; {
		if err := t.announce(ctx, l, signed); err != nil {
			return err
		}
		signed = nil
		select {
		case <-t.wake:
		case <-renew.C:
			signed = t.signCandidates(l)
		case <-ctx.Done():
			return nil
		}
	}
}

func (t *Tracker) signCandidates(l *link.Link) []byte { return t.sign(l.Observed) }

// sign makes and keeps the statement where this process accepts connections.
func (t *Tracker) sign(observed netip.Addr) []byte {
	now := t.Now()
	signed := identity.SignCandidates(t.config.Key, t.config.Addresses(observed), now, candidateLife)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.signed, t.signedAt = signed, now
	return signed
}

// Candidates is this device's own statement where this process accepts connections; nil where it does not. It is good for
// a while, whether a server can be reached or not: at half of its life it is made anew.
func (t *Tracker) Candidates() []byte {
	if t.config.Addresses == nil {
		return nil
	}
	t.mu.Lock()
	signed, age, observed := t.signed, t.Now().Sub(t.signedAt), t.observed
	t.mu.Unlock()
	if signed != nil && age >= 0 && age < candidateLife/2 {
		return signed
	}
	return t.sign(observed)
}

// republish publishes again what this process has published: a server that was restarted learns anew what it does not
// store, the facts about files. A name that has been taken away meanwhile stays so.
func (t *Tracker) republish(ctx context.Context, l *link.Link) error {
	t.mu.Lock()
	todo := maps.Clone(t.published)
	t.mu.Unlock()
	for label, p := range todo {
		if !t.isPublished(label, p.object) { // forgotten meanwhile
			continue
		}
		err := t.publishAgain(ctx, l, label, p)
		var lost *link.LostError
		if errors.As(err, &lost) || ctx.Err() != nil {
			return err
		}
		if err != nil {
			t.config.Log.Warn().Err(err).Str("name", string(label.name)).Msg("could not publish again")
		}
	}
	return nil
}

func (t *Tracker) publishAgain(ctx context.Context, l *link.Link, is label, p publication) error {
	var now wire.LookupReply
	err := l.Call(ctx, wire.KindLookup, &wire.Lookup{Group: is.group, Name: is.name}, &now)
	if errors.Is(err, shoal.NotFound) {
		t.mu.Lock()
		if t.published[is].object == p.object { // and not something that came meanwhile
			delete(t.published, is)
		}
		t.mu.Unlock()
	}
	if err != nil {
		return err
	}
	m := wire.Publish{Group: is.group, Name: is.name, Content: p.object, Head: p.sample.of(p.object)}
	// Whoever takes the name away forgets it before asking the server, so that either nothing is sent here any more, or
	// their request comes after this one.
	t.mu.Lock()
	if t.published[is].object != p.object {
		t.mu.Unlock()
		return nil
	}
	m.Sequence = t.nextSequence()
	publishing := l.Begin(wire.KindPublish, &m)
	t.mu.Unlock()
	return publishing.Wait(ctx, &wire.MutationReply{})
}

func (t *Tracker) isPublished(l label, o shoal.Object) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.published[l].object == o
}

// announce sends the changed offers, and first the candidates if there are any to send.
func (t *Tracker) announce(ctx context.Context, l *link.Link, candidates []byte) error {
	for {
		m := wire.Announce{Candidates: candidates, Offers: t.takeChanged()}
		if len(m.Candidates) == 0 && len(m.Offers) == 0 {
			t.allTold()
			return nil
		}
		if err := l.Call(ctx, wire.KindAnnounce, &m, &wire.Empty{}); err != nil {
			var lost *link.LostError
			if errors.As(err, &lost) || ctx.Err() != nil {
				return err
			}
			t.config.Log.Warn().Err(err).Msg("the server does not announce all that is served here")
			if errors.Is(err, shoal.Denied) && t.config.Events.Denied != nil {
				t.config.Events.Denied()
			}
		}
		candidates = nil
	}
}

// allTold wakes who waits in Announced, unless there is news again.
func (t *Tracker) allTold() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.changed) == 0 && t.told != nil {
		close(t.told)
		t.told = nil
	}
}

// Announced waits until a server knows all that this process offers.
func (t *Tracker) Announced(ctx context.Context) error {
	select {
	case <-t.telling():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Settled waits until a server knows all that this process offers, and so has told it what does not count any more
// (PROTOCOL.md rule E3), or until there is no connection to one.
func (t *Tracker) Settled(ctx context.Context) error {
	t.mu.Lock()
	connected, lost := t.link != nil, t.lost
	t.mu.Unlock()
	if !connected {
		return nil
	}
	select {
	case <-t.telling():
		return nil
	case <-lost:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// telling sees that the server is told of all offers, and returns what is closed then.
func (t *Tracker) telling() <-chan struct{} {
	t.mu.Lock()
	if t.told == nil {
		t.told = make(chan struct{})
	}
	told := t.told
	t.mu.Unlock()
	select {
	case t.wake <- struct{}{}:
	default:
	}
	return told
}

// takeChanged returns changed offers, as many as one ANNOUNCE takes.
func (t *Tracker) takeChanged() []wire.Offer {
	t.mu.Lock()
	defer t.mu.Unlock()
	var offers []wire.Offer
	room := announceRoom
	for swarm := range t.changed {
		o, is := t.offers[swarm]
		if !is {
			o.Swarm = swarm
		}
		if room -= offerBytes + len(o.Bitfield); room < 0 || len(offers) == wire.MaxOffers {
			break
		}
		offers = append(offers, o)
		delete(t.changed, swarm)
	}
	return offers
}
