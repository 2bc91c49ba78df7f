package meta

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// pageLength is how many keys are read at once.
	pageLength = 16 << 10
	// groupsPerRange is the objects of how many groups are read as one range. etcd counts what is left of a range for each
	// page of it, so a range of all would take time by the square of its length.
	groupsPerRange = 64
	// batchLength is how many events are handed on at once.
	batchLength = 1 << 10
)

// list yields changes that make the state at a revision of etcd's, which must be no later than the latest, out of nothing.
// What comes next is read while something is used. It ends after an error.
func (s *Store) list(ctx context.Context, revision int64) iter.Seq2[Event, error] {
	read := s.readAll
	if s.embedded != nil {
		read = s.readHistory
	}
	return func(yield func(Event, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		batches := make(chan batch, 4)
		go func() {
			defer close(batches)
			read(ctx, revision, func(b batch) bool {
				select {
				case batches <- b:
					return true
				case <-ctx.Done():
					return false
				}
			})
		}()
		defer func() {
			cancel()
			for range batches { // until the goroutine is done
			}
		}()
		for b := range batches {
			for _, e := range b.events {
				if !yield(e, nil) {
					return
				}
			}
			if b.err != nil {
				yield(Event{}, b.err)
				return
			}
		}
	}
}

// batch is some events, and the reason why there are no more, if that is not the end.
type batch struct {
	events []Event
	err    error
}

// readHistory reads all changes that the embedded etcd still has, in their order. What cannot be understood counts only if
// nothing came after it.
func (s *Store) readHistory(ctx context.Context, revision int64, send func(batch) bool) {
	events := make([]Event, 0, batchLength)
	unreadable := make(map[key]error)
	for c, err := range s.embedded.Changes(ctx, revision) {
		if err != nil {
			send(batch{events, fmt.Errorf("listing the state: %w", err)})
			return
		}
		if !bytes.HasPrefix(c.Key, []byte(s.prefix)) {
			continue
		}
		k := s.short(c.Key)
		e, err := decodeEvent(k, c.Value, c.Deleted)
		if err != nil && !c.Deleted {
			unreadable[k] = err
		} else if len(unreadable) > 0 {
			delete(unreadable, k)
		}
		if err != nil || e.Record == nil {
			continue
		}
		if events = append(events, e); len(events) < batchLength {
			continue
		}
		if !send(batch{events: events}) {
			return
		}
		events = make([]Event, 0, batchLength)
	}
	last := batch{events: events}
	for _, last.err = range unreadable {
		break
	}
	send(last)
}

// readAll reads all records of a cluster, kind by kind.
func (s *Store) readAll(ctx context.Context, revision int64, send func(batch) bool) {
	ctx, cancel := context.WithCancel(ctx)
	l := &lister{s: s, ctx: ctx, revision: revision, pages: make(chan page, 1)}
	go l.run()
	defer func() {
		cancel()
		for range l.pages { // until run is done
		}
	}()
	for p := range l.pages {
		b := batch{events: make([]Event, 0, len(p.kvs)), err: p.err}
		for _, kv := range p.kvs {
			e, err := decodeEvent(s.short(kv.Key), kv.Value, false)
			if err != nil {
				b.err = err
				break
			}
			b.events = append(b.events, e)
		}
		if !send(b) || b.err != nil {
			return
		}
	}
}

// lister reads the keys of Records in a goroutine of its own.
type lister struct {
	s        *Store
	ctx      context.Context
	revision int64
	pages    chan page
	groups   []key // of the groups' keys, what follows the kind
}

// page is some keys, or the reason why there are no more.
type page struct {
	kvs []*mvccpb.KeyValue
	err error
}

// run sends all pages, and closes the channel.
func (l *lister) run() {
	defer close(l.pages)
	for _, kind := range recordKinds {
		if !l.readKind(kind) {
			return
		}
	}
}

// readKind sends all keys of a kind, and reports whether to go on.
func (l *lister) readKind(kind key) bool {
	if kind == realmKey {
		return l.readRange(kind, kind+"\x00")
	}
	from := kind
	if kind == "o/" || kind == "s/" {
		// The groups have been read by now. Their order is another one here, because of what follows a name.
		var starts []key
		for _, g := range l.groups {
			starts = append(starts, kind+g+"/")
		}
		slices.Sort(starts)
		for i := groupsPerRange; i < len(starts); i += groupsPerRange {
			if !l.readRange(from, starts[i]) {
				return false
			}
			from = starts[i]
		}
	}
	return l.readRange(from, kind.end())
}

// readRange sends the keys from one to before another, and reports whether to go on.
func (l *lister) readRange(from, end key) bool {
	for at := l.s.full(from); ; {
		r, err := l.s.client.Get(l.ctx, at, clientv3.WithRange(l.s.full(end)), clientv3.WithRev(l.revision), clientv3.WithLimit(pageLength))
		if err != nil {
			l.send(page{err: fmt.Errorf("listing the state: %w", err)})
			return false
		}
		if from == "g/" {
			for _, kv := range r.Kvs {
				l.groups = append(l.groups, l.s.short(kv.Key)[len(from):])
			}
		}
		if !l.send(page{kvs: r.Kvs}) {
			return false
		}
		if !r.More {
			return true
		}
		at = string(r.Kvs[len(r.Kvs)-1].Key) + "\x00"
	}
}

func (l *lister) send(p page) bool {
	select {
	case l.pages <- p:
		return true
	case <-l.ctx.Done():
		return false
	}
}
