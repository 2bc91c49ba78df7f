package session

import (
	"slices"
	"sync"
	"time"

	"shoal"
	"shoal/server/registry"
	"shoal/wire"
)

// maxPending is how many bytes of events a session's client may leave unread: then the connection ends, and when it
// connects again, it learns what it missed (rule E3).
const maxPending = 64 << 10

// Hub knows the sessions that there are, to tell them what ended. The zero Hub has none. Safe for concurrent use.
type Hub struct {
	mu       sync.Mutex // guards byDevice
	byDevice map[shoal.DeviceID][]*Session
}

func (h *Hub) add(s *Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.byDevice == nil {
		h.byDevice = make(map[shoal.DeviceID][]*Session)
	}
	h.byDevice[s.device] = append(h.byDevice[s.device], s)
}

func (h *Hub) remove(s *Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var left []*Session // anew: others may be reading the old one
	for _, other := range h.byDevice[s.device] {
		if other != s {
			left = append(left, other)
		}
	}
	if h.byDevice[s.device] = left; left == nil {
		delete(h.byDevice, s.device)
	}
}

// of returns the sessions of devices, each once.
func (h *Hub) of(devices []shoal.DeviceID) (all []*Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	seen := make(map[shoal.DeviceID]bool)
	for _, d := range devices {
		if sessions := h.byDevice[d]; sessions != nil && !seen[d] {
			seen[d] = true
			all = append(all, sessions...)
		}
	}
	return all
}

// all returns all sessions.
func (h *Hub) all() (all []*Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, sessions := range h.byDevice {
		all = append(all, sessions...)
	}
	return all
}

// concerned returns the sessions of the devices that a change concerns.
func (h *Host) concerned(c *registry.Change) []*Session {
	if !c.All {
		return h.Hub.of(c.Devices)
	}
	named := make(map[shoal.DeviceID]bool, len(c.Devices))
	for _, d := range c.Devices {
		named[d] = true
	}
	return slices.DeleteFunc(h.Hub.all(), func(s *Session) bool {
		who, _ := h.Registry.Who(s.device)
		return who.User == "" && !named[s.device]
	})
}

// Changed tells sessions what ended, and ends their offers of it. It is for Registry.Changed, and does not wait.
func (h *Host) Changed(changes []registry.Change) {
	for _, c := range changes {
		switch c.Reason {
		case registry.RootReplaced: // clients learn it when they connect
		case registry.KeyRevoked:
			event := wire.AppendEvent(nil, wire.KindRevoked, &wire.Revocation{Chain: c.Chain})
			for _, s := range h.Hub.all() {
				s.push(event)
			}
		case registry.FileGone, registry.SharingEnded:
			h.fileGone(c, h.concerned(&c))
		default:
			h.epochRaised(c, h.concerned(&c))
		}
	}
}

func (h *Host) fileGone(c registry.Change, sessions []*Session) {
	reason, swarm := wire.GoneStopped, shoal.Swarm{Group: c.Group, Object: c.File}
	if c.Reason == registry.FileGone {
		reason = wire.GoneDeleted
		h.Swarms.Remove(swarm)
	}
	event := wire.AppendEvent(nil, wire.KindGone, &wire.Gone{Group: c.Group, File: c.File.ID, Reason: reason})
	for _, s := range sessions {
		s.offers.Withdraw(swarm)
		s.push(event)
	}
}

func (h *Host) epochRaised(c registry.Change, sessions []*Session) {
	reason := wire.EpochMember
	switch c.Reason {
	case registry.DeviceGone:
		reason = wire.EpochDevice
	case registry.OwnerChanged:
		reason = wire.EpochOwner
	case registry.GroupGone:
		reason = wire.EpochDeleted
	}
	event := wire.AppendEvent(nil, wire.KindEpoch, &wire.Epoch{Group: c.Group, Epoch: c.Epoch, Reason: reason})
	h.retract(c.Group)
	for _, s := range sessions {
		if h.Registry.Enter(s.device, c.Group) != nil {
			s.offers.WithdrawGroup(c.Group)
		}
		s.push(event)
	}
}

// pushes are the events of a session that are not sent yet, and who sends them.
type pushes struct {
	mu      sync.Mutex // guards what is below
	pending []byte
	sending bool // there is one who sends, or will be: begin
	ended   bool
	run     sync.WaitGroup // the one that sends
}

// push sends an event soon, beside what the session does; after its end it does nothing. It does not wait.
func (s *Session) push(event []byte) {
	p := &s.pushes
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	if len(p.pending)+len(event) > maxPending {
		s.below.Close()
		return
	}
	p.pending = append(p.pending, event...)
	if !p.sending {
		p.sending = true
		p.run.Go(s.sendPushes)
	}
}

// begin sends what the client must know first: which of the realm's keys do not count any more (rule E4). What push was
// given until then follows.
func (s *Session) begin() error {
	now := time.Now()
	for _, r := range s.host.Registry.Revocations() {
		if now.Before(r.Expires) {
			s.out = wire.AppendEvent(s.out, wire.KindRevoked, &wire.Revocation{Chain: r.Chain})
		}
	}
	err := s.flush()
	p := &s.pushes
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sending = len(p.pending) > 0; p.sending {
		p.run.Go(s.sendPushes)
	}
	return err
}

func (s *Session) sendPushes() {
	p := &s.pushes
	for {
		p.mu.Lock()
		events := p.pending
		p.pending = nil
		if len(events) == 0 || p.ended {
			p.sending = false
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
		if s.write(events) != nil {
			s.below.Close() // the session notices
		}
	}
}

// endPushes ends what push does, and waits for it.
func (s *Session) endPushes() {
	s.pushes.mu.Lock()
	s.pushes.ended = true
	s.pushes.mu.Unlock()
	s.pushes.run.Wait()
}

// write sends whole frames.
func (s *Session) write(frames []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	_, err := s.conn.Write(frames)
	return err
}
