package swarms

import "shoal"

// Withdraw ends the session's offer for a swarm, if there is one.
func (s *Session) Withdraw(of shoal.Swarm) {
	a := s.all
	a.mu.Lock()
	defer a.mu.Unlock()
	if w := a.find(of); w != nil {
		s.leave(w)
	}
}

// WithdrawGroup ends the session's offers in a group.
func (s *Session) WithdrawGroup(g shoal.Group) {
	a := s.all
	a.mu.Lock()
	defer a.mu.Unlock()
	for w := range s.offers {
		if w.key.Group == g {
			s.leave(w)
		}
	}
}

// Remove ends all offers for a swarm.
func (a *Swarms) Remove(of shoal.Swarm) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := a.find(of)
	if w == nil {
		return
	}
	for len(w.sources) > 0 {
		w.sources[len(w.sources)-1].session.leave(w)
	}
}

// leave ends the session's offer in w, if there is one. The caller holds mu.
func (s *Session) leave(w *swarm) {
	if at, offers := s.offers[w]; offers {
		s.withdraw(w, at)
	}
	s.all.tidy(w)
}

// withdraw takes the session, which is at place at, out of w; the last one moves there. The caller holds mu.
func (s *Session) withdraw(w *swarm, at int) {
	w.whole -= isWhole(w, w.sources[at].pieces)
	w.hold(at, nil)
	last := len(w.sources) - 1
	w.sources[at] = w.sources[last]
	w.sources[at].session.offers[w] = at
	w.sources[last] = source{}
	w.sources = w.sources[:last]
	if cap(w.sources) > 64 && last < cap(w.sources)/4 {
		w.sources = append(make([]source, 0, 2*last), w.sources...)
	}
	delete(s.offers, w)
	s.all.offers--
	s.all.reports.leaves(w.key.Group, s.device)
}

// End takes the session's offers away (rule S6).
func (s *Session) End() {
	a := s.all
	a.mu.Lock()
	defer a.mu.Unlock()
	s.ended = true
	for w, at := range s.offers {
		s.withdraw(w, at)
		a.tidy(w)
	}
	s.offers = nil
}
