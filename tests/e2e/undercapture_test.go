package e2e

import (
	"fmt"
	"net"
	"os"
	"testing"
)

// underCapture is set in the environment where tests are run once more, in plaintext and captured. It names the file with the
// addresses of those whom the tests make break rules.
const underCapture = "SHOAL_E2E_UNDER_CAPTURE"

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
