package server

import (
	"maps"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.etcd.io/etcd/server/v3/embed"

	"shoal"
	"shoal/wire"
)

// anEtcd starts one that is reached over the network, as one that exists would be.
func anEtcd(t *testing.T) Etcd {
	t.Helper()
	anyPort := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	c := embed.NewConfig()
	c.Dir, c.LogLevel, c.LogOutputs = filepath.Join(t.TempDir(), "etcd"), "fatal", []string{"/dev/null"}
	c.ListenClientUrls, c.AdvertiseClientUrls, c.ListenPeerUrls, c.TickMs, c.ElectionMs = anyPort, anyPort, nil, 20, 100
	e, err := embed.StartEtcd(c)
	must(t, err)
	t.Cleanup(e.Close)
	<-e.Server.ReadyNotify()
	return Etcd{Endpoints: []string{"http://" + e.Clients[0].Addr().String()}}
}

// Two servers on one etcd are one realm: what one acknowledged, the other answers from at once; a request is carried out
// once, whichever is asked again; and a right that one takes away ends at both.
func TestTwoServers(t *testing.T) {
	t.Parallel()
	dir, etcd := t.TempDir(), anEtcd(t)
	folders := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}
	r, err := OpenRootKey(folders[0])
	must(t, err)
	must(t, r.Export(filepath.Join(dir, "root"), false))
	must(t, r.Close())
	_, err = ImportRootKey(folders[1], filepath.Join(dir, "root"))
	must(t, err)
	a, _ := start(t, Config{State: folders[0], Etcd: etcd, Transport: overTLS})
	b, _ := start(t, Config{State: folders[1], Etcd: etcd, Transport: overTLS})
	if a.Realm() != b.Realm() {
		t.Fatal("they are of two realms")
	}
	must(t, CreateUser(t.Context(), folders[0], etcd, "ann", []byte(goodPassword), zerolog.Nop()))
	atA := logIn(t, a, "ann")
	atB := logIn(t, b, "ann")
	ask(t, atA.Established, wire.KindGroup, &wire.GroupChange{Sequence: 2, Verb: wire.CreateGroup, Group: "lab", Grace: 60}, &wire.MutationReply{})
	checkTicket(t, b, atB, b.Realm())
	for i := range 20 {
		name, o := shoal.Name(string(rune('a'+i))), shoal.Object{ID: shoal.FileID{byte(i), 1}, Size: 5}
		ask(t, atA.Established, wire.KindPublish, &wire.Publish{Sequence: uint64(3 + i), Group: "lab", Name: name, Content: o}, &wire.MutationReply{})
		var found wire.LookupReply
		ask(t, atB.Established, wire.KindLookup, &wire.Lookup{Group: "lab", Name: name}, &found)
		if found.Content != o {
			t.Fatalf("found %+v", found)
		}
	}
	began := time.Now()
	ask(t, atA.Established, wire.KindAccount, &wire.Account{Sequence: 40, Verb: wire.RevokeDevice, Device: atB.device}, &wire.MutationReply{})
	epochs := map[shoal.Group]uint64{}
	for range 2 {
		f, err := atB.ReadFrame()
		must(t, err)
		var told wire.Epoch
		must(t, wire.Decode(f.Body, &told))
		if f.Kind != wire.KindEpoch || told.Reason != wire.EpochDevice {
			t.Errorf("it was told %v, %+v", f.Header, told)
		}
		epochs[told.Group] = told.Epoch
	}
	if took := time.Since(began); !maps.Equal(epochs, map[shoal.Group]uint64{"lab": 2, shoal.Public: 2}) || took > time.Second {
		t.Errorf("after %v it was told %v", took, epochs)
	}
	atA.Close()
	atB.Close()
}
