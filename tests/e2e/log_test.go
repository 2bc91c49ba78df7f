package e2e

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"shoal/identity"
)

// logged is an entry as shoal log --json prints it.
type logged struct {
	Level     string
	Device    string
	Message   string
	User      string
	Operation string `json:"op"`
	Object    string
	Outcome   string
	Remote    string
	Duration  float64
	Fields    map[string]any
}

// log runs shoal log as a device until one of the entries that it shows is as wanted.
func (w *world) log(state string, wanted func(logged) bool, flags ...string) logged {
	w.Helper()
	for begin := time.Now(); time.Since(begin) < patience; {
		said := w.shoal(state, append([]string{"log", "--json"}, flags...)...).ok().stdout
		for line := range strings.Lines(said) {
			var e logged
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				w.Fatalf("%s: %v", line, err)
			}
			if wanted(e) {
				return e
			}
		}
	}
	w.Fatalf("no such entry")
	return logged{}
}

// device makes the key of a device that has not been used yet, and returns its name.
func (w *world) device(state string) string {
	w.Helper()
	if err := os.MkdirAll(w.path("state", state), 0o700); err != nil {
		w.Fatal(err)
	}
	key, err := identity.LoadKey(w.path("state", state, "device.key"))
	if err != nil {
		w.Fatal(err)
	}
	return key.Device().String()
}

// TestAudit finds in the log what was done and refused: by the socket, and through the server for the device that may.
func TestAudit(t *testing.T) {
	t.Parallel()
	w := bareWorld(t)
	_, soap := w.enricher("127.0.0.1:0")
	service := w.start("rpclog", "rpclog", "--listen", "127.0.0.1:0", "--json").await("listening", nil)
	reader := w.device("reader")
	w.startServer("127.0.0.1:0", "--soap", soap.URL, "--rpclog", service.Address, "--rpclog-key", service.Key,
		"--log-socket", service.Socket, "--log-reader", reader)
	p := w.peer("peer")
	published := p.publishCopy("a b.txt", []byte("hello\n"))
	taken := w.path("a b.txt")
	write(t, taken, []byte("something else\n"))
	w.shoal("other", "publish", taken).exit(7)

	publication := func(outcome string) func(logged) bool {
		return func(e logged) bool { return e.Operation == "publish" && e.Outcome == outcome }
	}
	// The reader connects to the server first: that is in the log, too.
	for _, flags := range [][]string{{"--server", w.address}, nil, {"--socket", service.Socket}} {
		via := strings.Join(flags, " ")
		e := w.log("reader", publication("ok"), flags...)
		if e.User != p.device || e.Object != "public/a b.txt" || !strings.HasPrefix(e.Remote, "127.0.0.1:") || e.Duration <= 0 || e.Level != "info" {
			t.Errorf("by %q: %+v", via, e)
		}
		if e.Fields["file"] != published.File || e.Fields["size"] != 6.0 || e.Fields["stamp"] == nil || e.Fields["zone"] == nil || e.Fields["clock"] != nil {
			t.Errorf("by %q: the fields are %v", via, e.Fields)
		}
		e = w.log("reader", publication("name-taken"), append(flags, "--level", "warn")...)
		if e.User != w.device("other") || e.Level != "warn" || !strings.Contains(e.Fields["reason"].(string), published.File) {
			t.Errorf("by %q: %+v", via, e)
		}
		w.log("reader", func(e logged) bool { return e.Operation == "connect" && e.User == reader }, append(flags, "--user", reader)...)
	}
	if said := w.shoal("reader", "log", "--server", w.address, "--op", "publish", "-n", "1").ok().stdout; strings.Count(said, "\n") != 1 || !strings.Contains(said, "name-taken") {
		t.Errorf("the last one is\n%s", said)
	}
	w.shoal("reader", "log", "--server", w.address, "--grep", "(").exit(2)

	// Others may not, and that is written down.
	w.shoal("other", "log", "--server", w.address).exit(5, "may not read the log")
	denied := func(e logged) bool { return e.Operation == "log" && e.Outcome == "denied" }
	if e := w.log("reader", denied); e.User != w.device("other") {
		t.Errorf("denied: %+v", e)
	}
}

// TestNoLog asks a server that has no log to show: the answer is that of one that does not show it.
func TestNoLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.shoal("other", "log", "--server", w.address).exit(5, "may not read the log")
	w.shoal("server2", "server", "--listen", "127.0.0.1:0", "--log-reader", w.device("other")).exit(2, "--log-socket")
	w.shoal("server2", "server", "--listen", "127.0.0.1:0", "--log-socket", "log.sock").exit(2, "--log-reader")
	w.shoal("server2", "server", "--listen", "127.0.0.1:0", "--log-reader", "nonsense").exit(2, "--log-reader")
	w.server.kill()
	w.restartServer("--log-socket", w.path("nothing.sock"), "--log-reader", w.device("other"))
	w.shoal("other", "log", "--server", w.address).exit(8, "did not answer")
}
