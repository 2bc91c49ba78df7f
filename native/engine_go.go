//go:build !native || !cgo

package native

import "shoal/native/twin"

// An Engine hashes at one level. Its methods are described at the package's functions of the same names.
type Engine struct{}

var engines = []Engine{{}}

// Level returns the engine's level.
func (Engine) Level() string { return "go" }

// Sum returns the hash of a file.
func (Engine) Sum(p []byte) [Size]byte { return twin.Sum(p) }

// ChainingValue returns the chaining value of a subtree.
func (Engine) ChainingValue(p []byte, chunk uint64) [Size]byte {
	return twin.ChainingValue(p, chunk)
}

// BlockValues appends the chaining values of p's blocks to dst.
func (Engine) BlockValues(dst [][Size]byte, p []byte, chunk uint64, blockLen int) [][Size]byte {
	checkBlocks(chunk, blockLen)
	return twin.BlockValues(dst, p, chunk, blockLen)
}

// Combine returns the chaining value over neighbouring values.
func (Engine) Combine(values [][Size]byte) [Size]byte { return twin.Combine(values) }

// Root returns the file's hash over neighbouring values.
func (Engine) Root(values [][Size]byte) [Size]byte { return twin.Root(values) }
