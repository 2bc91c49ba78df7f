package identity

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"shoal"
)

func realmOf(i byte) shoal.RealmKey { return shoal.RealmKey{i, 1, 2, 3} }

func TestPins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "known_realms")
	pins := OpenPins(path)
	if all, err := pins.All(); err != nil || len(all) != 0 {
		t.Fatalf("without a file: %v, %v", all, err)
	}
	if _, pinned, err := pins.Lookup("a:1"); pinned || err != nil {
		t.Fatalf("without a file: %v, %v", pinned, err)
	}
	must(t, pins.Add("a:1", realmOf(1)))
	must(t, pins.Add("[2001:db8::1]:7400", realmOf(2)))
	must(t, pins.Add("a:1", realmOf(1))) // again
	content, err := os.ReadFile(path)
	must(t, err)
	if want := fmt.Sprintf("a:1 %v\n[2001:db8::1]:7400 %v\n", realmOf(1), realmOf(2)); string(content) != want {
		t.Errorf("the file has\n%swant\n%s", content, want)
	}
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if realm, pinned, err := pins.Lookup("a:1"); !pinned || err != nil || realm != realmOf(1) {
		t.Errorf("got %v, %v, %v", realm, pinned, err)
	}
	if _, pinned, _ := pins.Lookup("a:12"); pinned {
		t.Error("another server is pinned")
	}
}

func TestPinMismatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "known_realms")
	pins := OpenPins(path)
	must(t, pins.Add("a:1", realmOf(1)))
	err := pins.Add("a:1", realmOf(2))
	wantCode(t, err, shoal.Untrusted)
	for _, part := range []string{"a:1", realmOf(1).String(), realmOf(2).String(), path, "--pin", "Somebody may be in between"} {
		if err != nil && !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if realm, _, err := pins.Lookup("a:1"); err != nil || realm != realmOf(1) {
		t.Errorf("the pin is now %v, %v", realm, err)
	}
}

// Many processes pin at once: every pin arrives, none twice, and readers never see half a line.
func TestPinsConcurrently(t *testing.T) {
	path := filepath.Join(t.TempDir(), "known_realms")
	var users sync.WaitGroup
	for i := range 24 {
		users.Go(func() {
			pins := OpenPins(path)
			if err := pins.Add(fmt.Sprintf("host%d:1", i/2), realmOf(byte(i/2))); err != nil {
				t.Error(err)
			}
			if _, err := pins.All(); err != nil {
				t.Error(err)
			}
		})
	}
	users.Wait()
	all, err := OpenPins(path).All()
	must(t, err)
	if len(all) != 12 {
		t.Errorf("%d pins, want 12: %v", len(all), all)
	}
}

func TestPinsDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "known_realms")
	pins := OpenPins(path)
	good := "a:1 " + realmOf(1).String()
	for name, content := range map[string]string{
		"half a line":          good + "\nb:1 " + realmOf(2).String()[:20],
		"no fingerprint":       good + "\nb:1\n",
		"more than that":       good + " trusted\n",
		"a line without end":   strings.Repeat("x", 1<<17),
		"not canonical base32": "a:1 " + realmOf(1).String()[:51] + "b\n",
	} {
		must(t, os.WriteFile(path, []byte(content), 0o600))
		_, err := pins.All()
		wantCode(t, err, shoal.Untrusted)
		_, _, err = pins.Lookup("a:1")
		wantCode(t, err, shoal.Untrusted)
		wantCode(t, pins.Add("c:1", realmOf(3)), shoal.Untrusted)
		if err != nil && !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %q does not name the file", name, err)
		}
		if after, _ := os.ReadFile(path); string(after) != content {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

// A file that people have edited: comments, blank lines, and a last line without its end.
func TestPinsEdited(t *testing.T) {
	path := filepath.Join(t.TempDir(), "known_realms")
	must(t, os.WriteFile(path, []byte("# the lab\n\n  a:1   "+realmOf(1).String()), 0o600))
	pins := OpenPins(path)
	must(t, pins.Add("b:1", realmOf(2)))
	all, err := pins.All()
	must(t, err)
	if fmt.Sprint(all) != fmt.Sprint([]Pin{{"a:1", realmOf(1)}, {"b:1", realmOf(2)}}) {
		t.Errorf("got %v", all)
	}
}

func TestPinRefused(t *testing.T) {
	pins := OpenPins(filepath.Join(t.TempDir(), "known_realms"))
	for _, server := range []string{"", "a b:1", "#a:1", "a:1\nb:1", "a\x00:1", "a\u00a0:1"} {
		wantCode(t, pins.Add(server, realmOf(1)), shoal.BadRequest)
	}
	if all, err := pins.All(); err != nil || len(all) != 0 {
		t.Errorf("pinned %v, %v", all, err)
	}
	if err := OpenPins(filepath.Join(t.TempDir(), "no", "folder")).Add("a:1", realmOf(1)); err == nil {
		t.Error("pinned in a folder that is not there")
	}
}
