package oncrpc

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"shoal/tests/rpcbind"
)

// universal returns a port as rpcinfo takes addresses (RFC 5665 section 5.2.3.3).
func universal(t *testing.T, address string) string {
	t.Helper()
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s.%d.%d", host, port>>8, port&0xFF)
}

func TestRpcinfo(t *testing.T) {
	tcp, udp := serve(t, testServer())
	for transport, address := range map[string]string{"tcp": tcp, "udp": udp} {
		at := universal(t, address)
		program := strconv.Itoa(testProgram)
		check := func(ok bool, want string, args ...string) {
			t.Helper()
			out, err := rpcbind.Info(t, args...)
			if (err == nil) != ok || !strings.Contains(out, want) {
				t.Errorf("rpcinfo %s: %v, %s instead of %q", strings.Join(args, " "), err, out, want)
			}
		}
		ready := func(v int) string { return fmt.Sprintf("program %s version %d ready and waiting", program, v) }
		check(true, ready(2), "-a", at, "-T", transport, program, "2")
		// It asks for version 0 first, and then for all that it is told of.
		check(true, ready(2)+"\n"+ready(3)+"\n", "-a", at, "-T", transport, program)
		check(false, "low version = 2, high version = 3", "-a", at, "-T", transport, program, "9")
		check(false, "Program unavailable", "-a", at, "-T", transport, strconv.Itoa(testProgram+1), "2")
	}
}
