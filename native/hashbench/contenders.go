package hashbench

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"hash/crc32"
	"runtime"
	"time"

	"lukechampine.com/blake3"

	"shoal/native"
)

// bufferSize is how much one call hashes, in bytes.
const bufferSize = 1 << 20

// Names of contenders other than levels and standard hashes.
const (
	lukechampine = "lukechampine"
	softSHA256   = "SHA-256 soft"
	b3sumName    = "b3sum"
	publishName  = "publish"
	hash64K      = "64 KiB calls"
	callName     = "empty calls"
)

// A contender runs for about the given time and returns its rate in GB/s.
type contender struct {
	name    string
	threads int
	run     func(context.Context, time.Duration) (float64, error)
}

func (c contender) key() key { return key{c.name, c.threads} }

// contenders returns those that hash buffers in this process, each on one thread and on all.
func contenders() []contender {
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	type named struct {
		name string
		hash func([]byte)
	}
	var hashes []named
	for _, level := range native.Levels() {
		if e, err := native.At(level); err == nil {
			hashes = append(hashes, named{level, func(p []byte) { e.Sum(p) }})
		}
	}
	hashes = append(hashes,
		named{"SHA-256", func(p []byte) { sha256.Sum256(p) }},
		named{"SHA-1", func(p []byte) { sha1.Sum(p) }},
		named{"MD5", func(p []byte) { md5.Sum(p) }},
		named{"CRC-32C", func(p []byte) { crc32.Checksum(p, castagnoli) }})
	var list []contender
	for _, h := range hashes {
		list = append(list, buffers(h.name, 1, h.hash))
		if all := runtime.GOMAXPROCS(0); all > 1 {
			list = append(list, buffers(h.name, all, h.hash))
		}
	}
	return list
}

// rivalContenders returns the others in this process that a figure needs.
func rivalContenders() []contender {
	list := []contender{oneThread(buffers(lukechampine, 1, func(p []byte) { blake3.Sum256(p) }))}
	if runtime.GOMAXPROCS(0) > 2 { // otherwise two are all
		list = append(list, buffers(native.Level(), 2, func(p []byte) { native.Sum(p) }))
	}
	return append(list, calls()...)
}

// buffers returns a contender that hashes the same buffer again and again, on each thread its own. Hashing is what
// writes the pages first and brings them near: the warm-up round does.
func buffers(name string, threads int, hash func([]byte)) contender {
	data := make([][]byte, threads)
	for i := range data {
		data[i] = make([]byte, bufferSize)
		_, _ = rand.Read(data[i])
	}
	return contender{name, threads, func(_ context.Context, d time.Duration) (float64, error) {
		return undisturbed(threads, d, bufferSize, func(thread int) { hash(data[thread]) })
	}}
}

// oneThread keeps a contender that starts goroutines of its own from using more than one thread.
func oneThread(c contender) contender {
	run := c.run
	c.run = func(ctx context.Context, d time.Duration) (float64, error) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		return run(ctx, d)
	}
	return c
}

// calls returns two contenders whose rates' ratio is the share of a call's cost in hashing 64 KiB: calls that hash that
// much, and calls that only copy 32 bytes, as if they had hashed that much.
func calls() []contender {
	const n, batch = 64 << 10, 100
	data, values := make([]byte, n), make([][native.Size]byte, 1)
	contend := func(name string, call func()) contender {
		return contender{name, 1, func(_ context.Context, d time.Duration) (float64, error) {
			return undisturbed(1, d, n*batch, func(int) {
				for range batch {
					call()
				}
			})
		}}
	}
	return []contender{
		contend(hash64K, func() { native.Sum(data) }),
		contend(callName, func() { native.Combine(values) }),
	}
}
