package pcap

import (
	"bufio"
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// capture is what crosses loopback while it runs.
type capture struct {
	*testing.T
	path string
	cmd  *exec.Cmd
}

// startCapture returns when every further packet will be in it.
func startCapture(t *testing.T) *capture {
	t.Helper()
	c := &capture{T: t, path: filepath.Join(t.TempDir(), "capture.pcapng")}
	c.cmd = exec.Command("dumpcap", "-q", "-i", "lo", "-w", c.path)
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said, err := c.cmd.StderrPipe()
	if err == nil {
		err = c.cmd.Start()
	}
	if err != nil {
		t.Fatalf("starting dumpcap, of Debian's package tshark: %v", err)
	}
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "File: ") {
			return c
		}
	}
	t.Fatalf("dumpcap does not begin: %v", c.cmd.Wait())
	return nil
}

// stop ends the capture. Everything that was sent before is in it.
func (c *capture) stop() {
	c.Helper()
	c.awaitMark()
	_ = c.cmd.Process.Signal(syscall.SIGINT) // it cannot have ended: nobody else ends it
	if err := c.cmd.Wait(); err != nil {
		c.Fatalf("dumpcap: %v", err)
	}
}

// awaitMark sends a last packet and waits until that has been written.
func (c *capture) awaitMark() {
	mark := []byte("the end of what is captured")
	to, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		c.Fatal(err)
	}
	defer to.Close()
	if _, err := to.WriteTo(mark, to.LocalAddr()); err != nil {
		c.Fatal(err)
	}
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		captured, err := os.ReadFile(c.path)
		if err == nil && bytes.Contains(captured, mark) {
			return
		}
		if time.Now().After(until) {
			c.Fatalf("what was sent is not in the capture (%v)", err)
		}
	}
}

// decoded is what tshark makes of one packet: all values of each field that was asked for.
type decoded map[string][]string

// decode is what tshark makes of all packets.
func (c *capture) decode(fields ...string) (packets []decoded) {
	c.Helper()
	args := append(c.nothingBut("frame", "eth", "ip", "tcp", "udp", "rpc", "http", "xml"),
		"-r", c.path, "-o", "rpc.dissect_unknown_programs:TRUE", "-T", "fields")
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	cmd := exec.Command("tshark", args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		c.Fatalf("tshark: %v\n%s", err, &said)
	}
	for line := range strings.Lines(string(out)) {
		p := decoded{}
		for i, values := range strings.Split(strings.TrimSuffix(line, "\n"), "\t") {
			if values != "" {
				p[fields[i]] = strings.Split(values, ",")
			}
		}
		packets = append(packets, p)
	}
	return packets
}

// nothingBut are tshark's arguments by which it knows these protocols alone. It knows thousands, and would take a port that the kernel
// chose for one of another protocol, or bytes for what they happen to look like.
func (c *capture) nothingBut(protocols ...string) (args []string) {
	c.Helper()
	all, err := exec.Command("tshark", "-G", "protocols").Output()
	if err != nil {
		c.Fatalf("tshark: %v", err)
	}
	for line := range strings.Lines(string(all)) {
		if names := strings.Split(strings.TrimSpace(line), "\t"); len(names) > 2 && !slices.Contains(protocols, names[2]) {
			args = append(args, "--disable-protocol", names[2])
		}
	}
	return args
}

// column is the values that a field has in packets that have all of the values given, each value once, sorted.
func column(packets []decoded, field string, with ...string) []string {
	var values []string
	for _, p := range packets {
		if p.has(with...) {
			values = append(values, p[field]...)
		}
	}
	slices.Sort(values)
	return slices.Compact(values)
}

// has reports whether the packet has every value of those given as field, value, field, value.
func (p decoded) has(with ...string) bool {
	for ; len(with) > 0; with = with[2:] {
		if !slices.Contains(p[with[0]], with[1]) {
			return false
		}
	}
	return true
}
