package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a pseudoterminal (pty(7)), with a shoal that was started on it.
type terminal struct {
	t      *testing.T
	shoal  *exec.Cmd
	person *os.File // what a person types into, and reads
	line   *os.File // the process' side

	mu    sync.Mutex // guards the rest
	shown bytes.Buffer
	read  int // bytes of it that were awaited
	news  chan struct{}
	ended bool
}

// onTerminal starts a command of a device, as does does, on a terminal of its own.
func (h *household) onTerminal(who string, args ...string) *terminal {
	h.t.Helper()
	t := openTerminal(h.t)
	t.shoal = exec.Command(os.Args[0], append(args, "--server", h.address, "--state", filepath.Join(h.dir, who))...)
	t.shoal.Env = append(os.Environ(), asShoal+"=1", "GORACE=atexit_sleep_ms=0")
	t.shoal.Stdin, t.shoal.Stdout, t.shoal.Stderr = t.line, t.line, t.line
	t.shoal.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := t.shoal.Start(); err != nil {
		h.t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = t.shoal.Wait() // the exit code says it
		t.mu.Lock()
		defer t.mu.Unlock()
		t.ended = true
		t.tell()
	}()
	h.t.Cleanup(func() {
		_ = t.shoal.Process.Kill()
		<-exited
	})
	return t
}

func openTerminal(t *testing.T) *terminal {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there are no pseudoterminals here: %v", err)
	}
	var number int
	// Fd would make reads block, and Close wait for them.
	control(t, person, func(fd int) error {
		if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
			return err
		}
		number, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
		return err
	})
	line, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, person: person, line: line, news: make(chan struct{})}
	var reading sync.WaitGroup
	reading.Go(term.watch)
	t.Cleanup(func() {
		person.Close()
		line.Close()
		reading.Wait()
	})
	return term
}

func control(t *testing.T, f *os.File, do func(fd int) error) {
	t.Helper()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = do(int(fd)) }); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
}

// watch takes in what the terminal shows.
func (t *terminal) watch() {
	buf := make([]byte, 4096)
	for {
		n, err := t.person.Read(buf)
		t.mu.Lock()
		t.shown.Write(buf[:n])
		t.tell()
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// tell wakes who waits for news. mu is held.
func (t *terminal) tell() {
	close(t.news)
	t.news = make(chan struct{})
}

// wait waits until something holds, which is called with mu held.
func (t *terminal) wait(what string, holds func() bool) {
	t.t.Helper()
	late := time.After(time.Minute)
	for {
		t.mu.Lock()
		ok, ended, news, shown := holds(), t.ended, t.news, t.shown.String()
		t.mu.Unlock()
		switch {
		case ok:
			return
		case ended:
			t.t.Fatalf("no %s before the end, %v; the terminal shows %q", what, t.shoal.ProcessState, shown)
		}
		select {
		case <-news:
		case <-late:
			t.t.Fatalf("no %s; the terminal shows %q", what, shown)
		}
	}
}

// asked waits until a text is shown behind what was awaited before; what is typed then must not be shown.
func (t *terminal) asked(prompt string) {
	t.t.Helper()
	t.wait(prompt, func() bool {
		at := strings.Index(t.shown.String()[t.read:], prompt)
		if at >= 0 {
			t.read += at + len(prompt)
		}
		return at >= 0
	})
	if t.echoes() {
		t.t.Errorf("at %q the terminal shows what is typed", prompt)
	}
}

// echoes reports whether the terminal shows what is typed.
func (t *terminal) echoes() (shows bool) {
	control(t.t, t.line, func(fd int) error {
		mode, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err == nil {
			shows = mode.Lflag&unix.ECHO != 0
		}
		return err
	})
	return shows
}

func (t *terminal) types(keys string) {
	t.t.Helper()
	if _, err := t.person.WriteString(keys); err != nil {
		t.t.Fatal(err)
	}
}

// ends waits for the end of the process, whose exit code must be as given, and returns all that was shown. The terminal
// must be as it was.
func (t *terminal) ends(code int) string {
	t.t.Helper()
	t.wait("end", func() bool { return t.ended })
	// What was shown before this is shown is all.
	const mark = "-- the end --"
	if _, err := t.line.WriteString(mark); err != nil {
		t.t.Fatal(err)
	}
	for whole := false; !whole; {
		t.mu.Lock()
		news := t.news
		whole = strings.Contains(t.shown.String(), mark)
		t.mu.Unlock()
		if !whole {
			<-news
		}
	}
	t.mu.Lock()
	shown := t.shown.String()
	t.mu.Unlock()
	if got := t.shoal.ProcessState.ExitCode(); got != code {
		t.t.Errorf("%v instead of %d; the terminal shows %q", t.shoal.ProcessState, code, shown)
	}
	if !t.echoes() {
		t.t.Error("the terminal does not show any more what is typed")
	}
	for _, secret := range []string{annsPassword, bobsPassword} {
		if strings.Contains(shown, secret) {
			t.t.Errorf("the terminal shows the password: %q", shown)
		}
	}
	return shown
}
