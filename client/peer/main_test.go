package peer

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"shoal"
	"shoal/client/store"
)

const pieceLength = 256 << 10

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// random returns n bytes that are the same for the same seed.
func random(n int, seed byte) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t testing.TB, err error, code shoal.Code) {
	t.Helper()
	if !errors.Is(err, code) {
		t.Errorf("got error %v, want one of code %v", err, code)
	}
}

// place writes data to a fresh file and hashes that.
func place(t testing.TB, data []byte) *store.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(path, data, 0o600))
	f, err := store.Hash(context.Background(), path, nil)
	must(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// partOf opens a part of what f is, with some of its pieces.
func partOf(t testing.TB, f *store.File, pieces ...int) *store.Part {
	t.Helper()
	p, err := store.OpenPart(t.TempDir(), "part", f.Object(), f.Manifest())
	must(t, err)
	t.Cleanup(func() { _ = p.Close() })
	for _, i := range pieces {
		must(t, p.WritePiece(i, pieceOf(t, f, i)))
	}
	return p
}

func pieceOf(t testing.TB, f *store.File, i int) []byte {
	t.Helper()
	offset, length := f.Object().PieceRange(i)
	return bytesOf(t, f, offset, length)
}

func bytesOf(t testing.TB, f *store.File, offset, length int64) []byte {
	t.Helper()
	b := make([]byte, length)
	if n, err := f.ReadAt(b, offset); n < len(b) {
		t.Fatal(err)
	}
	return b
}

func swarmOf(c store.Content) shoal.Swarm {
	return shoal.Swarm{Group: shoal.Public, Object: c.Object()}
}
