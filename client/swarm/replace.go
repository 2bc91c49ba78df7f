package swarm

import "shoal"

// replace lets the worst peer go now and then when there is no room for those who were found and never tried: as the
// optimistic unchoke does for uploads (Cohen 2003), it finds out whether the others are better.
func (e *Engine) replace(actions []Action) []Action {
	if e.connected < e.limit || e.now < e.replaceAt || e.without(Replaced) {
		return actions
	}
	e.replaceAt = e.now + replaceEvery
	untried := false
	for _, p := range e.known {
		untried = untried || p.phase == away && !p.banned && p.since == 0 && e.now >= p.retryAt
	}
	if !untried {
		return actions
	}
	var worst *peer
	for _, p := range e.present {
		if e.now-p.since >= probation && (worst == nil || e.quality(p) < e.quality(worst)) {
			worst = p
		}
	}
	if worst == nil {
		return actions
	}
	actions = e.drop(worst, shoal.Limit, actions)
	worst.retryAt = max(worst.retryAt, e.now+replaceEvery)
	return actions
}
