//go:build native && cgo

package native

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestChangedSourcesChangeTheProgram copies what the archive is made from, builds a program with it as the Makefile
// does, and changes a C file: what Go has cached must not be taken for the program then.
func TestChangedSourcesChangeTheProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program three times")
	}
	dir := t.TempDir()
	for _, name := range []string{"CMakeLists.txt", "go.mod", "go.sum"} {
		copyFile(t, filepath.Join("..", name), filepath.Join(dir, name))
	}
	for _, sub := range []string{".", "c", "c/test", "twin"} {
		files, err := os.ReadDir(sub)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			// The copy is to make its own hash of the archive.
			if !f.IsDir() && !strings.HasSuffix(f.Name(), "_test.go") && f.Name() != "archive_hash.go" {
				copyFile(t, filepath.Join(sub, f.Name()), filepath.Join(dir, "native", sub, f.Name()))
			}
		}
	}
	source := []byte("package main\n\nimport \"shoal/native\"\n\nfunc main() { println(native.Levels()[len(native.Levels())-2]) }\n")
	write(t, filepath.Join(dir, "program", "main.go"), source)
	command(t, dir, "cmake", "-S", ".", "-B", "build", "-DCMAKE_BUILD_TYPE=Debug", "-DBUILD_TESTING=OFF")

	build := func() (program []byte, says string) {
		command(t, dir, "cmake", "--build", "build", "--parallel")
		command(t, dir, "go", "build", "-tags", "native", "-o", "program/program", "./program")
		program, err := os.ReadFile(filepath.Join(dir, "program", "program"))
		if err != nil {
			t.Fatal(err)
		}
		return program, command(t, dir, "program/program")
	}
	first, says := build()
	if says != "portable" {
		t.Fatalf("the program's last level in C is %q", says)
	}
	if again, _ := build(); !bytes.Equal(again, first) {
		t.Error("building the same sources again gives another program, so that this test shows nothing")
	}
	path := filepath.Join(dir, "native", "c", "portable.c")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, append(text, "/* a remark */\n"...))
	if remarked, _ := build(); bytes.Equal(remarked, first) {
		t.Error("a C file with one more remark gives the same program")
	}
	write(t, path, bytes.Replace(text, []byte(`"portable"`), []byte(`"changed"`), 1))
	if _, says := build(); says != "changed" {
		t.Errorf("after its C file has changed the program says %q", says)
	}
}

// command runs a program in dir and returns what it says.
func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	if strings.Contains(name, "/") {
		cmd.Path = filepath.Join(dir, name)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	write(t, to, data)
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
