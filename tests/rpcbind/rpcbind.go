// Package rpcbind lets tests use Debian's rpcbind and rpcinfo, which scripts/setup.sh provides.
package rpcbind

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// Need skips the test where there is no rpcbind.
func Need(t *testing.T) {
	t.Helper()
	tool(t, "rpcbind")
	tool(t, "rpcinfo")
}

// tool finds a program in the usual folders, or where setup.sh unpacks it, and skips the test where it is in none.
func tool(t *testing.T, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	_, here, _, _ := runtime.Caller(0)
	unpacked := filepath.Join(filepath.Dir(here), "../../build/tools")
	for _, dir := range []string{"/usr/sbin", "/sbin", unpacked + "/sbin", unpacked + "/usr/bin", unpacked + "/usr/sbin"} {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	t.Skipf("there is no %s: bash scripts/setup.sh test provides it", name)
	return ""
}

// Start starts a rpcbind, which ends with the test, or by stop. It belongs in a network namespace with a /run of its own.
func Start(t *testing.T) (stop func()) {
	t.Helper()
	cmd := exec.Command(tool(t, "rpcbind"), "-f")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() {
		_ = cmd.Process.Kill() // it may have been killed already
		_ = cmd.Wait()
	}
	t.Cleanup(stop)
	for _, listens := range [][2]string{{"unix", "/run/rpcbind.sock"}, {"tcp", "127.0.0.1:111"}} {
		await(t, listens[0], listens[1])
	}
	return stop
}

func await(t *testing.T, network, address string) {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		c, err := net.Dial(network, address)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(until) {
			t.Fatalf("rpcbind does not begin: %v", err)
		}
	}
}

// Info runs rpcinfo, which calls by libtirpc, and returns what it says.
func Info(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), tool(t, "rpcinfo"), args...).CombinedOutput()
	return string(out), err
}
