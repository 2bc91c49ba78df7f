package hashbench

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"
)

// makeFile makes a file of size random bytes and reads it once, so that it is in the page cache.
func makeFile(dir string, size int64) (*os.File, error) {
	f, err := os.CreateTemp(dir, "hashbench-")
	if err != nil {
		return nil, err
	}
	if _, err = io.CopyN(f, rand.NewChaCha8([32]byte{}), size); err == nil {
		_, err = io.Copy(io.Discard, io.NewSectionReader(f, 0, size))
	}
	if err != nil {
		_ = f.Close()
		_ = os.Remove(f.Name())
		return nil, fmt.Errorf("making a file of %d bytes to hash: %w", size, err)
	}
	return f, nil
}

// fileContenders returns those that hash the file f: b3sum on one thread and on all, and Publish.
func fileContenders(f *os.File, o Options) []contender {
	all := runtime.GOMAXPROCS(0)
	list := []contender{b3sum(f, o.FileSize, 1)}
	if all > 1 {
		list = append(list, b3sum(f, o.FileSize, all))
	}
	if o.Publish != nil {
		list = append(list, contender{publishName, all, func(ctx context.Context, _ time.Duration) (float64, error) {
			return timed(o.FileSize, func() error { return o.Publish(ctx, f, o.FileSize) })
		}})
	}
	return list
}

// b3sum is the program b3sum as a process, from its start to its end.
func b3sum(f *os.File, size int64, threads int) contender {
	return contender{b3sumName, threads, func(ctx context.Context, _ time.Duration) (float64, error) {
		return timed(size, func() error {
			return exec.CommandContext(ctx, "b3sum", "--num-threads", strconv.Itoa(threads), f.Name()).Run()
		})
	}}
}

// timed calls f once, which handles size bytes, and returns the rate in GB/s.
func timed(size int64, f func() error) (float64, error) {
	start := time.Now()
	err := f()
	return float64(size) / 1e9 / time.Since(start).Seconds(), err
}
