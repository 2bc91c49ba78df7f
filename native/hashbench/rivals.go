package hashbench

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Rivals says what else to measure, so that the figures can be had.
type Rivals struct {
	// FileSize is the size in bytes of the file that is hashed by the program b3sum and by Publish. It is made in Dir
	// (by default the system's temporary folder), stays in the page cache and is removed.
	FileSize int64
	Dir      string

	// Publish hashes the file and makes its manifest, on all cores.
	Publish func(ctx context.Context, f *os.File, size int64) error

	// SoftSHA256 holds the arguments that make this program call PrintSHA256. It is started with them, and with the
	// processor's SHA instructions turned off.
	SoftSHA256 []string
}

// contenders returns those of the figures, and what removes the file that they need.
func (r *Rivals) contenders() (list []contender, remove func(), err error) {
	f, err := makeFile(r.Dir, r.FileSize)
	if err != nil {
		return nil, nil, err
	}
	all := runtime.GOMAXPROCS(0)
	list = append(rivalContenders(),
		contender{softSHA256, 1, func(ctx context.Context, _ time.Duration) (float64, error) {
			return runSoftSHA256(ctx, r.SoftSHA256)
		}},
		b3sum(f, r.FileSize, 1))
	if all > 1 {
		list = append(list, b3sum(f, r.FileSize, all))
	}
	list = append(list, contender{publishName, all, func(ctx context.Context, _ time.Duration) (float64, error) {
		return timed(r.FileSize, func() error { return r.Publish(ctx, f, r.FileSize) })
	}})
	return list, func() {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}, nil
}

// makeFile makes a file of size random bytes and reads it once, so that it is in the page cache.
func makeFile(dir string, size int64) (*os.File, error) {
	f, err := os.CreateTemp(dir, "hashbench-")
	if err != nil {
		return nil, err
	}
	if _, err = io.CopyN(f, mathrand.NewChaCha8([32]byte{}), size); err == nil {
		_, err = io.Copy(io.Discard, io.NewSectionReader(f, 0, size))
	}
	if err != nil {
		_ = f.Close()
		_ = os.Remove(f.Name())
		return nil, fmt.Errorf("making a file of %d bytes to hash: %w", size, err)
	}
	return f, nil
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

// PrintSHA256 measures SHA-256 as this process has it and prints the rate in GB/s.
func PrintSHA256(w io.Writer) error {
	data := make([]byte, bufferSize)
	_, _ = rand.Read(data)
	rate, err := undisturbed(1, 4*defaultSlice, bufferSize, func(int) { sha256.Sum256(data) })
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
