package service

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"shoal/rpclog"
	"shoal/tests/netns"
	"shoal/tests/rpcbind"
)

// The service is found through rpcbind while it runs, over TCP and UDP, and not afterwards.
func TestRegistered(t *testing.T) {
	rpcbind.Need(t)
	if !netns.Isolate(t) {
		return
	}
	rpcbind.Start(t)
	s := start(t, Config{Register: true})
	_, port, err := net.SplitHostPort(s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	program := strconv.Itoa(rpclog.Program)
	listed := func() (protocols []string) {
		out, err := rpcbind.Info(t, "-p", "127.0.0.1")
		if err != nil {
			t.Fatal(err, out)
		}
		for line := range strings.Lines(out) {
			if f := strings.Fields(line); len(f) > 3 && f[0] == program && f[1] == "1" && f[3] == port {
				protocols = append(protocols, f[2])
			}
		}
		return protocols
	}
	for until := time.Now().Add(10 * time.Second); len(listed()) < 2; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("rpcbind lists it for %v", listed())
		}
	}
	for _, flag := range []string{"-t", "-u"} {
		out, err := rpcbind.Info(t, flag, "127.0.0.1", program, "1")
		if want := fmt.Sprintf("program %s version 1 ready and waiting", program); err != nil || !strings.Contains(out, want) {
			t.Errorf("rpcinfo %s: %v, %s", flag, err, out)
		}
	}
	s.stop()
	if left := listed(); len(left) > 0 {
		t.Errorf("rpcbind still lists it for %v", left)
	}
}
