package identity

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shoal"
)

func TestRootExported(t *testing.T) {
	path := filepath.Join(t.TempDir(), "realm.txt")
	root := NewKey()
	must(t, ExportRoot(path, root, nil))
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	text, err := os.ReadFile(path)
	must(t, err)
	for _, part := range []string{"root key of a Shoal realm", "Keep it offline", shoal.RealmKey(root.public).String()} {
		if !strings.Contains(string(text), part) {
			t.Errorf("the file does not say %q", part)
		}
	}
	got, _, err := ImportRoot(path)
	must(t, err)
	if got.Public() != root.Public() || got.sign([]byte("x")) != root.sign([]byte("x")) {
		t.Error("another key came back")
	}
	wantCode(t, ExportRoot(path, NewKey(), nil), shoal.Exists)
	if after, _ := os.ReadFile(path); !bytes.Equal(after, text) {
		t.Error("the file was changed")
	}
	files, err := os.ReadDir(filepath.Dir(path))
	must(t, err)
	if len(files) != 1 {
		t.Errorf("%d files are left, want one", len(files))
	}
	if err := ExportRoot(filepath.Join(path, "below", "a", "file"), root, nil); err == nil {
		t.Error("exported into what is no folder")
	}
	// The key of a device or server is another kind of file.
	if _, err := LoadKey(path); shoal.CodeOf(err) != shoal.Corrupt {
		t.Errorf("loaded as a device's key: %v", err)
	}
}

func TestRootImportRefused(t *testing.T) {
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole")
	must(t, ExportRoot(whole, NewKey(), nil))
	text, err := os.ReadFile(whole)
	must(t, err)
	must(t, ExportRoot(filepath.Join(dir, "other"), NewKey(), nil))
	other, err := os.ReadFile(filepath.Join(dir, "other"))
	must(t, err)
	_, err = LoadKey(filepath.Join(dir, "device"))
	must(t, err)
	device, err := os.ReadFile(filepath.Join(dir, "device"))
	must(t, err)
	fingerprint := func(b []byte) []byte {
		_, rest, _ := bytes.Cut(b, []byte("Fingerprint: "))
		return rest[:52]
	}
	for name, c := range map[string]struct {
		content []byte
		mode    os.FileMode
		want    shoal.Code
	}{
		"readable by others":      {text, 0o644, shoal.Untrusted},
		"torn":                    {text[:len(text)-30], 0o600, shoal.Corrupt},
		"empty":                   {nil, 0o600, shoal.Corrupt},
		"a device's key":          {device, 0o600, shoal.Corrupt},
		"two of them":             {append(bytes.Clone(text), other...), 0o600, shoal.Corrupt},
		"with another name on it": {bytes.ReplaceAll(text, fingerprint(text), fingerprint(other)), 0o600, shoal.Corrupt},
		"with no name on it":      {bytes.ReplaceAll(text, []byte("Fingerprint: "), []byte("Comment: ")), 0o600, shoal.Corrupt},
		"far too long":            {append(bytes.Repeat([]byte(" "), 1<<20), text...), 0o600, shoal.Corrupt},
	} {
		path := filepath.Join(dir, "damaged")
		must(t, os.WriteFile(path, c.content, 0o600))
		must(t, os.Chmod(path, c.mode))
		if _, _, err := ImportRoot(path); shoal.CodeOf(err) != c.want || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := ImportRoot(filepath.Join(dir, "nothing")); err == nil {
		t.Error("imported from nothing")
	}
	// Line ends and a remark, as a mail program may leave them.
	must(t, os.WriteFile(whole, append([]byte("see below\r\n"), bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))...), 0o600))
	if _, _, err := ImportRoot(whole); err != nil {
		t.Errorf("with other line ends: %v", err)
	}
}

// An exported root key carries the chain that leads to it, and no other.
func TestExportedSuccessions(t *testing.T) {
	now := time.Now()
	first, second, third := NewKey(), NewKey(), NewKey()
	to := func(old, next *Key) []byte { return NameSuccessor(old, next.Public(), now, time.Hour) }
	both := append(to(first, second), to(second, third)...)
	for name, c := range map[string]struct {
		root  *Key
		chain []byte
		good  bool
	}{
		"of none":     {first, nil, true},
		"of two":      {third, both, true},
		"expired":     {second, NameSuccessor(first, second.Public(), now.Add(-2*time.Hour), time.Hour), true},
		"of another":  {first, both, false},
		"in disorder": {third, append(to(second, third), to(first, second)...), false},
		"no chain":    {third, []byte("nonsense"), false},
		"of a server": {third, append(to(first, second), CertifyServer(second, third.Public(), now, time.Hour)...), false},
	} {
		path := filepath.Join(t.TempDir(), "root")
		must(t, ExportRoot(path, c.root, c.chain))
		root, chain, err := ImportRoot(path)
		switch {
		case !c.good && (shoal.CodeOf(err) != shoal.Corrupt || root != nil):
			t.Errorf("%s: got %v", name, err)
		case c.good && (err != nil || root.Public() != c.root.Public() || !bytes.Equal(chain, c.chain)):
			t.Errorf("%s: got %x, %v", name, chain, err)
		}
	}
}
