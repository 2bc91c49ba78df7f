package peer

import (
	"slices"
	"time"

	"shoal"
	"shoal/client/swarm"
	"shoal/client/tracker"
	"shoal/identity"
	"shoal/wire"
)

const (
	// exchangeFirst is how long after a source was joined it is asked whom it knows, unless there is something to tell
	// before, and exchangeEvery how often then (rule P25).
	exchangeFirst = 2 * time.Second
	exchangeEvery = 20 * time.Second
	// enoughSources is how many are known when few records more are asked for at a time.
	enoughSources = 50
	fewRecords    = 5
)

// exchanges asks the sources whose turn it is whom they know, tells them where this process serves what has come, and takes
// those who are known by now.
func (t *transfer) exchanges() {
	if t.Exchange == nil || t.ended {
		return
	}
	now := time.Since(t.begin)
	telling := t.shelved && t.part.Held() > 0
	for _, s := range t.order {
		j, isPeer := s.joined.(*Joined)
		if !isPeer || j.exchanging {
			continue
		}
		if j.exchangeAt == 0 {
			j.exchangeAt = now + exchangeFirst
		}
		if now >= j.exchangeAt || telling && !j.exchanged {
			j.exchanging, j.exchanged, j.exchangeAt = true, true, now+exchangeEvery
			t.exchange(j, telling)
		}
	}
	if now >= t.meetAt {
		t.meetAt = now + exchangeFirst
		t.meet()
	}
}

// exchange does so with one source, in the background.
func (t *transfer) exchange(j *Joined, telling bool) {
	m := wire.Exchange{Handle: j.handle, Most: wire.MaxRecords}
	switch {
	case t.From != nil:
		m.Most = 0
	case len(t.order) >= enoughSources:
		m.Most = fewRecords
	}
	t.helpers.Go(func() {
		if telling {
			m.Record = t.Exchange.Own(t.Swarm.Group)
		}
		var reply wire.ExchangeReply
		err := j.conn.link.Call(t.ctx, wire.KindExchange, &m, &reply)
		if err == nil {
			err = t.learn(reply.Records, int(m.Most))
			if err != nil {
				j.conn.link.Close(err)
			}
		}
		if err != nil {
			t.Log.Debug().Err(err).Stringer("device", j.id.Device).Msg("exchanging records")
		}
		t.inbox.put(event{exchanged: j})
	})
}

// learn takes the records of one reply. An error is about who sent it.
func (t *transfer) learn(records [][]byte, most int) error {
	if len(records) > most {
		return shoal.Errorf(shoal.BadRequest, "%d records where %d were asked for (rule P23)", len(records), most)
	}
	for _, chain := range records {
		err := t.Exchange.Learn(t.Swarm, chain, nil)
		if isForged(err) {
			return shoal.Errorf(shoal.BadRequest, "a record that was passed on is forged (rule P26): %w", err)
		}
		if err != nil {
			t.Log.Debug().Err(err).Msg("a record is passed over")
		}
	}
	return nil
}

// meet makes sources of those who are known by their records.
func (t *transfer) meet() {
	for _, r := range t.Exchange.Sources(t.Swarm) {
		if t.From != nil && r.Device != *t.From {
			continue
		}
		if s := t.process(r.Device, r.addresses); s != nil {
			s.Addresses = r.addresses
			continue
		}
		if t.learned < mostRecords {
			t.learned++
			id := r.id()
			t.found([]tracker.Source{{Device: id.Device, Session: id.Session, Addresses: r.addresses}})
		}
	}
}

// process is the source that is found at one of these addresses; nil if there is none.
func (t *transfer) process(device shoal.DeviceID, addresses []identity.Candidate) *source {
	i := slices.IndexFunc(t.order, func(s *source) bool { return s.Device == device && overlap(s.Addresses, addresses) })
	if i < 0 {
		return nil
	}
	return t.order[i]
}

// alias is the source, known by its record, that a LOOKUP names by its session; nil if there is none.
func (t *transfer) alias(found *tracker.Source) *source {
	if t.sources[swarm.PeerID{Device: found.Device, Session: found.Session}] != nil {
		return nil
	}
	if s := t.process(found.Device, found.Addresses); s != nil && s.Session&learned != 0 {
		return s
	}
	return nil
}
