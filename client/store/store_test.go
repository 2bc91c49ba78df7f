package store

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"shoal"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(childRole); role != "" {
		child(role)
		return
	}
	goleak.VerifyTestMain(m)
}

// random returns n bytes that are the same for the same seed.
func random(n int64, seed uint64) []byte {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b)
	return b
}

// describe returns the object that data is, with its manifest.
func describe(t testing.TB, data []byte) (shoal.Object, *shoal.Manifest) {
	t.Helper()
	o, m, err := hashBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	return o, m
}

func hashBytes(data []byte) (shoal.Object, *shoal.Manifest, error) {
	return shoal.HashFile(context.Background(), bytes.NewReader(data), int64(len(data)), nil)
}

func piece(o shoal.Object, data []byte, i int) []byte {
	offset, length := o.PieceRange(i)
	return data[offset : offset+length]
}

func openPart(t testing.TB, dir string, name shoal.Name, o shoal.Object, m *shoal.Manifest) *Part {
	t.Helper()
	p, err := OpenPart(dir, name, o, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func closeNow(t testing.TB, c interface{ Close() error }) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

func mustWrite(t testing.TB, p *Part, data []byte, pieces ...int) {
	t.Helper()
	for _, i := range pieces {
		if err := p.WritePiece(i, piece(p.Object(), data, i)); err != nil {
			t.Fatal(err)
		}
	}
}

func wantCode(t testing.TB, err error, code shoal.Code) {
	t.Helper()
	if !errors.Is(err, code) {
		t.Fatalf("error %v, want code %v", err, code)
	}
}

func writeFile(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// names lists a folder.
func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	list := []string{}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func readBack(t testing.TB, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%s has other bytes than it should", filepath.Base(path))
	}
}
