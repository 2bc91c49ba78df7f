package server

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"shoal"
	"shoal/tests/bounds"
)

// FuzzStateFiles reads what lies in a server's state folder in the place of its realm, and of the time when it ran last.
func FuzzStateFiles(f *testing.F) {
	path := filepath.Join(f.TempDir(), "file")
	f.Add(encodeRealm(shoal.RealmKey{1}, []byte("successions")))
	f.Add([]byte("2026-11-21T12:00:00Z\n"))
	f.Add([]byte(realmMagic))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		bounds.Hold(t, len(content), func() {
			root, successions, err := decodeRealm(content)
			if err == nil && !bytes.Equal(encodeRealm(root, successions), content) {
				t.Errorf("%x is read as %v with %x", content, root, successions)
			}
			for _, err := range []error{err, func() error { _, err := readClockFile(path); return err }()} {
				if err != nil && shoal.CodeOf(err) != shoal.Corrupt {
					t.Errorf("%v has the code %v", err, shoal.CodeOf(err))
				}
			}
		})
	})
}
