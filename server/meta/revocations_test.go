package meta

import (
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"shoal"
)

// Who holds the state folder revokes keys. Once more replaces what was kept, there is a limit to them, and they go when
// they have expired.
func TestRevoke(t *testing.T) {
	w := newWorld(t)
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)
	revoke := func(key int, chain string) *Revoke {
		return &Revoke{Revocation{Key: [32]byte{byte(key), byte(key >> 8), 1}, Chain: []byte(chain), Expires: expires}}
	}
	w.users("ann")
	w.refused(1, revoke(1, "x"), shoal.Denied, "state folder")
	for _, m := range []*Revoke{{}, revoke(1, ""), {Revocation{Key: [32]byte{1}, Chain: []byte("x")}}, revoke(1, string(make([]byte, maxKey+1)))} {
		_, err := w.holder(m)
		checkRefusal(t, err, shoal.BadRequest)
	}
	var many []clientv3.Op
	for i := range MaxRevocations - 1 {
		r := &revoke(i+1, "x").Revocation
		many = append(many, clientv3.OpPut(w.full(r.key()), string(encode(r))))
	}
	if _, err := w.client.Txn(t.Context()).Then(many...).Commit(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.holder(revoke(MaxRevocations, "x")); err != nil {
		t.Fatal(err)
	}
	_, err := w.holder(revoke(MaxRevocations+1, "x"))
	checkRefusal(t, err, shoal.Limit, "rotate")
	if _, err := w.holder(revoke(1, "again")); err != nil {
		t.Fatal(err)
	}
	all := w.all()
	if r, there := all.at(revoke(1, "").Revocation.key()).(*Revocation); !there || string(r.Chain) != "again" || !r.Expires.Equal(expires) {
		t.Errorf("kept %+v", r)
	}
	if n := len(all.keys(revocationKeys)); n != MaxRevocations {
		t.Errorf("%d are kept", n)
	}
	for _, c := range []struct {
		after time.Duration
		want  int
	}{{time.Minute, MaxRevocations}, {2 * time.Hour, 0}} {
		later := another(t, w.Store)
		later.now = func() time.Time { return time.Now().Add(c.after) }
		if err := later.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(w.all().keys(revocationKeys)); n != c.want {
			t.Errorf("after %v %d are kept", c.after, n)
		}
	}
}
