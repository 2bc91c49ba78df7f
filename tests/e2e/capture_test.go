package e2e

import (
	"bytes"
	"encoding/hex"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// capture is all that crosses an island's network while it runs.
type capture struct {
	i    *island
	path string
	tool *process
}

// capture returns when every further packet will be in it.
func (i *island) capture(name string) *capture {
	i.w.Helper()
	if _, err := exec.LookPath("dumpcap"); err != nil {
		i.w.Skipf("there is no dumpcap, of Debian's package tshark: %v", err)
	}
	c := &capture{i: i, path: i.w.path(name)}
	c.tool = i.launch("dumpcap", os.Environ(), "-q", "-i", "lo", "-w", c.path)
	c.tool.awaitError("File: ")
	return c
}

// stop ends the capture and returns what was said: the packets as they were, and then each direction of each
// conversation, put together again.
func (c *capture) stop() (packets []byte, conversations map[string][]byte) {
	t := c.i.w.T
	t.Helper()
	mark := []byte("the end of what is captured")
	var to net.PacketConn
	var err error
	c.i.run(func() { to, err = net.ListenPacket("udp", "127.0.0.1:0") })
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	if _, err := to.WriteTo(mark, to.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if packets, err = os.ReadFile(c.path); err == nil && !bytes.Contains(packets, mark) {
			err = os.ErrNotExist
		}
		return err
	})
	c.tool.signal(syscall.SIGINT)
	c.tool.wait().ok()

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
