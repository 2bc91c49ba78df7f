package netns

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// asked makes this program a small sender or receiver on a host, for the tests.
const asked = "SHOAL_TEST_NETNS_ROLE"

const (
	sends     = "send %d"    // so many bytes
	receives  = "receive %s" // from there
	toldTimes = "connected after %d, then took %d"
	listening = ":9"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(asked); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// play does what a role says.
func play(role string) error {
	var n int64
	if _, err := fmt.Sscanf(role, sends, &n); err == nil {
		return playSender(n)
	}
	var from string
	if _, err := fmt.Sscanf(role, receives, &from); err != nil {
		return err
	}
	start := time.Now()
	c, err := net.Dial("tcp", from+listening)
	if err != nil {
		return err
	}
	defer c.Close()
	connected := time.Since(start)
	if _, err := io.Copy(io.Discard, c); err != nil {
		return err
	}
	fmt.Printf(toldTimes, connected, time.Since(start)-connected)
	return nil
}

// playSender sends n bytes to the first that connects.
func playSender(n int64) error {
	l, err := net.Listen("tcp", listening)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	c, err := l.Accept()
	if err != nil {
		return err
	}
	if _, err := io.CopyN(c, zeros{}, n); err != nil {
		return err
	}
	return c.Close()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// role is a process on h that plays a role.
func role(t *testing.T, h *Host, format string, arg any) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	line := h.Command(self)
	cmd := exec.CommandContext(t.Context(), line[0], line[1:]...)
	cmd.Env = append(os.Environ(), asked+"="+fmt.Sprintf(format, arg))
	cmd.Stderr = os.Stderr
	return cmd
}

// send starts a process on h that sends bytes to whoever connects.
func send(t *testing.T, h *Host, bytes int64) {
	t.Helper()
	cmd := role(t, h, sends, bytes)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
		t.Fatalf("a process on %s: %v", h.name, err)
	}
}

// receive takes all that a host sends, in this process.
func receive(t *testing.T, h *Host, bytes int64) time.Duration {
	t.Helper()
	start := time.Now()
	c, err := net.DialTimeout("tcp", h.Addr.String()+listening, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n, err := io.Copy(io.Discard, c); err != nil || n != bytes {
		t.Fatalf("%d of %d bytes came: %v", n, bytes, err)
	}
	return time.Since(start)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A link carries what Goodput says, and Sent counts it.
func TestLinkHasItsRate(t *testing.T) {
	if !Isolate(t) {
		return
	}
	lan, err := NewLAN(t.Context())
	must(t, err)
	t.Cleanup(func() { must(t, lan.Close()) })
	h, err := lan.Add(t.Context(), Link{Up: 40 * Megabit})
	must(t, err)
	const size = 4 << 20
	send(t, h, size)
	took := receive(t, h, size)
	want := time.Duration(size / (40 * Megabit).Goodput() * float64(time.Second))
	if took < want*95/100 || took > want*125/100 {
		t.Errorf("%v for what should take %v", took, want)
	}
	sent, err := h.Sent(t.Context())
	must(t, err)
	if sent < size || sent > size*102/100 {
		t.Errorf("%d bytes are counted of %d", sent, size)
	}
}

func TestVanishAndKill(t *testing.T) {
	if !Isolate(t) {
		return
	}
	lan, err := NewLAN(t.Context())
	must(t, err)
	t.Cleanup(func() { must(t, lan.Close()) })
	silent, err := lan.Add(t.Context(), Link{})
	must(t, err)
	killed, err := lan.Add(t.Context(), Link{})
	must(t, err)
	for _, h := range []*Host{silent, killed} {
		send(t, h, 1<<40)
	}
	dial := func(h *Host) net.Conn {
		c, err := net.Dial("tcp", h.Addr.String()+listening)
		must(t, err)
		t.Cleanup(func() { _ = c.Close() })
		_, err = io.ReadFull(c, make([]byte, 1<<20))
		must(t, err)
		return c
	}
	a, b := dial(silent), dial(killed)
	must(t, silent.Vanish(t.Context()))
	must(t, killed.Kill(t.Context()))
	// What had come by then may still be read, and then nothing.
	must(t, a.SetReadDeadline(time.Now().Add(200*time.Millisecond)))
	if _, err := io.Copy(io.Discard, a); !os.IsTimeout(err) {
		t.Errorf("from a host that vanished: %v, want silence", err)
	}
	must(t, a.SetReadDeadline(time.Now().Add(200*time.Millisecond)))
	if n, err := io.Copy(io.Discard, a); n > 0 || !os.IsTimeout(err) {
		t.Errorf("%d bytes more from a host that vanished, %v", n, err)
	}
	must(t, b.SetReadDeadline(time.Now().Add(5*time.Second)))
	if _, err := io.Copy(io.Discard, b); os.IsTimeout(err) {
		t.Error("a connection to a process that was killed goes on")
	}
}
