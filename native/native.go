// Package native hashes: BLAKE3 of files, of their pieces and of the blocks of pieces, at the speed of the machine.
//
// A file's bytes are cut into chunks of 1,024 bytes, whose chaining values are combined pairwise, left-full, up to the
// root, the file's hash (BLAKE3 paper, section 2). The chaining value of a piece can be computed from the piece alone
// and the index of its first chunk; the values of all pieces combine to the root. The package offers these steps.
//
// With the build tag "native" (and cgo) the work is done in C with SIMD (folder c, built by CMake into a static
// archive); otherwise the pure-Go twin gives identical results. All lengths are in bytes, all chunk indices are
// offset/1024. All functions may be called concurrently; none retains its arguments.
package native

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// Sizes in bytes: of a hash or chaining value, and of a chunk, the smallest part that has a chaining value.
const (
	Size      = 32
	ChunkSize = 1024
)

// levelVariable names the environment variable that forces a level.
const levelVariable = "SHOAL_SIMD"

// current is what the package's functions use; written only by init.
var current, currentErr = choose(os.Getenv(levelVariable))

// choose returns the engine of the level forced by name, or of the best one. It returns an engine even with an error.
func choose(name string) (Engine, error) {
	if name == "" {
		return engines[0], nil
	}
	e, err := At(name)
	if err != nil {
		return engines[0], fmt.Errorf("environment variable %s: %w", levelVariable, err)
	}
	return e, nil
}

// At returns the engine of a level, one of Levels. The error names those that are available.
func At(level string) (Engine, error) {
	i := slices.IndexFunc(engines, func(e Engine) bool { return e.Level() == level })
	if i < 0 {
		return Engine{}, fmt.Errorf("no hashing level %q on this machine and build; available: %s",
			level, strings.Join(Levels(), ", "))
	}
	return engines[i], nil
}

// Check returns an error when SHOAL_SIMD names an unknown or unsupported level; hashing then uses the best one.
// Programs call it once at their start.
func Check() error { return currentErr }

// Level returns the level in use: "avx512", "avx2", "sse41" or "portable" (in C), or "go" (the pure-Go twin).
func Level() string { return current.Level() }

// Levels returns the levels that this machine and build have, the fastest first. The last one is always "go".
func Levels() []string {
	names := make([]string, len(engines))
	for i, e := range engines {
		names[i] = e.Level()
	}
	return names
}

// Sum returns the hash of the file whose bytes are p: what b3sum prints.
func Sum(p []byte) [Size]byte { return current.Sum(p) }

// ChainingValue returns the chaining value, without the root flag, of the subtree that p forms, the first chunk of
// which has index chunk. p has 1 to 2^31 bytes and may end within a chunk.
func ChainingValue(p []byte, chunk uint64) [Size]byte { return current.ChainingValue(p, chunk) }

// BlockValues appends to dst the chaining values of consecutive blocks of blockLen bytes of p, the last one possibly
// shorter, and returns the extended slice. blockLen is a power of two of at least 1024; chunk, the index of the first
// chunk, is a multiple of blockLen/1024. The values of a piece's blocks combine to the piece's.
func BlockValues(dst [][Size]byte, p []byte, chunk uint64, blockLen int) [][Size]byte {
	return current.BlockValues(dst, p, chunk, blockLen)
}

// Combine returns the chaining value of the subtree whose parts, all equally large but the last one, have the given
// values. There is at least one.
func Combine(values [][Size]byte) [Size]byte { return current.Combine(values) }

// Root returns the hash of the file whose parts, all equally large but the last one, have the given values. There are
// at least two: a file of a single part is hashed by Sum.
func Root(values [][Size]byte) [Size]byte { return current.Root(values) }

// Parent returns the chaining value of the node with the given children.
func Parent(left, right [Size]byte) [Size]byte { return current.Combine([][Size]byte{left, right}) }

// RootParent returns the hash of the file whose root has the given children.
func RootParent(left, right [Size]byte) [Size]byte { return current.Root([][Size]byte{left, right}) }

// NewHasher returns a hasher of an empty stream, at the level in use.
func NewHasher() *Hasher { return current.NewHasher() }

// checkBlocks panics on a block length or position that cannot be a caller's input but only its mistake: C would read
// a tree of another shape from it.
func checkBlocks(chunk uint64, blockLen int) {
	if blockLen < ChunkSize || blockLen&(blockLen-1) != 0 || chunk&uint64(blockLen/ChunkSize-1) != 0 {
		panic(fmt.Sprintf("native: blocks of %d bytes at chunk %d are not subtrees", blockLen, chunk))
	}
}
