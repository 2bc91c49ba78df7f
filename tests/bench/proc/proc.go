// Package proc runs the processes that a benchmark compares and measures them from outside: seconds, CPU seconds of
// user and kernel together, and peak resident memory in bytes. It reads Linux's /proc (proc(5)).
package proc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// stopGrace bounds how long a process may take to end after SIGTERM before it is killed.
const stopGrace = 10 * time.Second

// ReadyTimeout bounds how long a daemon may take to be ready.
const ReadyTimeout = 30 * time.Second

// pollEvery is how often the peak memory of a short-lived process is read.
const pollEvery = 4 * time.Millisecond

// A Command says what to run. Dir and Env are as in exec.Cmd: when empty, the caller's own.
type Command struct {
	Args []string // the program, then its arguments
	Dir  string
	Env  []string
}

// Usage is what a process has used.
type Usage struct {
	Wall time.Duration // from the start to the exit
	CPU  time.Duration // user and kernel
	Peak int64         // bytes resident at most
}

func (c Command) cmd(ctx context.Context) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	cmd.Dir, cmd.Env = c.Dir, c.Env
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopGrace
	// Nothing is left running even when the benchmark itself is killed with -9.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// Run runs c to its end and returns what it used and what it wrote to standard output. A failure's error holds the
// tail of what it wrote to standard error.
func Run(ctx context.Context, c Command) (Usage, []byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := c.cmd(ctx)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return Usage{}, nil, fmt.Errorf("starting %s: %w", c.Args[0], err)
	}
	peak := watchPeak(cmd.Process.Pid)
	err := cmd.Wait()
	use := Usage{Wall: time.Since(start), Peak: peak()}
	if state := cmd.ProcessState; state != nil {
		use.CPU = state.UserTime() + state.SystemTime()
		use.Peak = max(use.Peak, ownPeak(state))
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return use, nil, fmt.Errorf("running %q: %w\n%s", c.Args, err, tail(stderr.Bytes()))
	}
	return use, stdout.Bytes(), nil
}

// ownPeak returns ru_maxrss, or 0 when it may not be the process's own: before the exec a child runs in its parent's
// memory, and the kernel counts that too. So a value counts only when the parent, this process, never was that large.
func ownPeak(state *os.ProcessState) int64 {
	peak := state.SysUsage().(*syscall.Rusage).Maxrss << 10
	if mine, err := peakOf(os.Getpid()); err != nil || peak <= mine {
		return 0
	}
	return peak
}

// watchPeak reads the peak memory of pid again and again until the function it returns is called, which returns the
// largest.
func watchPeak(pid int) func() int64 {
	var largest int64
	done := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() {
		ticker := time.NewTicker(pollEvery)
		defer ticker.Stop()
		for {
			if peak, err := peakOf(pid); err == nil {
				largest = max(largest, peak)
			}
			select {
			case <-ticker.C:
			case <-done:
				return
			}
		}
	})
	return func() int64 {
		close(done)
		watcher.Wait()
		return largest
	}
}

// A Daemon is a process that runs until it is stopped.
type Daemon struct {
	name   string
	cmd    *exec.Cmd
	log    string        // path of what it wrote to standard error
	exited chan struct{} // closed when it has ended
	err    error         // why; valid once exited is closed
}

// Start starts c as a daemon; name is for messages, its standard error goes to DIR/NAME.log. stdout, if not nil, is
// given what it writes to standard output. When ctx ends the daemon is stopped. The caller must call Stop.
func Start(ctx context.Context, dir, name string, c Command, stdout *Lines) (*Daemon, error) {
	path := filepath.Join(dir, name+".log")
	log, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	defer log.Close()
	d := &Daemon{name: name, cmd: c.cmd(ctx), log: path, exited: make(chan struct{})}
	d.cmd.Stderr = log
	if stdout != nil {
		d.cmd.Stdout = stdout
	}
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		d.err = d.cmd.Wait()
		close(d.exited)
	}()
	return d, nil
}

// Ready waits for the first line of standard output, which stdout was given, and decodes it into event: it says that the
// daemon is ready. On an error the daemon has been stopped.
func (d *Daemon) Ready(ctx context.Context, stdout *Lines, event any) error {
	fail := func(why string) error { return errors.Join(d.Failure(why), d.Stop()) }
	select {
	case line := <-stdout.C:
		if err := json.Unmarshal([]byte(line), event); err != nil {
			return fail(fmt.Sprintf("wrote %q, not an event (%v)", line, err))
		}
		return nil
	case <-d.Exited():
		return fail("ended at once")
	case <-time.After(ReadyTimeout):
		return fail(fmt.Sprintf("was not ready after %v", ReadyTimeout))
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), d.Stop())
	}
}

// Exited is closed when the daemon has ended.
func (d *Daemon) Exited() <-chan struct{} { return d.exited }

// Failure describes why a daemon that should be running is not usable, with the tail of its log.
func (d *Daemon) Failure(why string) error {
	text, err := os.ReadFile(d.log)
	if err != nil {
		return fmt.Errorf("%s %s; its log cannot be read: %w", d.name, why, err)
	}
	return fmt.Errorf("%s %s; its log ends with:\n%s", d.name, why, tail(text))
}

// Usage returns what the daemon has used since its start; Wall is not set.
func (d *Daemon) Usage() (Usage, error) {
	pid := d.cmd.Process.Pid
	cpu, err := cpuOf(pid)
	if err != nil {
		return Usage{}, errors.Join(d.Failure("is gone"), err)
	}
	peak, err := peakOf(pid)
	if err != nil {
		return Usage{}, errors.Join(d.Failure("is gone"), err)
	}
	return Usage{CPU: cpu, Peak: peak}, nil
}

// Stop ends the daemon: SIGTERM, and SIGKILL when that was not enough. It returns when the process is gone.
func (d *Daemon) Stop() error {
	_ = d.cmd.Process.Signal(syscall.SIGTERM) // fails only when it has ended, which is what we want
	select {
	case <-d.exited:
		return nil
	case <-time.After(stopGrace):
		_ = d.cmd.Process.Kill()
		<-d.exited
		return d.Failure(fmt.Sprintf("did not end within %v of SIGTERM and was killed", stopGrace))
	}
}

func tail(text []byte) []byte {
	const most = 2000
	text = bytes.TrimSpace(text)
	return text[max(0, len(text)-most):]
}
