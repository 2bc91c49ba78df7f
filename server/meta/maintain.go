package meta

import (
	"context"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// keptRevisions and mostRevisions bound how far back a watch can begin: keptTime, but no fewer and no more than those.
	keptRevisions = 10_000
	mostRevisions = 100_000
	keptTime      = 5 * time.Minute
	// compactEvery is how many revisions are compacted at once, at least.
	compactEvery = 5_000
	// maintainEvery is how often there is a look at what is to be done.
	maintainEvery = 2 * time.Second
	// sampleEvery is how often the revision is noted.
	sampleEvery = 20 * time.Second
	// worthDefragmenting is the space that must be won, in bytes; quicklyDefragmented is the size in use up to which the
	// database is rewritten while the server runs, because that takes well under a second. A larger one is rewritten when
	// the server starts.
	worthDefragmenting  = 64 << 20
	quicklyDefragmented = 64 << 20
)

// maintain compacts and defragments the embedded etcd until ctx ends.
func (s *Store) maintain(ctx context.Context) {
	ticker := time.NewTicker(maintainEvery)
	defer ticker.Stop()
	var h history
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := s.tidy(ctx, &h); err != nil && ctx.Err() == nil {
			s.log.Warn().Err(err).Msg("tidying the state")
		}
	}
}

// tidy does what there is to do now.
func (s *Store) tidy(ctx context.Context, h *history) error {
	e, err := s.client.Get(ctx, s.full(versionKey), clientv3.WithSerializable())
	if err != nil {
		return err
	}
	if at := h.compactTo(time.Now(), e.Header.Revision); at > 0 {
		if err := s.compact(ctx, at); err != nil {
			return err
		}
	}
	size, used := s.embedded.Size()
	if used > quicklyDefragmented || size-used < s.waste || s.space.left.Load() < minFree+uint64(used) {
		return nil
	}
	return s.embedded.Defragment()
}

// compact forgets what was before a revision of etcd's.
func (s *Store) compact(ctx context.Context, before int64) error {
	_, err := s.client.Compact(ctx, before)
	if errors.Is(err, rpctypes.ErrCompacted) {
		return nil
	}
	return err
}

// history is which revision there was when.
type history struct {
	samples   []sample // oldest first
	compacted int64
}

type sample struct {
	at       time.Time
	revision int64
}

// compactTo notes the revision that there is now, and returns the one up to which etcd should forget, or 0.
func (h *history) compactTo(now time.Time, revision int64) int64 {
	if n := len(h.samples); n == 0 || now.Sub(h.samples[n-1].at) >= sampleEvery {
		h.samples = append(h.samples, sample{now, revision})
	}
	// The last one that is old enough stays the first.
	for len(h.samples) > 1 && now.Sub(h.samples[1].at) >= keptTime {
		h.samples = h.samples[1:]
	}
	target := int64(0)
	if now.Sub(h.samples[0].at) >= keptTime {
		target = min(h.samples[0].revision, revision-keptRevisions)
	}
	target = max(target, revision-mostRevisions)
	if target < h.compacted+compactEvery {
		return 0
	}
	h.compacted = target
	return target
}
