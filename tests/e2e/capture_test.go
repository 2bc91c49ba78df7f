package e2e

import (
	"bytes"
	"encoding/hex"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// capture is all that crosses loopback in one network while it runs.
type capture struct {
	t    *testing.T
	path string
	tool *process
	in   func(func()) // runs something in that network
}

// capture captures on the island.
func (i *island) capture(name string) *capture {
	i.w.Helper()
	return startCapture(i.w, name, 2, i.run)
}

// startCapture returns when every further packet will be in it, if the kernel's buffer of so many MiB is enough.
func startCapture(w *world, name string, buffer int, in func(func())) *capture {
	w.Helper()
	if _, err := exec.LookPath("dumpcap"); err != nil {
		w.Skipf("there is no dumpcap, of Debian's package tshark: %v", err)
	}
	c := &capture{t: w.T, path: w.path(name), in: in}
	c.tool = prepare(w.T, "dumpcap", w.dir, os.Environ(), "-q", "-B", strconv.Itoa(buffer), "-i", "lo", "-w", c.path)
	var err error
	in(func() { err = c.tool.cmd.Start() })
	c.tool.watch(err)
	c.tool.awaitError("File: ")
	return c
}

// stop ends the capture, when all that was sent is in it.
func (c *capture) stop() {
	c.t.Helper()
	mark := []byte("the end of what is captured")
	var to net.PacketConn
	var err error
	c.in(func() { to, err = net.ListenPacket("udp", "127.0.0.1:0") })
	if err != nil {
		c.t.Fatal(err)
	}
	defer to.Close()
	if _, err := to.WriteTo(mark, to.LocalAddr()); err != nil {
		c.t.Fatal(err)
	}
	eventually(c.t, func() error {
		said, err := lastOf(c.path, 1<<20)
		if err == nil && !bytes.Contains(said, mark) {
			err = os.ErrNotExist
		}
		return err
	})
	c.tool.signal(syscall.SIGINT)
	c.tool.wait().ok()
}

// lastOf is the last n bytes of a file, or all of it.
func lastOf(path string, n int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-n), n))
}

// read returns what was said in a capture that has ended: the packets as they were, and then each direction of each
// conversation, put together again.
func (c *capture) read() (packets []byte, conversations map[string][]byte) {
	t := c.t
	t.Helper()
	packets, err := os.ReadFile(c.path)
	if err != nil {
		t.Fatal(err)
	}
	said, err := exec.Command("tshark", "-r", c.path, "-T", "fields", "-e", "tcp.stream", "-e", "tcp.srcport", "-e", "tcp.payload", "-e", "udp.payload").Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	conversations = make(map[string][]byte)
	for line := range strings.Lines(string(said)) {
		fields := strings.Split(strings.TrimRight(line, "\n"), "\t")
		for _, payload := range fields[2:] {
			b, err := hex.DecodeString(strings.ReplaceAll(payload, ":", ""))
			if err != nil {
				t.Fatalf("tshark says %q: %v", line, err)
			}
			between := "conversation " + fields[0] + " from port " + fields[1]
			conversations[between] = append(conversations[between], b...)
		}
	}
	return packets, conversations
}
