package meta

import (
	"context"
	"fmt"
	"iter"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// pageLength is how many keys are read at once.
const pageLength = 8192

// page is some keys, or the reason why there are no more.
type page struct {
	kvs []*mvccpb.KeyValue
	err error
}

// list yields all records at a revision of etcd's, kind by kind. The next page is read while one is used. It ends after an
// error.
func (s *Store) list(ctx context.Context, revision int64) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		pages := make(chan page, 1)
		go s.readPages(ctx, revision, pages)
		// readPages closes pages when it is done.
		defer func() {
			cancel()
			for range pages {
			}
		}()
		for p := range pages {
			if p.err != nil {
				yield(nil, p.err)
				return
			}
			for _, kv := range p.kvs {
				r, err := decodeRecord(s.short(kv.Key), kv.Value)
				if !yield(r, err) || err != nil {
					return
				}
			}
		}
	}
}

// readPages sends all keys of Records, page by page, and closes pages.
func (s *Store) readPages(ctx context.Context, revision int64, pages chan<- page) {
	defer close(pages)
	for _, kind := range recordKinds {
		end := kind.end()
		if kind == realmKey {
			end = kind + "\x00"
		}
		if !s.readRange(ctx, kind, end, revision, pages) {
			return
		}
	}
}

// readRange sends the keys from one to before another, and reports whether to go on.
func (s *Store) readRange(ctx context.Context, from, end key, revision int64, pages chan<- page) bool {
	for at := s.full(from); ; {
		r, err := s.client.Get(ctx, at, clientv3.WithRange(s.full(end)), clientv3.WithRev(revision),
			clientv3.WithLimit(pageLength))
		p := page{err: err}
		if err != nil {
			p.err = fmt.Errorf("listing the state: %w", err)
		} else {
			p.kvs = r.Kvs
		}
		select {
		case pages <- p:
		case <-ctx.Done():
			return false
		}
		if err != nil {
			return false
		}
		if !r.More {
			return true
		}
		at = string(r.Kvs[len(r.Kvs)-1].Key) + "\x00"
	}
}
