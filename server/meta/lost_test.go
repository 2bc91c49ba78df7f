package meta

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"shoal"
)

// flaky is a KV whose commits are made, or not, and then fail all the same.
type flaky struct {
	clientv3.KV
	before, after func() error
}

type flakyTxn struct {
	clientv3.Txn
	f *flaky
}

func (f *flaky) Txn(ctx context.Context) clientv3.Txn { return &flakyTxn{f.KV.Txn(ctx), f} }

func (x *flakyTxn) If(c ...clientv3.Cmp) clientv3.Txn  { x.Txn = x.Txn.If(c...); return x }
func (x *flakyTxn) Then(o ...clientv3.Op) clientv3.Txn { x.Txn = x.Txn.Then(o...); return x }
func (x *flakyTxn) Else(o ...clientv3.Op) clientv3.Txn { x.Txn = x.Txn.Else(o...); return x }

func (x *flakyTxn) Commit() (*clientv3.TxnResponse, error) {
	if err := x.f.before(); err != nil {
		return nil, err
	}
	r, err := x.Txn.Commit()
	return r, errors.Join(err, x.f.after())
}

var errLost = errors.New("the answer was lost")

// lossyClient returns a client of the store's etcd that loses one request, and one answer, of so many.
func lossyClient(t *testing.T, s *Store, of int64) *clientv3.Client {
	var n atomic.Int64
	every := func(part int64) func() error {
		return func() error {
			if n.Add(1)%of == part {
				return errLost
			}
			return nil
		}
	}
	client := clientv3.NewCtxClient(t.Context())
	client.KV, client.Watcher = &flaky{s.client.KV, every(0), every(1)}, s.client.Watcher
	return client
}

// TestLostAnswers makes commits fail before and after they are made: a mutation is done once for all that.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann", "bob")
	w.ok(1, &CreateGroup{Group: "lab"})
	client := lossyClient(t, w.Store, 5)
	s := another(t, w.Store)
	s.client = client
	for i := range 12 {
		id := ID{Device: device(2), Sequence: uint64(100 + 2*i)}
		if _, err := s.Apply(t.Context(), id, &RequestJoin{Group: "lab"}); err != nil {
			t.Fatal(err)
		}
		id.Sequence++
		// Done twice, it would be refused.
		if _, err := s.Apply(t.Context(), id, &LeaveGroup{Group: "lab"}); err != nil {
			t.Fatal(err)
		}
	}
	// Where nothing is answered any more, that is said, and asking again later tells.
	ctx, cancel := context.WithCancel(t.Context())
	client.KV = &flaky{w.client.KV, func() error { return nil }, func() error { cancel(); return errLost }}
	id := ID{Device: device(2), Sequence: 1000}
	_, err := s.Apply(ctx, id, &RequestJoin{Group: "lab"})
	checkRefusal(t, err, shoal.Canceled, "not known", "same sequence number")
	if o, err := w.Apply(t.Context(), id, &RequestJoin{Group: "lab"}); err != nil || !o.Repeated {
		t.Errorf("asked again: %+v, %v", o, err)
	}
}

// TestUnreadable fails to read before anything is decided: that is said, and nothing is done.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann")
	client := clientv3.NewCtxClient(t.Context())
	kv := &broken{KV: w.client.KV, down: true}
	client.KV = kv
	s := another(t, w.Store)
	s.client = client
	id := w.id(device(1))
	_, err := s.Apply(t.Context(), id, &CreateGroup{Group: "lab"})
	checkRefusal(t, err, shoal.Unreachable, "quorum")
	kv.set(false)
	if o, err := s.Apply(t.Context(), id, &CreateGroup{Group: "lab"}); err != nil || o.Repeated {
		t.Errorf("asked again: %+v, %v", o, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Apply(ctx, w.id(device(1)), &CreateGroup{Group: "new"})
	checkRefusal(t, err, shoal.Canceled, "not known")
	_, err = Open(t.Context(), Options{})
	checkRefusal(t, err, shoal.BadRequest, "neither")
}
