package e2e

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"shoal/tests/netns"
	"shoal/tests/pcap"
	"shoal/tests/pcap/dialect"
	"shoal/tests/pcap/report"
	"shoal/wire/spec"
)

// underCapture is set in the environment where tests are run once more, in plaintext and captured. It names the file with
// the addresses of those whom the tests make break rules.
const underCapture = "SHOAL_E2E_UNDER_CAPTURE"

// notUnderCapture are the tests that are not run once more, and why.
var notUnderCapture = map[string]string{
	"TestUnderCapture":           "is this one",
	"TestSparse":                 "moves 6 GiB",
	"TestDebiansEtcd":            "is about what is between servers and etcd",
	"TestDebiansEtcdRestarts":    "is about what is between servers and etcd",
	"TestReadme":                 "has an island for all, and TLS",
	"TestOperations":             "has an island for all, and TLS",
	"TestSecrets":                "has an island for all, and captures TLS and plaintext itself",
	"TestNothingInClear":         "has an island for all, and captures TLS itself",
	"TestPlaintextAndTLS":        "needs TLS",
	"TestStress":                 "starts what speaks TLS",
	"TestCanary":                 "says nothing on the network",
	"TestExitCodes":              "says nothing on the network",
	"TestFigures":                "says nothing on the network",
	"TestNoCoreFile":             "says nothing on the network",
	"TestProfiles":               "says nothing on the network",
	"TestSecretsInTheWrongPlace": "says nothing on the network",
}

// notExpected are the kinds that no test says in plaintext, and why.
var notExpected = map[string]string{
	"REGISTER":      "is for TLS alone (rule A2)",
	"LOGIN":         "is for TLS alone (rule A2)",
	"PASSWORD":      "is for TLS alone (rule A2)",
	"INVITE":        "is for TLS alone (rule A2)",
	"PING":          "takes 30 seconds of silence",
	"CHOKE":         "takes more than 50 who fetch at a time",
	"UNCHOKE":       "takes more than 50 who fetch at a time",
	"KEPT_MANIFEST": "takes nginx, which need not be there",
}

// TestUnderCapture runs the other tests once more, in a network of their own and in plaintext, while all that is said is
// captured. No rule of the protocol is broken, but by those whom the tests make break one.
func TestUnderCapture(t *testing.T) {
	if os.Getenv(underCapture) != "" {
		t.Skip("this is what is captured")
	}
	if testing.Short() {
		t.Skip("runs all other tests")
	}
	binary, err := lean()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SHOAL_BIN", binary)
	if !netns.Isolate(t) {
		return
	}
	w := bareWorld(t)
	listening := startCapture(w, "all.pcapng", 256, func(f func()) { _ = fork(func() error { f(); return nil }) })
	exempted := w.path("exempt")
	runOthers(w, exempted)
	listening.stop()

	found, err := pcap.Analysis{}.File(listening.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d packets of %d bytes, %d conversations, %d gaps", found.Capture.Packets, found.Capture.Bytes, len(found.Conversations), len(found.Gaps))
	if found.Capture.Dropped > 0 || found.Capture.CutShort {
		t.Errorf("the capture does not have everything: %+v", found.Capture)
	}
	breakers := addresses(t, exempted)
	for _, v := range found.Violations {
		if !(v.Side == "responder" && breakers[v.Responder]) {
			t.Errorf("%v", v)
		}
	}
	complete(t, found)
}

// runOthers runs the other tests in a process of their own.
func runOthers(w *world, exempted string) {
	w.Helper()
	self, err := os.Executable()
	if err != nil {
		w.Fatal(err)
	}
	folder, err := os.Getwd()
	if err != nil {
		w.Fatal(err)
	}
	there, err := exec.Command(self, "-test.list=.").Output()
	if err != nil {
		w.Fatal(err)
	}
	var skipped []string
	for name, why := range notUnderCapture {
		if !slices.Contains(strings.Fields(string(there)), name) {
			w.Errorf("there is no %s any more, which %s", name, why)
		}
		skipped = append(skipped, name)
	}
	p := prepare(w.T, self, folder, append(os.Environ(), underCapture+"="+exempted), "-test.skip=^("+strings.Join(skipped, "|")+")$", "-test.v")
	p.watch(fork(p.cmd.Start))
	const most = 5 * time.Minute
	if !p.waitFor(most, func() bool { return p.ended }) {
		p.kill()
		w.Errorf("they did not end within %v", most)
	}
	// All of them are held to what they demand elsewhere, over TLS. Some of that takes a machine that is not too busy.
	const mayFail, mustPass = 2, 45
	r := p.wait()
	passed, failed := strings.Count(r.stdout, "\n--- PASS: "), strings.Count(r.stdout, "\n--- FAIL: ")
	if passed < mustPass || failed > mayFail || r.code != 0 && !strings.HasSuffix(r.stdout, "\nFAIL\n") {
		w.Errorf("%d passed, %d failed, they end with %d:\n%s", passed, failed, r.code, failures(r.stdout))
	} else if failed > 0 {
		w.Logf("%d of them failed:\n%s", failed, failures(r.stdout))
	}
}

// failures are the parts of what tests print that say what failed.
func failures(said string) string {
	var b strings.Builder
	lines := slices.Collect(strings.Lines(said))
	for i, line := range lines {
		if strings.Contains(line, "--- FAIL") || strings.Contains(line, "_test.go:") && !strings.Contains(line, "SKIP") {
			b.WriteString(strings.Join(lines[i:min(i+3, len(lines))], ""))
		}
	}
	return tail(b.String())
}

// complete fails the test unless the capture has what it should: conversations with servers and with peers, and messages
// of all kinds that are expected.
func complete(t *testing.T, found *report.Report) {
	t.Helper()
	services := map[string]int{}
	for _, c := range found.Conversations {
		services[c.Service]++
	}
	if services["server"] < 100 || services["peer"] < 50 {
		t.Errorf("there are conversations %v", services)
	}
	s, err := spec.Load(os.DirFS("../../wire"))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range s.Kinds {
		said := slices.ContainsFunc(found.Kinds, func(f *report.Kind) bool {
			return f.Dialect == dialect.Shoal && f.Name == k.Name && f.Requests+f.Events > 0
		})
		if notExpected[k.Name] == "" && !said {
			t.Errorf("nobody has said %s", k.Name)
		}
	}
}

// addresses reads those that exempt has noted.
func addresses(t *testing.T, path string) map[netip.AddrPort]bool {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := map[netip.AddrPort]bool{}
	for line := range bytes.Lines(text) {
		a, err := netip.ParseAddrPort(strings.TrimSpace(string(line)))
		if err != nil {
			t.Fatal(err)
		}
		all[a] = true
	}
	return all
}

// unlessCaptured is what a test wants --plaintext to be, unless it runs under capture: then all is plaintext.
func unlessCaptured(wanted string) string {
	if os.Getenv(underCapture) != "" {
		return "loopback"
	}
	return wanted
}

// exempt notes that whoever listens at an address breaks rules because the test wants that.
func exempt(t *testing.T, at net.Addr) {
	t.Helper()
	path := os.Getenv(underCapture)
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err == nil {
		_, err = fmt.Fprintln(f, at)
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}
