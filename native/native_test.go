package native

import (
	"math/rand/v2"
	"slices"
	"testing"

	"lukechampine.com/blake3"
)

// randomBytes returns n bytes that are the same in every run.
func randomBytes(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(p)
	return p
}

// eachLevel runs a test on the engine of every level.
func eachLevel(t *testing.T, test func(*testing.T, Engine)) {
	t.Helper()
	for _, level := range Levels() {
		e, err := At(level)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(level, func(t *testing.T) { test(t, e) })
	}
}

func TestSumOfAllShortLengths(t *testing.T) {
	data := randomBytes(4200)
	want := make([][Size]byte, len(data)+1)
	for n := range want {
		want[n] = blake3.Sum256(data[:n])
	}
	eachLevel(t, func(t *testing.T, e Engine) {
		for n := range want {
			if got := e.Sum(data[:n]); got != want[n] {
				t.Fatalf("hash of %d bytes is %x, want %x", n, got, want[n])
			}
		}
	})
}

// TestPartsMakeTheWhole cuts files into pieces and these into blocks, and requires all the ways back up to agree.
func TestPartsMakeTheWhole(t *testing.T) {
	data := randomBytes(3<<20 + 777)
	eachLevel(t, func(t *testing.T, e Engine) {
		for _, n := range []int{1025, 2048, 5000, 64 << 10, 64<<10 + 1, 200_000, 1 << 20, 3 << 20, len(data)} {
			want := blake3.Sum256(data[:n])
			for block := ChunkSize; block < n; block *= 2 {
				values := e.BlockValues(nil, data[:n], 0, block)
				if got := e.Root(values); got != want {
					t.Fatalf("%d bytes in blocks of %d give root %x, want %x", n, block, got, want)
				}
				var pieces [][Size]byte
				for i, group := range slices.Collect(slices.Chunk(values, 8)) {
					off := i * 8 * block
					piece := e.ChainingValue(data[off:min(n, off+8*block)], uint64(off/ChunkSize))
					if got := e.Combine(group); got != piece {
						t.Fatalf("blocks of %d at %d combine to %x, want %x", block, off, got, piece)
					}
					pieces = append(pieces, piece)
				}
				if len(pieces) > 1 && e.Root(pieces) != want {
					t.Fatalf("%d bytes in pieces of %d give another root", n, 8*block)
				}
			}
		}
	})
}

func TestHasherInAnySteps(t *testing.T) {
	data := randomBytes(3 << 20)
	eachLevel(t, func(t *testing.T, e Engine) {
		rng := rand.New(rand.NewPCG(1, 2))
		h := e.NewHasher()
		for range 60 {
			h.Reset()
			n := rng.IntN(len(data) >> rng.IntN(12))
			step := 1 + rng.IntN(1<<rng.IntN(22))
			for part := range slices.Chunk(data[:n], step) {
				if w, err := h.Write(part); w != len(part) || err != nil {
					t.Fatalf("Write returned %d, %v for %d bytes", w, err, len(part))
				}
			}
			if got, want := h.Sum(), blake3.Sum256(data[:n]); got != want {
				t.Fatalf("stream of %d bytes in steps of %d gives %x, want %x", n, step, got, want)
			}
		}
	})
}
