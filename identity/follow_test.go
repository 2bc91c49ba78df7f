package identity

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"shoal"
	"shoal/wire"
)

func TestPinFollows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "known_realms")
	lines := func(realm shoal.RealmKey) string {
		return fmt.Sprintf("# the lab\n\nb:1 %v\n  a:1   %v\na:12 %v", realmOf(1), realm, realmOf(1))
	}
	must(t, os.WriteFile(path, []byte(lines(realmOf(1))), 0o600))
	pins := OpenPins(path)
	want := func(realm shoal.RealmKey) {
		t.Helper()
		after, err := os.ReadFile(path)
		must(t, err)
		if string(after) != lines(realm) {
			t.Errorf("the file has\n%s\nwant\n%s", after, lines(realm))
		}
	}
	must(t, pins.Follow("a:1", realmOf(1), realmOf(2)))
	want(realmOf(2))
	must(t, pins.Follow("a:1", realmOf(1), realmOf(2))) // another process did it
	want(realmOf(2))
	wantCode(t, pins.Follow("a:1", realmOf(1), realmOf(3)), shoal.Untrusted)
	wantCode(t, pins.Follow("c:1", realmOf(1), realmOf(2)), shoal.Untrusted)
	want(realmOf(2))
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	files, err := os.ReadDir(filepath.Dir(path))
	must(t, err)
	if len(files) != 1 {
		t.Errorf("%d files are left, want the pins alone", len(files))
	}
}

// Pins that are added while the file is replaced by another process are not lost with the old one.
func TestPinsFollowConcurrently(t *testing.T) {
	path := filepath.Join(t.TempDir(), "known_realms")
	must(t, OpenPins(path).Add("a:1", realmOf(0)))
	const n = 20
	var users sync.WaitGroup
	users.Go(func() {
		for i := range byte(n) {
			if err := OpenPins(path).Follow("a:1", realmOf(i), realmOf(i+1)); err != nil {
				t.Error(err)
			}
		}
	})
	for i := range n {
		users.Go(func() {
			if err := OpenPins(path).Add(fmt.Sprintf("host%d:1", i), realmOf(1)); err != nil {
				t.Error(err)
			}
			if _, pinned, err := OpenPins(path).Lookup("a:1"); err != nil || !pinned {
				t.Errorf("pinned %v, %v", pinned, err)
			}
		})
	}
	users.Wait()
	all, err := OpenPins(path).All()
	must(t, err)
	if len(all) != n+1 || all[0].Realm != realmOf(n) {
		t.Errorf("%d pins, the first %v", len(all), all[0])
	}
}

// A client that pinned a realm's old root key goes on with the new one, by the certificate in HELLO alone, and from then
// on refuses what the old key certifies.
func TestHandshakeAfterRotation(t *testing.T) {
	now := time.Now()
	old, root, server := NewKey(), NewKey(), NewKey()
	pins := OpenPins(filepath.Join(t.TempDir(), "known_realms"))
	must(t, pins.Add("a:1", old.public))
	connect := func(certificate []byte) error {
		a, b := memory(t)
		there := accepting(t.Context(), Responder{
			Key: server, Serves: wire.ServiceServer, Transport: overTLS, Certificate: func() []byte { return certificate },
		}, b)
		_, err := Initiator{Key: NewKey(), Wanted: wire.ServiceServer, Transport: overTLS, Accept: func(reply *wire.HelloReply) error {
			pinned, _, err := pins.Lookup("a:1")
			must(t, err)
			newest, err := NewAuthority(pinned).VerifyServer(reply.Certificate, reply.Identity, now)
			if err != nil {
				return err
			}
			return pins.Follow("a:1", pinned, newest)
		}}.Open(t.Context(), a)
		<-there
		return err
	}
	byOld := CertifyServer(old, server.public, now, time.Hour)
	must(t, connect(byOld))
	must(t, connect(join(t, NameSuccessor(old, root.public, now, time.Hour), CertifyServer(root, server.public, now, time.Hour))))
	if pinned, _, err := pins.Lookup("a:1"); err != nil || pinned != shoal.RealmKey(root.public) {
		t.Errorf("pinned is %v, %v", pinned, err)
	}
	must(t, connect(CertifyServer(root, server.public, now, time.Hour)))
	wantRefused(t, connect(byOld), shoal.Untrusted, RefusedChain)
}
