package server

import (
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/server/meta"
	"shoal/server/registry"
)

// A refusal tells of a change, and so is not answered before what is read shows that change, too.
func TestRefusalWaitsForWhatItTells(t *testing.T) {
	t.Parallel()
	r := registry.New()
	changing, goOn := make(chan struct{}, 1), make(chan struct{})
	r.Changed = func([]registry.Change) { // the feed does not go on
		changing <- struct{}{}
		<-goOn
	}
	k, err := openKeeper(t.Context(), t.TempDir(), Etcd{}, r, zerolog.Nop())
	must(t, err)
	defer k.close()
	release := sync.OnceFunc(func() { close(goOn) })
	defer release()
	ann := shoal.DeviceID{1}
	user := &meta.CreateUser{User: "ann", Open: true, Password: "$"}
	for i, m := range []meta.Mutation{user, &meta.CreateGroup{Group: "lab"}} {
		_, err := k.apply(t.Context(), meta.ID{Device: ann, Sequence: uint64(i + 1)}, m)
		must(t, err)
	}
	revoked := make(chan error, 1)
	go func() {
		_, err := k.apply(t.Context(), holder(ann), &meta.RevokeDevice{Device: ann})
		revoked <- err
	}()
	<-changing // it is on disk; nobody has been told
	refused := make(chan error, 1)
	go func() {
		_, err := k.apply(t.Context(), meta.ID{Device: ann, Sequence: 3}, &meta.CreateGroup{Group: "other"})
		refused <- err
	}()
	select {
	case err := <-refused:
		t.Fatalf("refused before the change is there to be read: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	release()
	want(t, <-refused, shoal.Denied, "not logged in")
	must(t, <-revoked)
}
