package meta

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"shoal"
)

const (
	// attempts is how often a mutation is tried while others change what it reads.
	attempts = 64
	// freely is how many of those run beside all others; later ones take turns, so that one of them gets through.
	freely = 3
	// applyLimit is how long a mutation may take where the caller sets no limit.
	applyLimit = 30 * time.Second
	// again is how long to wait before asking etcd again after it failed.
	again = 50 * time.Millisecond
)

// Apply carries out a mutation once, however often and through whichever server it is asked for with this ID, and returns
// when that is on disk. The error is the refusal, the same each time, with the outcome's code; or it says why there is no
// outcome, with one of these codes: BadRequest (the mutation is malformed, or the sequence number was used for another
// one), StaleRequest (the outcome is no longer kept), NoSpace (on the disk), Busy (too many others change the same), or
// Unreachable and Canceled, after which the same ID may be asked for again to learn what happened.
//
// Refusals are stored as outcomes, too, except for devices that are not enrolled: strangers write nothing.
func (s *Store) Apply(ctx context.Context, id ID, m Mutation) (Outcome, error) {
	if err := m.check(); err != nil {
		return Outcome{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, applyLimit, errSlow)
	defer cancel()
	a := &application{s: s, ctx: ctx, id: id, mutation: m, asked: digestOf(m), known: make(map[key]entry, 8)}
	o, err := a.run()
	if _, is := m.(*DeleteUser); is && err == nil {
		s.clearSoon()
	}
	if err == nil || o.Code != 0 {
		return o, err
	}
	switch shoal.CodeOf(err) {
	case shoal.Internal, shoal.Unreachable, shoal.Canceled:
		if ctx.Err() != nil {
			return Outcome{}, unknown(ctx)
		}
	}
	return Outcome{}, err
}

var errSlow = fmt.Errorf("etcd did not answer within %v", applyLimit)

// unknown is the error of a mutation that was given up.
func unknown(ctx context.Context) error {
	code := shoal.Unreachable
	if errors.Is(context.Cause(ctx), context.Canceled) {
		code = shoal.Canceled
	}
	return shoal.Errorf(code, "whether it was done is not known; ask again with the same sequence number: %w", context.Cause(ctx))
}

// application is one call of Apply.
type application struct {
	s        *Store
	ctx      context.Context
	id       ID
	mutation Mutation
	asked    digest
	known    map[key]entry
	turn     bool // it holds the store's turn
	sent     bool // a commit was sent of which nothing was heard
	counted  bool // among the device's mutations, of which some
	prunes   bool // prune

	conflicts int // commits that were refused because something had changed
}

func (a *application) run() (Outcome, error) {
	if err := a.s.space.check(); err != nil {
		return a.lookUp(err)
	}
	defer a.endTurn()
	for i := range attempts {
		if i == freely {
			if err := a.takeTurn(); err != nil {
				return Outcome{}, err
			}
		}
		o, done, err := a.attempt()
		if done {
			return o, err
		}
		if err != nil { // it may have been done
			if err := a.pause(err); err != nil {
				return Outcome{}, err
			}
		}
	}
	if a.sent {
		return Outcome{}, shoal.Errorf(shoal.Unreachable, "whether it was done is not known, because etcd failed again and again; "+
			"ask again with the same sequence number")
	}
	return Outcome{}, shoal.Errorf(shoal.Busy, "too many others change the same just now; try again")
}

// attempt decides and commits. It is done when there is an outcome, or an error that asking again does not help; not done
// where something had changed; and not done with an error where nobody knows what became of it.
func (a *application) attempt() (o Outcome, done bool, err error) {
	t := a.s.begin(a.ctx, a.id, a.known)
	outcome := outcomeKey(a.id)
	t.expectAbsent(outcome)
	if e := t.read(outcome); e.revision != 0 {
		o, err = a.s.earlier(outcome, e, a.asked)
		return o, true, err
	}
	if value, there := t.get(floorKey(a.id.Device)); there {
		floor, err := decodeFloor(floorKey(a.id.Device), value)
		if err == nil && a.id.Sequence < floor {
			err = stale(a.id)
		}
		if err != nil {
			return Outcome{}, true, err
		}
	}
	if err := a.decide(t); err != nil {
		return Outcome{}, true, err
	}
	return a.commit(t)
}

// decide fills t with what is to be written, the outcome included. Its error is a failure, not a refusal.
func (a *application) decide(t *transaction) error {
	refusal := a.mutation.decide(t)
	if t.failed != nil {
		return t.failed
	}
	store := true
	if refusal != nil {
		var coded *shoal.Error
		if !errors.As(refusal, &coded) {
			return refusal
		}
		t.outcome.Code, t.outcome.Text = coded.Code, coded.Text
		t.drop()
		store = a.id.Holder || t.has(deviceKey(a.id.Device))
	}
	if store {
		t.putValue(outcomeKey(a.id), encodeOutcome(&t.outcome, a.asked, t.now))
		if !a.counted { // once, however many attempts it takes
			a.counted, a.prunes = true, a.s.turns.due(a.id.Device)
		}
		if a.prunes {
			t.prune()
		}
	}
	return t.failed
}

// commit writes what t says if all that t read is still so, and learns what is there if not.
func (a *application) commit(t *transaction) (Outcome, bool, error) {
	if a.conflicts == 0 && t.groupable() {
		if is := a.s.commits.commit(a.ctx, t); is.err != nil {
			return a.explain(is.err)
		} else if !is.alone {
			return a.done(t, is.revision)
		}
	}
	conditions := make([]clientv3.Cmp, 0, len(t.ranges)+len(t.guards))
	conditions = append(conditions, t.ranges...)
	order := make([]key, 0, len(t.guards))
	for k, e := range t.guards {
		conditions = append(conditions, clientv3.Compare(clientv3.ModRevision(a.s.full(k)), "=", e.revision))
		order = append(order, k)
	}
	commit := a.s.client.Txn(a.ctx).If(conditions...).Then(t.ops...)
	// Most commits succeed at once: only after a conflict is it worth carrying along what to read where there is another.
	again := a.conflicts > 0
	if again {
		commit = commit.Else(a.s.gets(order)...)
	}
	r, err := commit.Commit()
	if err != nil {
		return a.explain(err)
	}
	if r.Succeeded {
		return a.done(t, r.Header.Revision)
	}
	a.conflicts++
	if !again {
		if r, err = a.s.client.Txn(a.ctx).Then(a.s.gets(order)...).Commit(); err != nil {
			return Outcome{}, false, err
		}
	}
	clear(a.known)
	for i, k := range order {
		var e entry
		if kvs := r.Responses[i].GetResponseRange().Kvs; len(kvs) > 0 {
			e = entry{kvs[0].Value, kvs[0].ModRevision}
		}
		a.known[k] = e
	}
	a.s.cache.learn(a.known)
	return Outcome{}, false, nil
}

// done is what t was committed for, at a revision of etcd.
func (a *application) done(t *transaction, revision int64) (Outcome, bool, error) {
	t.outcome.Decided = a.s.revision(revision)
	if len(t.ops) > 0 {
		t.outcome.Revision = t.outcome.Decided
	}
	a.s.remember(t, revision)
	return t.outcome, true, t.outcome.err()
}

// gets returns the operations that read keys.
func (s *Store) gets(keys []key) []clientv3.Op {
	ops := make([]clientv3.Op, len(keys))
	for i, k := range keys {
		ops[i] = clientv3.OpGet(s.full(k))
	}
	return ops
}

// remember keeps what a commit at the revision made sure of.
func (s *Store) remember(t *transaction, revision int64) {
	for k := range t.writes {
		if value, put := t.puts[k]; put {
			t.guards[k] = entry{value, revision}
		} else {
			t.guards[k] = entry{}
		}
	}
	s.cache.learn(t.guards)
}

// explain tells a commit that was refused from one of which nobody knows what became.
func (a *application) explain(err error) (Outcome, bool, error) {
	switch {
	case errors.Is(err, rpctypes.ErrTooManyOps), errors.Is(err, rpctypes.ErrRequestTooLarge):
		return Outcome{}, true, shoal.Errorf(shoal.Limit, "this changes more than etcd does at once "+
			"(raise its --max-txn-ops and --max-request-bytes): %w", err)
	case errors.Is(err, rpctypes.ErrNoSpace):
		return Outcome{}, true, shoal.Errorf(shoal.NoSpace, "etcd has reached its quota; nothing was changed: %w", err)
	case errors.Is(err, rpctypes.ErrPermissionDenied), errors.Is(err, rpctypes.ErrUserEmpty), errors.Is(err, rpctypes.ErrInvalidAuthToken):
		return Outcome{}, true, shoal.Errorf(shoal.Internal, "etcd does not let this server write: %w", err)
	}
	a.sent = true
	return Outcome{}, false, err
}

// pause waits after etcd failed, and looks whether the commit was done for all that. Nothing that was known counts.
func (a *application) pause(failure error) error {
	a.s.log.Debug().Err(failure).Msg("a commit of which nothing is known; looking for its outcome")
	timer := time.NewTimer(again)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-a.ctx.Done():
		return a.ctx.Err()
	}
	clear(a.known)
	k := outcomeKey(a.id)
	e, err := a.s.fetch(a.ctx, k)
	switch {
	case a.ctx.Err() != nil:
		return a.ctx.Err()
	case err == nil:
		// Where there is none, the commit can still come. It and the next attempt exclude each other: both are made only
		// while there is no outcome.
		a.known[k] = e
	}
	return nil
}

// lookUp answers what was done before, and else refuses.
func (a *application) lookUp(refusal error) (Outcome, error) {
	k := outcomeKey(a.id)
	e, err := a.s.fetch(a.ctx, k)
	switch {
	case err != nil:
		return Outcome{}, err
	case e.revision == 0:
		return Outcome{}, refusal
	}
	return a.s.earlier(k, e, a.asked)
}

// takeTurn waits until no other mutation of this store that met conflicts is under way.
func (a *application) takeTurn() error {
	select {
	case a.s.turn <- struct{}{}:
		a.turn = true
		return nil
	case <-a.ctx.Done():
		return a.ctx.Err()
	}
}

func (a *application) endTurn() {
	if a.turn {
		<-a.s.turn
	}
}
