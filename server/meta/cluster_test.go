package meta

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"shoal"
)

// cluster starts an etcd as others run it, with TLS and certificates of clients, until the test ends.
func cluster(t *testing.T) (endpoint string, tls transport.TLSInfo) {
	t.Helper()
	dir := t.TempDir()
	tls, err := transport.SelfCert(zap.NewNop(), filepath.Join(dir, "tls"), []string{"127.0.0.1:0"}, 1, x509.ExtKeyUsageClientAuth)
	if err != nil {
		t.Fatal(err)
	}
	tls.TrustedCAFile, tls.ClientCertAuth = tls.CertFile, true
	c := embed.NewConfig()
	c.Dir = filepath.Join(dir, "data")
	c.ListenPeerUrls = nil
	c.ListenClientUrls = []url.URL{{Scheme: "https", Host: "127.0.0.1:0"}}
	c.AdvertiseClientUrls = c.ListenClientUrls
	c.ClientTLSInfo = tls
	c.TickMs, c.ElectionMs = 20, 100
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	e, err := embed.StartEtcd(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	<-e.Server.ReadyNotify()
	return "https://" + e.Clients[0].Addr().String(), tls
}

// TestCluster keeps the state in an etcd that others use, too, from two servers.
func TestCluster(t *testing.T) {
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
	w := &world{T: t, Store: server(), sequence: make(map[shoal.DeviceID]uint64)}
	other := server()
	sink := newState()
	f, failed := other.NewFeed(sink), make(chan error, 1)
	go func() { failed <- f.Run(t.Context()) }()
	w.users("ann", "bob")
	w.group("lab", map[int]Username{2: "bob"})
	id := w.id(device(2))
	publish := &Publish{Group: "lab", Name: "x", Content: file(1)}
	o, err := w.Apply(t.Context(), id, publish)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.WaitFor(t.Context(), o.Revision); err != nil || sink.at(objectKey("lab", "x")) == nil {
		t.Errorf("the name is not there: %v", err)
	}
	if again, err := other.Apply(t.Context(), id, publish); err != nil || !again.Repeated || again.Revision != o.Revision {
		t.Errorf("asked again: %+v, %v", again, err)
	}
	// The revisions of others count, and their keys do not.
	for i := range 5 {
		if _, err := w.client.Put(t.Context(), fmt.Sprint("somebody else's/", i), "value"); err != nil {
			t.Fatal(err)
		}
		before := time.Now()
		if err := f.Barrier(t.Context()); err != nil || f.Confirmed().Before(before) {
			t.Errorf("%v; confirmed at %v", err, f.Confirmed())
		}
	}
	// So many groups at once are more than etcd takes unless told to.
	for i := range 70 {
		w.ok(1, &CreateGroup{Group: shoal.Group(fmt.Sprint("group ", i))})
	}
	_, err = w.apply(1, &RevokeDevice{Device: device(1)})
	checkRefusal(t, err, shoal.Limit, "max-txn-ops")

	if _, err := w.client.Put(t.Context(), w.full(versionKey), "\x01\x00\x00\x00\x09"+strings.Repeat("\x00", 8)); err != nil {
		t.Fatal(err)
	}
	checkRefusal(t, <-failed, shoal.Unsupported, "format 9")
	_, err = Open(t.Context(), Options{Endpoints: []string{endpoint}, CertFile: tls.CertFile, KeyFile: tls.KeyFile, CAFile: tls.CertFile})
	checkRefusal(t, err, shoal.Unsupported, "format 9")
	_, err = Open(t.Context(), Options{Endpoints: []string{endpoint}, CertFile: filepath.Join(t.TempDir(), "none"), CAFile: tls.CertFile})
	if err == nil || !strings.Contains(err.Error(), "TLS files") {
		t.Errorf("files that are not there: %v", err)
	}
}

// TestUnreachable asks an address at which nobody is.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "socket")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := Open(ctx, Options{Endpoints: []string{"unix://" + path}})
	checkRefusal(t, err, shoal.Unreachable)
}
