package e2e

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"shoal/ownsocket"
)

// TestProfiles asks each daemon where its time and memory go, by the socket in its state folder, which is its owner's alone
// and gone when the daemon has ended.
func TestProfiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	daemons := map[string]*process{"server": w.server, "peer": w.peer("peer").process}
	for _, service := range []string{"rpclog", "soap"} {
		daemons[service] = w.start(service, service, "--json", "--listen", "127.0.0.1:0")
		daemons[service].await("listening", nil)
	}
	for name, p := range daemons {
		state := w.path("state", name)
		for path, want := range map[string]string{
			"goroutine?debug=1": "goroutine profile: total", "heap?debug=1": "# HeapInuse =", "mutex?debug=1": "sampling period=100\n",
		} {
			if got := profile(t, state, path); !strings.Contains(got, want) {
				t.Errorf("%s: %s has no %q:\n%s", name, path, want, tail(got))
			}
		}
		if got := profile(t, state, "profile?seconds=1"); !strings.HasPrefix(got, "\x1f\x8b") { // gzip (RFC 1952)
			t.Errorf("%s: a profile of its CPU time begins with %.20q", name, got)
		}
		socket := filepath.Join(state, "pprof.sock")
		if info, err := os.Stat(socket); err != nil || info.Mode() != os.ModeSocket|0o600 {
			t.Errorf("%s: the socket is %v, %v", name, info, err)
		}
		p.signal(syscall.SIGTERM)
		p.wait()
		absent(t, socket)
	}
}

// profile is what a daemon says at a path below /debug/pprof/.
func profile(t *testing.T, state, path string) string {
	t.Helper()
	dialer, err := ownsocket.NewDialer(state, "pprof.sock")
	if err != nil {
		t.Fatal(err)
	}
	defer dialer.Close()
	transport := &http.Transport{DialContext: dialer.Dial}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://daemon/debug/pprof/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, response.Status, err)
	}
	return string(text)
}
