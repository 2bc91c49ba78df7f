package e2e

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// patience bounds every wait. It is long, because the machine may be busy; nothing waits for it to pass.
	patience = 60 * time.Second
	// grace is how long a process may take to end when it is asked to.
	grace = 15 * time.Second
)

// process is a shoal that runs.
type process struct {
	t    *testing.T
	line string // the command line
	cmd  *exec.Cmd

	mu     sync.Mutex // guards the rest
	news   chan struct{}
	events []event
	stdout output
	stderr output
	ended  bool
}

// output collects what a process writes. Its process' mu guards it.
type output struct {
	process *process
	text    bytes.Buffer
	read    int // bytes that have been taken apart
}

func (o *output) Write(b []byte) (int, error) {
	p := o.process
	p.mu.Lock()
	defer p.mu.Unlock()
	o.text.Write(b)
	if o == &p.stdout {
		p.parse()
	}
	p.tell()
	return len(b), nil
}

// parse takes the events out of the lines of stdout. mu is held.
func (p *process) parse() {
	for {
		line, _, whole := bytes.Cut(p.stdout.text.Bytes()[p.stdout.read:], []byte{'\n'})
		if !whole {
			return
		}
		p.stdout.read += len(line) + 1
		var e event
		if json.Unmarshal(line, &e) == nil {
			p.events = append(p.events, e)
		}
	}
}

// tell wakes who waits for news. mu is held.
func (p *process) tell() {
	close(p.news)
	p.news = make(chan struct{})
}

// prepare makes a process that has not been started.
func prepare(t *testing.T, binary, folder string, environment []string, args ...string) *process {
	p := &process{t: t, line: brief(filepath.Base(binary) + " " + strings.Join(args, " ")), cmd: exec.Command(binary, args...), news: make(chan struct{})}
	p.stdout.process, p.stderr.process = p, p
	p.cmd.Dir, p.cmd.Env = folder, environment
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // if the test itself is killed
	return p
}

// watch takes over a process that was started, or could not be: err says why. The process is ended when the test is, and
// must then leave nothing to complain of.
func (p *process) watch(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("starting %s: %v", p.line, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = p.cmd.Wait() // the exit code says the same
		p.mu.Lock()
		defer p.mu.Unlock()
		p.ended = true
		p.tell()
	}()
	p.t.Cleanup(func() {
		p.stop()
		<-done
		p.inspect()
	})
}

// stop asks a process that still runs to end.
func (p *process) stop() {
	if p.hasEnded() {
		return
	}
	p.signal(syscall.SIGCONT)
	p.signal(syscall.SIGTERM)
	if !p.waitFor(grace, func() bool { return p.ended }) {
		p.t.Errorf("%s did not end within %v of SIGTERM; what its goroutines did:\n%s", p.line, grace, p.goroutines())
		p.signal(syscall.SIGKILL)
	}
}

// goroutines makes the process say what its goroutines do, and end.
func (p *process) goroutines() string {
	p.signal(syscall.SIGQUIT)
	p.waitFor(grace, func() bool { return p.ended })
	return p.errors()
}

// inspect fails the test if the process said something that no process should.
func (p *process) inspect() {
	said := p.errors()
	for _, sign := range []string{"DATA RACE", "panic:", "fatal error:", "goroutine "} {
		if strings.Contains(said, sign) {
			p.t.Errorf("%s wrote %q", p.line, sign)
		}
	}
	if p.t.Failed() {
		p.t.Logf("%s: %v; stdout:\n%s\nstderr:\n%s", p.line, p.cmd.ProcessState, tail(p.output()), tail(said))
	}
}

// brief is the beginning of a command line.
func brief(line string) string {
	const most = 200
	if len(line) > most {
		return line[:most] + "…"
	}
	return line
}

func tail(s string) string {
	const most = 3000
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return s
}

// signal sends a signal, and kill and waits; a process that has ended gets none.
func (p *process) signal(s syscall.Signal) {
	_ = p.cmd.Process.Signal(s)
}

// kill ends the process as a crash would.
func (p *process) kill() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	p.wait()
}

func (p *process) hasEnded() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stdout.text.String()
}

func (p *process) errors() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.text.String()
}

// waitFor waits until something holds that only the process' output or end can bring about. It is called with mu held.
func (p *process) waitFor(limit time.Duration, holds func() bool) bool {
	timeout := time.After(limit)
	for {
		p.mu.Lock()
		ok, news := holds(), p.news
		p.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-news:
		case <-timeout:
			return false
		}
	}
}

// await returns the first event of a kind for which holds, if not nil, is true.
func (p *process) await(kind string, holds func(event) bool) event {
	p.t.Helper()
	var found *event
	look := func() bool {
		for i, e := range p.events {
			if e.Event == kind && (holds == nil || holds(e)) {
				found = &p.events[i]
				return true
			}
		}
		return p.ended
	}
	if !p.waitFor(patience, look) || found == nil {
		p.t.Fatalf("%s: no event %q", p.line, kind)
	}
	return *found
}

// awaitError waits until the process has written text to stderr.
func (p *process) awaitError(text string) {
	p.t.Helper()
	look := func() bool { return strings.Contains(p.stderr.text.String(), text) || p.ended }
	if !p.waitFor(patience, look) || !strings.Contains(p.errors(), text) {
		p.t.Fatalf("%s did not write %q", p.line, text)
	}
}

// awaitOutput waits until stdout matches, and returns the first group.
func (p *process) awaitOutput(pattern *regexp.Regexp) string {
	p.t.Helper()
	var found []string
	look := func() bool {
		found = pattern.FindStringSubmatch(p.stdout.text.String())
		return found != nil || p.ended
	}
	if !p.waitFor(patience, look) || found == nil {
		p.t.Fatalf("%s did not print %v", p.line, pattern)
	}
	return found[1]
}

// wait returns when the process has ended.
func (p *process) wait() result {
	p.t.Helper()
	if !p.waitFor(patience, func() bool { return p.ended }) {
		p.t.Fatalf("%s did not end within %v; what its goroutines did:\n%s", p.line, patience, p.goroutines())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return result{p, p.cmd.ProcessState.ExitCode(), p.stdout.text.String(), p.stderr.text.String(), slices.Clone(p.events)}
}
