package meta

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"shoal"
)

// round is one question to etcd for its revision, which all who came before it was asked wait for.
type round struct {
	done     chan struct{}
	revision uint64
	err      error
}

// Barrier returns when the sink has all that was acknowledged, by any server, before the call: what is read from it then
// is linearizable. However many call, one question to etcd is under way. The error has code Unreachable where etcd has no
// quorum, or is that of ctx.
func (f *Feed) Barrier(ctx context.Context) error {
	asked := f.s.now()
	r := f.join()
	select {
	case <-r.done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if r.err != nil {
		return r.err
	}
	if err := f.WaitFor(ctx, r.revision); err != nil {
		return err
	}
	f.confirm(asked)
	return nil
}

// Confirmed returns the last time, by this server's clock, of which the sink is known to have had all that was
// acknowledged until then; the zero time where there is none. While etcd answers, it is about a second ago at most.
func (f *Feed) Confirmed() time.Time {
	if ns := f.confirmed.Load(); ns != 0 {
		return time.Unix(0, ns)
	}
	return time.Time{}
}

func (f *Feed) confirm(at time.Time) {
	for ns := at.UnixNano(); ; {
		before := f.confirmed.Load()
		if before >= ns || f.confirmed.CompareAndSwap(before, ns) {
			return
		}
	}
}

// join returns the next round, and sees that it is asked.
func (f *Feed) join() *round {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next == nil {
		f.next = &round{done: make(chan struct{})}
		select {
		case f.kick <- struct{}{}:
		default:
		}
	}
	return f.next
}

// answerRounds asks etcd for those who wait, one round after the other.
func (f *Feed) answerRounds(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.kick:
		}
		f.mu.Lock()
		r := f.next
		f.next = nil
		f.mu.Unlock()
		if r == nil {
			continue
		}
		r.revision, r.err = f.ask(ctx)
		close(r.done)
	}
}

// settle is how long the watch gets to bring what was just written.
const settle = 5 * time.Millisecond

// ask returns etcd's revision, by a linearizable read. The latest revision need not be one of ours, and then the watch does
// not bring it; so where the sink does not have it soon, the version is written again, as it is: when the watch brings that,
// it has brought all before. Asking etcd how far the watch is would be less work, but etcd before 3.4.25 and 3.5.8 says too
// much while a watch that was lost catches up.
func (f *Feed) ask(ctx context.Context) (uint64, error) {
	limited, cancel := context.WithTimeoutCause(ctx, roundLimit, fmt.Errorf("no answer within %v", roundLimit))
	defer cancel()
	r, err := f.s.client.Get(limited, f.s.full(versionKey))
	if err != nil {
		return 0, shoal.Errorf(shoal.Unreachable, "etcd does not confirm the state (has it lost its quorum?): %w", err)
	}
	revision := f.s.revision(r.Header.Revision)
	if f.s.embedded != nil || f.hasSoon(limited, revision) {
		return revision, nil
	}
	w, err := f.s.client.Put(limited, f.s.full(versionKey), "", clientv3.WithIgnoreValue())
	if err != nil {
		return 0, shoal.Errorf(shoal.Unreachable, "etcd does not let the state be confirmed: %w", err)
	}
	return f.s.revision(w.Header.Revision), nil
}

// hasSoon reports whether the sink has what there is at the revision, or will in a moment.
func (f *Feed) hasSoon(ctx context.Context, revision uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	return f.WaitFor(ctx, revision) == nil
}

// keepConfirming calls Barrier now and then.
func (f *Feed) keepConfirming(ctx context.Context) {
	for {
		limited, cancel := context.WithTimeout(ctx, 2*roundLimit)
		err := f.Barrier(limited)
		cancel()
		if err != nil && ctx.Err() == nil {
			f.s.log.Warn().Err(err).Msg("the state is not confirmed")
		}
		if !sleep(ctx, confirmEvery) {
			return
		}
	}
}
