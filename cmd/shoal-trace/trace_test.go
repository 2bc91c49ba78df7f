package main

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/gopacket/layers"

	"shoal/tests/netns"
	"shoal/tests/pcap/packettest"
	"shoal/wire"
)

// asTrace makes this test program be shoal-trace.
const asTrace = "SHOAL_TEST_AS_TRACE"

func TestMain(m *testing.M) {
	if os.Getenv(asTrace) != "" {
		main()
	}
	os.Exit(m.Run())
}

func runTrace(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asTrace+"=1", "GORACE=atexit_sleep_ms=0")
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), said.String(), cmd.ProcessState.ExitCode()
}

const sample = "../../tests/pcap/testdata/plaintext.pcapng.gz"

// A clean capture is told of in full, and ends with 0.
func TestClean(t *testing.T) {
	out, said, code := runTrace(t, sample)
	for _, want := range []string{"conversations\n", "kinds, ", "\nshoal  HELLO ", "devices\n", "objects\n", "\nget of ", "no rule was broken\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if code != 0 || said != "" {
		t.Errorf("exit code %d, %q", code, said)
	}
	out, _, code = runTrace(t, "--json", sample, sample)
	for line := range strings.Lines(out) {
		var report struct {
			From          string
			Conversations []json.RawMessage
			Violations    []json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &report); err != nil || report.From != sample || len(report.Conversations) < 10 {
			t.Errorf("%v: %s", err, line)
		}
	}
	if code != 0 || strings.Count(out, "\n") != 2 {
		t.Errorf("exit code %d, %d lines", code, strings.Count(out, "\n"))
	}
}

// A rule that is broken is told of with its number, where it was, and nothing that a terminal obeys, and is 1.
func TestViolation(t *testing.T) {
	from, to := netip.MustParseAddrPort("192.0.2.1:40000"), netip.MustParseAddrPort("192.0.2.2:7400")
	c := packettest.New(t, layers.LinkTypeRaw)
	c.TCP(packettest.Segment{From: from, To: to, Seq: 0, Flags: "S"})
	c.TCP(packettest.Segment{From: to, To: from, Seq: 0, Ack: 1, Flags: "SA"})
	c.TCP(packettest.Segment{From: from, To: to, Seq: 1, Ack: 1, Flags: "A", Payload: wire.AppendRequest(nil, wire.KindHello, 1, &wire.Hello{
		Version: wire.Version, Wanted: wire.ServiceServer, Secured: wire.Plaintext, Software: "\x1b[2J",
	})})
	c.TCP(packettest.Segment{From: to, To: from, Seq: 1, Ack: 97, Flags: "A", Payload: wire.AppendReply(nil, wire.KindPing, 9, &wire.Empty{})})
	name := filepath.Join(t.TempDir(), "broken.pcap")
	if err := os.WriteFile(name, c.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	out, said, code := runTrace(t, name)
	if code != 1 || said != "" || !strings.Contains(out, "F5  03:04:05.004000  packet 4, conversation 1, responder of") || strings.ContainsRune(out, '\x1b') {
		t.Errorf("exit code %d, %q, %s", code, said, out)
	}
	if out, _, code = runTrace(t, "--json", sample, name); code != 1 || !strings.Contains(out, `"rule":"F5"`) {
		t.Errorf("after a clean one: exit code %d, %s", code, out)
	}
}

// What cannot be read is 2, in one line on stderr, whatever it is called.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "\x1b[2Jgarbage")
	if err := os.WriteFile(garbage, []byte("this is no capture, and never will be one"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{},
		{"nowhere"},
		{dir},
		{garbage},
		{"-i", "nowhere"},
		{"-i", "lo", sample},
		{"-w", "new", sample},
		{"--for", "1s", sample},
		{"--for", "-1s", "-i", "lo"},
		{"--for", "x", "-i", "lo"},
		{"--frobnicate"},
		{"-i", "\x1b[2J"},
		{"--\x1b[2J"},
		{""},
		{"-i", "lo", "-w", garbage},
	} {
		out, said, code := runTrace(t, args...)
		if code != 2 || out != "" || strings.Count(said, "\n") > 2 || !strings.HasPrefix(said, "shoal-trace: ") || strings.ContainsRune(said, '\x1b') {
			t.Errorf("%q: exit code %d, %q, %q", args, code, out, said)
		}
	}
}

// What is captured for a time is shown and written.
func TestCapture(t *testing.T) {
	if !netns.Isolate(t) {
		return
	}
	name := filepath.Join(t.TempDir(), "live.pcapng")
	out, said, code := runTrace(t, "-i", "lo", "--for", "50ms", "--write", name)
	if code != 0 || !strings.Contains(out, "no rule was broken") || !strings.Contains(said, "capturing from lo") {
		t.Errorf("exit code %d, %q, %q", code, out, said)
	}
	if out, said, code := runTrace(t, name); code != 0 || !strings.HasPrefix(out, "0 packets") {
		t.Errorf("what was written: exit code %d, %q, %q", code, out, said)
	}
}
