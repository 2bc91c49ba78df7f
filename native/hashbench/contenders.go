package hashbench

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"lukechampine.com/blake3"

	"shoal/native"
)

// Sizes in bytes: of what is hashed in one call, and of the piece that most files have, of which each core's cache holds
// one, so that two threads share nothing.
const (
	bufferSize = 1 << 20
	pieceSize  = 256 << 10
)

// Names of contenders other than levels and standard hashes.
const (
	lukechampine = "lukechampine"
	softSHA256   = "SHA-256 soft"
	b3sumName    = "b3sum"
	publishName  = "publish"
	piecesName   = "256 KiB pieces"
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

// contenders returns those that hash buffers in this process: on one thread and on all.
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
		named{"SHA-512", func(p []byte) { sha512.Sum512(p) }},
		named{"SHA-1", func(p []byte) { sha1.Sum(p) }},
		named{"MD5", func(p []byte) { md5.Sum(p) }},
		named{"CRC-32C", func(p []byte) { crc32.Checksum(p, castagnoli) }})
	all := runtime.GOMAXPROCS(0)
	var list []contender
	for _, h := range hashes {
		list = append(list, buffers(h.name, 1, bufferSize, h.hash))
		if all > 1 {
			list = append(list, buffers(h.name, all, bufferSize, h.hash))
		}
	}
	if all > 1 {
		piece := func(p []byte) { native.ChainingValue(p, 0) }
		list = append(list, buffers(piecesName, 1, pieceSize, piece), buffers(piecesName, 2, pieceSize, piece))
	}
	list = append(list, oneThread(buffers(lukechampine, 1, bufferSize, func(p []byte) { blake3.Sum256(p) })))
	return append(list, calls()...)
}

// buffers returns a contender that hashes the same size bytes again and again, on each thread its own.
func buffers(name string, threads, size int, hash func([]byte)) contender {
	data := make([][]byte, threads)
	for i := range data {
		data[i] = make([]byte, size)
		_, _ = rand.Read(data[i])
	}
	return contender{name, threads, func(_ context.Context, d time.Duration) (float64, error) {
		rates := make([]float64, threads)
		var wg sync.WaitGroup
		for i := range threads {
			wg.Go(func() { rates[i] = repeat(d, size, func() { hash(data[i]) }) })
		}
		wg.Wait()
		sum := 0.0
		for _, r := range rates {
			sum += r
		}
		return sum, nil
	}}
}

// repeat calls f, which handles n bytes, for the time d and returns the rate in GB/s.
func repeat(d time.Duration, n int, f func()) float64 {
	start := time.Now()
	for done := 1; ; done++ {
		f()
		if t := time.Since(start); t >= d {
			return float64(done) * float64(n) / 1e9 / t.Seconds()
		}
	}
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
	return []contender{
		{hash64K, 1, func(_ context.Context, d time.Duration) (float64, error) {
			return repeat(d, n*batch, func() {
				for range batch {
					native.Sum(data)
				}
			}), nil
		}},
		{callName, 1, func(_ context.Context, d time.Duration) (float64, error) {
			return repeat(d, n*batch, func() {
				for range batch {
					native.Combine(values)
				}
			}), nil
		}},
	}
}

// PrintSHA256 measures SHA-256 as this process has it and prints the rate in GB/s.
func PrintSHA256(w io.Writer) error {
	c := buffers("SHA-256", 1, bufferSize, func(p []byte) { sha256.Sum256(p) })
	rate, err := c.run(context.Background(), 30*time.Millisecond)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, rate)
	return err
}

// runSoftSHA256 starts this program with args, which make it call PrintSHA256, without the SHA instructions.
func runSoftSHA256(ctx context.Context, args []string) (float64, error) {
	program, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "GODEBUG=cpu.sha=off")
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("running %s %s: %w", program, strings.Join(args, " "), err)
	}
	return strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
}
