package native

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"lukechampine.com/blake3"
)

// b3sum returns the hashes of all parts, computed by the program b3sum in one process; without that program, by
// lukechampine.com/blake3.
func b3sum(t *testing.T, parts [][]byte) [][Size]byte {
	t.Helper()
	sums := make([][Size]byte, len(parts))
	program, err := exec.LookPath("b3sum")
	if err != nil {
		t.Log("b3sum is not installed; comparing with lukechampine.com/blake3 only")
		for i, p := range parts {
			sums[i] = blake3.Sum256(p)
		}
		return sums
	}
	dir := memoryDir(t)
	var names []string
	for i, p := range parts {
		names = append(names, filepath.Join(dir, strconv.Itoa(i)))
		if err := os.WriteFile(names[i], p, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var stderr bytes.Buffer
	cmd := exec.Command(program, append([]string{"--no-names"}, names...)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("running b3sum: %v: %s", err, stderr.String())
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for i := range sums {
		if !lines.Scan() {
			t.Fatalf("b3sum printed %d hashes for %d files", i, len(parts))
		}
		if n, err := hex.Decode(sums[i][:], lines.Bytes()); n != Size || err != nil {
			t.Fatalf("b3sum printed %q", lines.Text())
		}
	}
	for _, name := range names {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	return sums
}

// memoryDir returns a temporary folder, in memory where the system has such a place: thousands of files are made.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "native-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}
