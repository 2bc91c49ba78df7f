package meta

import (
	"context"
	"errors"
	"slices"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Group commit (DeWitt et al., Implementation Techniques for Main Memory Database Systems, 1984): mutations that are decided
// at about the same time and have nothing to do with each other are committed as one transaction of etcd, which costs
// little more than each of them would.

const (
	// batchLimit is how many conditions and how many operations a batch has at most: what etcd allows where nobody says
	// otherwise.
	batchLimit = 128
	// batchBytes is how many bytes of values a batch has at most: a third of the requests that etcd takes.
	batchBytes = 512 << 10
	// flights is how many batches are under way at a time: one is decided on and sent while another is written.
	flights = 2
)

// groupCommit commits mutations together.
type groupCommit struct {
	s       *Store
	waiting chan *commit
	ended   <-chan struct{} // closed when nothing is committed any more
}

// commit is a transaction that is decided. Its owner waits for reply.
type commit struct {
	ctx   context.Context // of who waits
	t     *transaction
	reply chan committed // holds one
}

// committed is what became of it. Where its batch as a whole was refused, it must be tried alone.
type committed struct {
	revision int64 // of etcd
	alone    bool
	err      error // nobody knows whether it was done, unless explain does
}

func newGroupCommit(s *Store, ended <-chan struct{}) *groupCommit {
	return &groupCommit{s: s, waiting: make(chan *commit, batchLimit), ended: ended}
}

// commit commits t, which must be groupable, together with others that are there.
func (g *groupCommit) commit(ctx context.Context, t *transaction) committed {
	c := &commit{ctx, t, make(chan committed, 1)}
	select {
	case g.waiting <- c:
	case <-ctx.Done():
		return committed{err: ctx.Err()}
	case <-g.ended:
		return committed{err: errClosed}
	}
	select {
	case r := <-c.reply:
		return r
	case <-ctx.Done():
		return committed{err: ctx.Err()}
	case <-g.ended:
		return committed{err: errClosed}
	}
}

var errClosed = errors.New("the server ends")

// run commits what waits until ctx ends.
func (g *groupCommit) run(ctx context.Context) {
	var queue []*commit
	for {
		if len(queue) == 0 {
			select {
			case c := <-g.waiting:
				queue = append(queue, c)
			case <-ctx.Done():
				return
			}
		}
		for len(queue) < batchLimit && len(g.waiting) > 0 {
			select {
			case c := <-g.waiting:
				queue = append(queue, c)
			default: // another flight took it
			}
		}
		b := newGrouped()
		queue = slices.DeleteFunc(queue, func(c *commit) bool {
			return c.ctx.Err() != nil || b.add(c) // nobody waits for it, or it is in
		})
		g.send(ctx, b)
	}
}

// grouped is some commits of which none writes what another reads or writes.
type grouped struct {
	commits []*commit
	guards  map[key]int64 // the revisions of what they read
	writes  map[key]bool
	ops     int
	bytes   int
}

func newGrouped() *grouped {
	return &grouped{guards: make(map[key]int64, batchLimit), writes: make(map[key]bool, batchLimit)}
}

// add takes c in, unless that is for a later batch. The first always fits.
func (b *grouped) add(c *commit) bool {
	if len(b.commits) > 0 && !b.fits(c.t) {
		return false
	}
	b.commits = append(b.commits, c)
	for k, e := range c.t.guards {
		b.guards[k] = e.revision
	}
	for k := range c.t.writes {
		b.writes[k] = true
	}
	b.ops += len(c.t.ops)
	b.bytes += c.t.bytes()
	return true
}

func (b *grouped) fits(t *transaction) bool {
	if b.ops+len(t.ops) > batchLimit || b.bytes+t.bytes() > batchBytes {
		return false
	}
	conditions := len(b.guards)
	for k, e := range t.guards {
		if revision, read := b.guards[k]; !read {
			conditions++
		} else if revision != e.revision {
			return false // one of them is out of date
		}
		if b.writes[k] {
			return false
		}
	}
	for k := range t.writes {
		if _, read := b.guards[k]; read || b.writes[k] {
			return false
		}
	}
	return conditions <= batchLimit
}

// send commits b and tells everybody who waits.
func (g *groupCommit) send(ctx context.Context, b *grouped) {
	if len(b.commits) == 0 {
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, applyLimit, errSlow)
	defer cancel()
	conditions := make([]clientv3.Cmp, 0, len(b.guards))
	for k, revision := range b.guards {
		conditions = append(conditions, clientv3.Compare(clientv3.ModRevision(g.s.full(k)), "=", revision))
	}
	ops := make([]clientv3.Op, 0, b.ops)
	for _, c := range b.commits {
		ops = append(ops, c.t.ops...)
	}
	var is committed
	r, err := g.s.client.Txn(ctx).If(conditions...).Then(ops...).Commit()
	switch {
	case err == nil:
		is.revision, is.alone = r.Header.Revision, !r.Succeeded
	case errors.Is(err, rpctypes.ErrTooManyOps), errors.Is(err, rpctypes.ErrRequestTooLarge):
		is.alone = true
	default:
		is.err = err
	}
	for _, c := range b.commits {
		c.reply <- is
	}
}
