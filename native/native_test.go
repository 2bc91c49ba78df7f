package native

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"lukechampine.com/blake3"

	"shoal/tests/bounds"
)

// lengths sets how many random lengths TestRandomLengths tries; 100000 takes some minutes.
var lengths = flag.Int("lengths", 300, "how many random lengths to try")

// printVariable makes this program, started by one of its tests, print its level or its digest instead of testing.
const printVariable = "NATIVE_TEST_PRINT"

func TestMain(m *testing.M) {
	switch os.Getenv(printVariable) {
	case "level":
		fmt.Println(Level(), Check())
	case "digest":
		fmt.Printf("%s %x\n", Level(), digest())
	default:
		os.Exit(m.Run())
	}
}

// randomBytes returns n bytes that are the same in every run.
func randomBytes(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(p)
	return p
}

func mustAt(t testing.TB, level string) Engine {
	t.Helper()
	e, err := At(level)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// eachLevel runs a test on the engine of every level.
func eachLevel(t *testing.T, test func(*testing.T, Engine)) {
	t.Helper()
	for _, level := range Levels() {
		t.Run(level, func(t *testing.T) { test(t, mustAt(t, level)) })
	}
}

func TestSumOfAllShortLengths(t *testing.T) {
	data := randomBytes(4200)
	var parts [][]byte
	for n := range len(data) + 1 {
		parts = append(parts, data[:n])
	}
	want := b3sum(t, parts)
	eachLevel(t, func(t *testing.T, e Engine) {
		for n := range want {
			if got := e.Sum(data[:n]); got != want[n] {
				t.Fatalf("hash of %d bytes is %x, want %x", n, got, want[n])
			}
		}
	})
}

// TestRandomLengths hashes parts of a buffer at random offsets, so misaligned, in one call, as a stream, and by blocks.
func TestRandomLengths(t *testing.T) {
	const maxLen = 4 << 20
	data := randomBytes(maxLen + 64)
	rng := rand.New(rand.NewPCG(3, 4))
	for done := 0; done < *lengths; {
		var parts [][]byte
		for range min(200, *lengths-done) {
			n := int(math.Exp(rng.Float64() * math.Log(maxLen+1))) // all orders of magnitude alike
			off := rng.IntN(len(data) - n)
			parts = append(parts, data[off:off+n])
		}
		done += len(parts)
		for i, want := range b3sum(t, parts) {
			p := parts[i]
			for _, level := range Levels() {
				e := mustAt(t, level)
				if got := e.Sum(p); got != want {
					t.Fatalf("%s: hash of %d bytes is %x, want %x", level, len(p), got, want)
				}
			}
			e := mustAt(t, Levels()[i%len(Levels())])
			if got := streamed(e, p, 1+rng.IntN(2*len(p))); got != want {
				t.Fatalf("%s: a stream of %d bytes gives %x, want %x", e.Level(), len(p), got, want)
			}
			block := ChunkSize << rng.IntN(10)
			if values := e.BlockValues(nil, p, 0, block); len(values) > 1 && e.Root(values) != want {
				t.Fatalf("%s: %d bytes in blocks of %d give another root", e.Level(), len(p), block)
			}
		}
	}
}

func streamed(e Engine, p []byte, step int) [Size]byte {
	h := e.NewHasher()
	for part := range slices.Chunk(p, step) {
		_, _ = h.Write(part)
	}
	return h.Sum()
}

// TestLargeChunkIndices compares with the twin at positions far into a file, where the counter has carried over.
func TestLargeChunkIndices(t *testing.T) {
	data := randomBytes(300_000)
	twin := mustAt(t, "go")
	rng := rand.New(rand.NewPCG(5, 6))
	eachLevel(t, func(t *testing.T, e Engine) {
		for _, chunk := range []uint64{1 << 32, 1<<32 - 40, 1<<32 - 1, 5 << 33, 1 << 53, 1<<54 - 512} {
			for range 10 {
				p := data[:1+rng.IntN(len(data))]
				if got, want := e.ChainingValue(p, chunk), twin.ChainingValue(p, chunk); got != want {
					t.Fatalf("value of %d bytes at chunk %d is %x, want %x", len(p), chunk, got, want)
				}
				at := chunk &^ 15
				if got, want := e.BlockValues(nil, p, at, 16<<10), twin.BlockValues(nil, p, at, 16<<10); !slices.Equal(got, want) {
					t.Fatalf("block values of %d bytes at chunk %d differ", len(p), at)
				}
			}
		}
	})
}

// TestPartsMakeTheWhole cuts files into pieces and these into blocks, and requires all the ways back up to agree.
func TestPartsMakeTheWhole(t *testing.T) {
	data := randomBytes(1<<20 + 777)
	eachLevel(t, func(t *testing.T, e Engine) {
		for _, n := range []int{1025, 2048, 5000, 64 << 10, 64<<10 + 1, 200_000, 1 << 20, len(data)} {
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

func TestParents(t *testing.T) {
	data := randomBytes(2 * ChunkSize)
	left, right := ChainingValue(data[:ChunkSize], 0), ChainingValue(data[ChunkSize:], 1)
	if got, want := RootParent(left, right), blake3.Sum256(data); got != want {
		t.Errorf("the root over two chunks is %x, want %x", got, want)
	}
	if got, want := Parent(left, right), ChainingValue(data, 0); got != want {
		t.Errorf("the parent of two chunks is %x, want %x", got, want)
	}
	if Parent(left, right) == Parent(right, left) {
		t.Error("a parent does not depend on the order of its children")
	}
}

// digest hashes the results of all functions on inputs that are the same in every build.
func digest() [Size]byte {
	data := randomBytes(1 << 20)
	rng := rand.New(rand.NewPCG(7, 8))
	h := NewHasher()
	add := func(v ...[Size]byte) {
		for _, v := range v {
			_, _ = h.Write(v[:])
		}
	}
	for range 200 {
		p := data[:1+rng.IntN(len(data)>>rng.IntN(16))]
		values := BlockValues(nil, p, 1<<32, ChunkSize<<rng.IntN(8))
		add(values...)
		add(Sum(p), ChainingValue(p, 1<<33-3), Combine(values), streamed(current, p, 1+rng.IntN(len(p))))
		if len(values) > 1 {
			add(Root(values), Parent(values[0], values[1]), RootParent(values[0], values[1]))
		}
	}
	return h.Sum()
}

func TestHasherIsReusable(t *testing.T) {
	data := randomBytes(300_000)
	eachLevel(t, func(t *testing.T, e Engine) {
		h := e.NewHasher()
		for _, n := range []int{0, 1, unitSize, unitSize + 1, 2 * unitSize, len(data)} {
			h.Reset()
			if w, err := h.Write(data[:n/2]); w != n/2 || err != nil {
				t.Fatalf("Write returned %d, %v for %d bytes", w, err, n/2)
			}
			if got, want := h.Sum(), blake3.Sum256(data[:n/2]); got != want {
				t.Fatalf("in the middle of %d bytes the hash is %x, want %x", n, got, want)
			}
			_, _ = h.Write(data[n/2 : n])
			if got, want := h.Sum(), blake3.Sum256(data[:n]); got != want {
				t.Fatalf("after Sum and %d bytes the hash is %x, want %x", n, got, want)
			}
		}
	})
}

func TestBlocksThatAreNoSubtreesPanic(t *testing.T) {
	for _, c := range []struct {
		chunk    uint64
		blockLen int
	}{{0, 0}, {0, 512}, {0, 3 << 10}, {0, -1024}, {8, 16 << 10}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("blocks of %d bytes at chunk %d were accepted", c.blockLen, c.chunk)
				}
			}()
			BlockValues(nil, make([]byte, 10), c.chunk, c.blockLen)
		}()
	}
}

func FuzzLevelsAgree(f *testing.F) {
	f.Add([]byte(nil), uint64(0), uint8(0))
	f.Add(randomBytes(5000), uint64(1<<32-2), uint8(1))
	f.Add(randomBytes(70_000), uint64(7), uint8(4))
	f.Fuzz(func(t *testing.T, p []byte, chunk uint64, shift uint8) {
		bounds.Hold(t, len(p), func() {
			blockLen := ChunkSize << (shift % 12)
			chunk = chunk >> 10 &^ uint64(blockLen/ChunkSize-1)
			twin := mustAt(t, "go")
			for _, level := range Levels() {
				e := mustAt(t, level)
				values := e.BlockValues(nil, p, chunk, blockLen)
				if e.Sum(p) != twin.Sum(p) || !slices.Equal(values, twin.BlockValues(nil, p, chunk, blockLen)) {
					t.Fatalf("%s and the twin differ", level)
				}
				if len(p) > 0 && e.Combine(values) != twin.ChainingValue(p, chunk) {
					t.Fatalf("%s combines blocks of %d to another value", level, blockLen)
				}
			}
		})
	})
}
