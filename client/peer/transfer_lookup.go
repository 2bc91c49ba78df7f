package peer

import (
	"time"

	"shoal/client/swarm"
	"shoal/client/tracker"
)

// How often a server is asked for further sources: rarely, unless there is nobody to ask.
const (
	lookupFirst = 250 * time.Millisecond
	lookupEvery = 15 * time.Second
	lookupSoon  = 2 * time.Second
)

// found takes sources that a server knows.
func (t *transfer) found(sources []tracker.Source) {
	for _, found := range sources {
		if t.From != nil && found.Device != *t.From {
			continue
		}
		if s := t.alias(&found); s != nil {
			s.Addresses = found.Addresses
			continue
		}
		id := swarm.PeerID{Device: found.Device, Session: found.Session}
		s := t.sources[id]
		if s == nil {
			s = &source{status: SourceStatus{Device: found.Device, Session: found.Session, Mirror: found.Mirror.Host()}}
			t.sources[id] = s
			t.order = append(t.order, s)
		}
		s.Source = found
		if found.Mirror != "" {
			s.mirror = s.mirror.Again(found.Mirror, t.Swarm.Object, found.Private)
			t.fetchKept()
		}
		t.step(swarm.Event{Kind: swarm.Found, Peer: id})
	}
}

// look asks the server for further sources: soon and then less often, because others may have begun at the same time.
func (t *transfer) look() {
	for next := lookupFirst; ; next = min(2*next, lookupEvery) {
		pause := next
		if t.waiting.Load() {
			pause = min(pause, lookupSoon)
		}
		select {
		case <-time.After(pause):
		case <-t.kick:
		case <-t.ctx.Done():
			return
		}
		found, err := t.Tracker.LookupFile(t.ctx, t.Swarm.Group, t.Swarm.Object.ID)
		if err != nil {
			t.Log.Debug().Err(err).Msg("looking for sources")
			continue
		}
		t.inbox.put(event{found: found})
	}
}
