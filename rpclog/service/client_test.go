package service

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"shoal/rpclog"
)

// buildClient makes the C client by rpcgen from log.x, as it stands.
func buildClient(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, path := range []string{"../log.x", "testdata/client.c"} {
		text, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(path)), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range [][]string{
		{"rpcgen", "-h", "-o", "log.h", "log.x"},
		{"rpcgen", "-c", "-o", "log_xdr.c", "log.x"},
		{"rpcgen", "-l", "-o", "log_clnt.c", "log.x"},
		{"gcc", "-O1", "-I/usr/include/tirpc", "-o", "client", "client.c", "log_xdr.c", "log_clnt.c", "-ltirpc"},
	} {
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v (scripts/setup.sh test installs what it takes)\n%s", command, err, out)
		}
	}
	return filepath.Join(dir, "client")
}

// output is what a program prints.
func output(t *testing.T, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%s %q: %v\n%s%s", program, args, err, out, said.Bytes())
	}
	return strings.TrimSpace(string(out))
}

// TestC calls the service with a client that rpcgen has made, over both transports.
func TestC(t *testing.T) {
	client := buildClient(t)
	for _, network := range []string{"tcp", "udp"} {
		t.Run(network, func(t *testing.T) {
			s := start(t, Config{})
			host, port, err := net.SplitHostPort(s.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			call := func(what, want string) {
				t.Helper()
				if got := output(t, client, network, host, port, what); got != want {
					t.Errorf("%s: %q, want %q", what, got, want)
				}
			}
			call("null", "success")
			call("append", "verified 0 stored 2 duplicates 0 mark 2")
			call("append", "verified 0 stored 0 duplicates 2 mark 2")
			call("append:"+strings.Repeat("00", 32), "verified 0 stored 0 duplicates 2 mark 2")
			mac := independentMAC(t, s, output(t, client, "encode"))
			call("append:"+mac, "verified 1 stored 2 duplicates 0 mark 2")
			call("append:"+mac, "verified 1 stored 0 duplicates 2 mark 2")
			call("stats", "stored 2 duplicates 2 lost 7 missing 0 unverified 2 refused 0")
			call("garbage", "RPC: Server can't decode arguments")
			call("procedure", "RPC: Procedure unavailable")
			call("version", "RPC: Program/version mismatch")
			call("program", "RPC: Program unavailable")
			call("stats", "stored 2 duplicates 2 lost 7 missing 0 unverified 2 refused 4")
			for _, unverified := range []bool{false, true} {
				checkC(t, s.read(rpclog.Query{Unverified: unverified}))
			}
		})
	}
}

// independentMAC computes a batch's MAC as log.x says, by Python.
func independentMAC(t *testing.T, s *running, batch string) string {
	t.Helper()
	key, err := os.ReadFile(s.KeyFile())
	if err != nil {
		t.Fatal(err)
	}
	const script = "import hmac, sys; h = bytes.fromhex; print(hmac.new(h(sys.argv[1]), b'shoal-log/1 mac' + h(sys.argv[2]), 'sha256').hexdigest())"
	return output(t, "python3", "-c", script, strings.TrimSpace(string(key)), batch)
}

// checkC compares what is stored with what the client sent.
func checkC(t *testing.T, lines []string) {
	t.Helper()
	const sender = `"level":"warn","device":"aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq","process":18446744073709551615,"seq":%d,`
	const rest = `"user":"carol","op":"publish","object":"public/film.mkv","outcome":"ok","remote":"192.0.2.5:1234","duration":2.5,`
	const from = `"from":{"address":"127.0.0.1:`
	want := []string{
		fmt.Sprintf(`{"time":"2026-11-21T10:00:00.000000000Z",`+sender+`"message":"a \"first\" one",`, 1) + rest + from,
		fmt.Sprintf(`{"time":"2026-11-21T10:00:00.000000001Z",`+sender+`"lost":7,"message":"second",`, 2) + rest + `"fields":{"size":42,"words":"not JSON"},` + from,
	}
	if len(lines) != len(want) {
		t.Fatalf("stored: %q", lines)
	}
	for i, line := range lines {
		const claim = `","auth_sys":{"machine":"a-machine","uid":1234,"gid":567}}}`
		if !strings.HasPrefix(line, want[i]) || !strings.HasSuffix(line, claim) {
			t.Errorf("stored:\n%s\nwant\n%s…%s", line, want[i], claim)
		}
	}
}
