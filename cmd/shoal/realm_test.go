package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whoever holds a state folder makes users, backs up and restores, and moves the root key, by commands that say what went
// wrong and show no secret.
func TestHolderCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must := func(stdin string, args ...string) string {
		t.Helper()
		got := runShoal(t, dir, stdin, nil, append([]string{"server"}, args...)...)
		if got.code != 0 {
			t.Fatalf("server %q: %d: %s", args, got.code, got.stderr)
		}
		return got.stdout
	}
	fails := func(code int, text, stdin string, args ...string) {
		t.Helper()
		got := runShoal(t, dir, stdin, nil, append([]string{"server"}, args...)...)
		if got.code != code || !strings.Contains(got.stderr, text) {
			t.Errorf("server %q: %d: %s; want %d and %q", args, got.code, got.stderr, code, text)
		}
	}
	fails(3, "no state folder", "", "backup", "b", "--state", "nowhere")
	must("", "realm", "export", "first", "--state", "s")
	fails(7, "exists", "", "realm", "export", "first", "--state", "s")
	must("canary password\n", "user", "ann", "--state", "s")
	fails(7, `"ann"`, "canary password\n", "user", "ann", "--state", "s")
	fails(2, "too short", "short\n", "user", "bob", "--state", "s")
	fails(2, "not allowed", "canary password\n", "user", "../bob", "--state", "s")
	var keys struct{ Realm, Server, Tickets string }
	if err := json.Unmarshal([]byte(must("", "realm", "show", "--state", "s", "--json")), &keys); err != nil {
		t.Fatal(err)
	}
	fails(2, "root key", "", "realm", "revoke", keys.Realm, "--state", "s")
	fails(2, "no key", "", "realm", "revoke", "nonsense", "--state", "s")
	must("", "realm", "revoke", keys.Tickets, "--state", "s")
	if shown := must("", "realm", "show", "--state", "s"); !strings.Contains(shown, "revoked          "+keys.Tickets) || strings.Contains(shown, "tickets          "+keys.Tickets) {
		t.Errorf("shown is %s", shown)
	}
	must("", "backup", "b", "--state", "s")
	fails(7, "there already", "", "backup", "b", "--state", "s")
	was := must("", "realm", "rotate", "--state", "s", "--json")
	if is := must("", "realm", "export", "second", "--offline", "--state", "s", "--json"); strings.TrimPrefix(is, `{"event":"exported"`) != strings.TrimPrefix(was, `{"event":"rotated"`) {
		t.Errorf("rotated to %s, exported %s", was, is)
	}
	fails(3, "import it first", "", "realm", "rotate", "--state", "s")
	fails(7, "another realm", "", "realm", "import", "first", "--state", "s")
	fails(3, "--root", "", "realm", "revoke", keys.Server, "--state", "s")
	fails(5, "the folder is of", "", "realm", "revoke", keys.Server, "--state", "s", "--root", "first")
	must("", "realm", "revoke", keys.Server, "--state", "s", "--root", "second")
	must("", "realm", "import", "second", "--state", "s")
	fails(7, "not empty", "", "restore", "b", "--state", "s")
	must("", "restore", "b", "--state", "new")
	must("", "realm", "import", "first", "--state", "new")
	must("", "realm", "import", "second", "--state", "new")
	must("canary password\n", "user", "bob", "--state", "new")
	fails(9, "damaged", "", "restore", "cut", "--state", cutBackup(t, dir))
	fails(2, "no command", "", "realm", "burn")

	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if strings.Contains(string(content), "canary password") {
			t.Errorf("%s has the password", path)
		}
		if info, infoErr := d.Info(); infoErr == nil && info.Mode().Perm()&0o077 != 0 && path != filepath.Join(dir, "cut") {
			t.Errorf("%s can be read by others: %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// cutBackup makes half a backup, and names a folder to restore it into.
func cutBackup(t *testing.T, dir string) string {
	t.Helper()
	whole, err := os.ReadFile(filepath.Join(dir, "b"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "cut"), whole[:len(whole)-9], 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return "other"
}
