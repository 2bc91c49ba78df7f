package e2e

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os"
	"testing"

	"lukechampine.com/blake3"

	"shoal"
)

const (
	kib = 1 << 10
	mib = 1 << 20
)

// random is content that no compression or sparseness makes easy, the same for the same seed.
func random(size int, seed uint64) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	b := make([]byte, size)
	_, _ = rand.NewChaCha8(key).Read(b) // never fails
	return b
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
}

// same fails the test unless the file has exactly that content.
func same(t *testing.T, path string, content []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	} else if !bytes.Equal(got, content) {
		t.Errorf("%s has %d bytes, and not those that were published", path, len(got))
	}
}

// absent fails the test if something has the name.
func absent(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); err == nil {
		t.Errorf("%s is there", path)
	}
}

// empty fails the test unless the folder has nothing in it.
func empty(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(path)
	if err != nil || len(entries) > 0 {
		t.Errorf("%s has %v in it (%v), and should be empty", path, entries, err)
	}
}

// fileID is the FileID by an implementation that Shoal does not use here.
func fileID(r io.Reader) (id shoal.FileID, err error) {
	h := blake3.New(32, nil)
	_, err = io.Copy(h, r)
	copy(id[:], h.Sum(nil))
	return id, err
}
