//go:build native && cgo

package native

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestNoAllocations(t *testing.T) {
	data := randomBytes(200_000)
	values := make([][Size]byte, 0, 64)
	for _, level := range Levels()[:len(Levels())-1] {
		e := mustAt(t, level)
		h := e.NewHasher()
		full := e.BlockValues(nil, data, 0, 4096)
		for name, call := range map[string]func(){
			"Sum":           func() { e.Sum(data) },
			"ChainingValue": func() { e.ChainingValue(data, 64) },
			"BlockValues":   func() { e.BlockValues(values, data, 0, 4096) },
			"Combine":       func() { e.Combine(full) },
			"Root":          func() { e.Root(full) },
			"Parent":        func() { Parent(full[0], full[1]) },
			"RootParent":    func() { RootParent(full[0], full[1]) },
			"Hasher": func() {
				h.Reset()
				_, _ = h.Write(data[:70_000])
				_, _ = h.Write(data[70_000:])
				h.Sum()
			},
		} {
			if n := testing.AllocsPerRun(20, call); n != 0 {
				t.Errorf("%s: %s allocates %v times a call", level, name, n)
			}
		}
	}
}

// TestBuildWithoutCgoAgrees builds this test program without cgo and lets it compute the same digest.
func TestBuildWithoutCgoAgrees(t *testing.T) {
	program := filepath.Join(t.TempDir(), "native.test")
	build := exec.Command("go", "test", "-c", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building without cgo: %v: %s", err, out)
	}
	run := exec.Command(program)
	run.Env = append(os.Environ(), printVariable+"=digest", levelVariable+"=")
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("running without cgo: %v: %s", err, out)
	}
	if got, want := strings.TrimSpace(string(out)), fmt.Sprintf("go %x", digest()); got != want {
		t.Errorf("without cgo the result is %q, want %q", got, want)
	}
}
