package meta

import (
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// What servers say of their clocks reaches the others, is none of the state, and goes with who said it.
func TestTimes(t *testing.T) {
	t.Parallel()
	endpoint, tls := cluster(t)
	server := func() *Store {
		s, err := Open(t.Context(), Options{
			Endpoints: []string{endpoint}, CertFile: tls.CertFile, KeyFile: tls.KeyFile, CAFile: tls.CertFile, Log: testLog(t),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s
	}
	s := server()
	a, b := s.NewTimes([32]byte{1}, time.Minute), server().NewTimes([32]byte{2}, time.Minute)
	now := time.UnixMilli(1_700_000_000_123)
	exchange := func(of *Times, others ...time.Time) map[[32]byte]Told {
		t.Helper()
		told, err := of.Exchange(t.Context(), now)
		if err != nil || len(told) != len(others) {
			t.Fatalf("it was told %v, %v", told, err)
		}
		for _, other := range told {
			if !other.Time.Equal(others[0]) {
				t.Errorf("it was told %v instead of %v", other.Time, others[0])
			}
		}
		return told
	}
	exchange(a)
	first := exchange(b, now)[a.server]
	now = now.Add(time.Second)
	exchange(a, now.Add(-time.Second))
	if second := exchange(b, now)[a.server]; second.Revision <= first.Revision {
		t.Errorf("told at %d, and then at %d", first.Revision, second.Revision)
	}

	// The state has nothing of it, so that versions which do not know it can read that.
	r, err := s.client.Get(t.Context(), s.prefix, clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range r.Kvs {
		if _, err := parseKey(s.short(kv.Key)); err != nil || len(r.Kvs) != 1 {
			t.Errorf("the state has %q: %v", kv.Key, err)
		}
	}
	if _, err := s.client.Revoke(t.Context(), a.lease); err != nil { // as when its time is up
		t.Fatal(err)
	}
	exchange(b)
	exchange(a, now) // it comes back
	exchange(b, now)
}
