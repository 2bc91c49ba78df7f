package main

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// sumNames are the names of the files to hash, which all lie in one folder. "nope" is not there.
var sumNames = []string{"empty", "small", `back\slash`, "line\nfeed", "return\r", "  spaces", "-dash", "large", "odd"}

// sumFolder makes a folder with the files of sumNames, and a folder "folder".
func sumFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	rng := rand.NewChaCha8([32]byte{3})
	for i, size := range []int{0, 10, 1000, 1025, 70_000, manyCores - 1, manyCores, 5 << 20, 3<<20 + 77} {
		data := make([]byte, size)
		_, _ = rng.Read(data)
		if err := os.WriteFile(filepath.Join(dir, sumNames[i]), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// runB3sum runs the program that sum is to agree with.
func runB3sum(t *testing.T, dir, stdin string, args ...string) ran {
	t.Helper()
	program, err := exec.LookPath("b3sum")
	if err != nil {
		t.Skip("b3sum is not installed: scripts/setup.sh test")
	}
	return runProgram(t, program, dir, stdin, nil, args...)
}

func TestSumPrintsWhatB3sumPrints(t *testing.T) {
	dir := sumFolder(t)
	for _, c := range []struct {
		stdin string
		args  []string
	}{
		{"", append([]string{"--"}, sumNames...)},
		{"some text", nil},
		{"some text", []string{"-"}},
		{strings.Repeat("some text", 1<<18), []string{"small", "-", "small"}},
		{"some text", []string{"/dev/stdin"}},
		{"", []string{"nope", "small", "folder", "large"}},
	} {
		want := runB3sum(t, dir, c.stdin, c.args...)
		got := runShoal(t, dir, c.stdin, nil, append([]string{"sum"}, c.args...)...)
		if got.stdout != want.stdout || (got.code == 0) != (want.code == 0) {
			t.Errorf("sum %q prints\n%q and exits with %d, b3sum\n%q with %d", c.args, got.stdout, got.code, want.stdout, want.code)
		}
	}
}

func TestSumChecksWhatB3sumChecks(t *testing.T) {
	dir := sumFolder(t)
	sums := runB3sum(t, dir, "", append([]string{"--"}, sumNames...)...).stdout
	small, _, _ := strings.Cut(sums[strings.Index(sums, "\n")+1:], "  ")
	bad := strings.Join([]string{
		"", "hello", small, small + " small", strings.ToUpper(small) + "  small", `\` + small + `  a\b`,
		small + "  nope", small + "  large", small + "  folder", small + "  small", small + "  odd\x00",
	}, "\n")
	for name, text := range map[string]string{"sums": sums, "bad": bad, "none": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		stdin string
		args  []string
		code  int
	}{
		{"", []string{"--check", "sums"}, 0},
		{"", []string{"--check", "sums", "--quiet"}, 0},
		{sums, []string{"--check"}, 0},
		{sums, []string{"--check", "-"}, 0},
		{"", []string{"--check", "none"}, 0},
		{"", []string{"--check", "bad"}, 9},
		{"", []string{"--check", "sums", "bad", "--quiet"}, 9},
		{small + "  nope\n", []string{"--check"}, 3},
		{"nonsense", []string{"--check"}, 2},
		{"", []string{"--check", "missing"}, 3},
	} {
		want := runB3sum(t, dir, c.stdin, c.args...)
		got := runShoal(t, dir, c.stdin, nil, append([]string{"sum"}, c.args...)...)
		if got.code != c.code || (got.code == 0) != (want.code == 0) {
			t.Errorf("sum %q exits with %d, want %d; b3sum with %d; %s", c.args, got.code, c.code, want.code, got.stderr)
		}
		if got, want := withoutReasons(got.stdout), withoutReasons(want.stdout); got != want {
			t.Errorf("sum %q prints\n%s\nb3sum\n%s", c.args, got, want)
		}
	}

	got := runShoal(t, dir, "", nil, "sum", "--check", "bad")
	for _, part := range []string{"of 4 files 1 differ and 2 could not be read; 7 lines are malformed", "bad:1: ", "bad:6: ", "bad:11: "} {
		if !strings.Contains(got.stderr, part) {
			t.Errorf("the report on bad lines lacks %q:\n%s", part, got.stderr)
		}
	}
}

// withoutReasons cuts off why a file could not be read, which everybody words in their own way.
func withoutReasons(stdout string) string {
	lines := strings.Split(stdout, "\n")
	for i, line := range lines {
		lines[i], _, _ = strings.Cut(line, "FAILED (")
	}
	return strings.Join(lines, "\n")
}

func TestSumOfPipesByName(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("through the pipe ", 100_000)
	written := make(chan error, 1)
	go func() { written <- os.WriteFile(path, []byte(text), 0) }()
	got := runShoal(t, dir, "", nil, "sum", "pipe")
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	want := runShoal(t, dir, text, nil, "sum")
	if hash, _, _ := strings.Cut(want.stdout, " "); got.stdout != hash+"  pipe\n" || got.code != 0 {
		t.Errorf("a pipe gives %+v, want the hash in %q", got, want.stdout)
	}
}

func TestSumReportsFoldersAndMistakes(t *testing.T) {
	dir := sumFolder(t)
	for _, c := range []struct {
		args  []string
		stdin string
		code  int
		says  string
	}{
		{[]string{"folder"}, "", 2, "folder: it is a folder"},
		{[]string{"nope"}, "", 3, "nope: no such file"},
		{[]string{"--quiet", "small"}, "", 2, "--check"},
		{[]string{"--check", "large"}, "", 2, "large:1: malformed"},
		{[]string{"--check"}, strings.Repeat("0", 100_000), 2, "line 1 has more than"},
		{[]string{"--check"}, strings.Repeat("0", 64) + "  -\n", 2, "standard input cannot be checked"},
		{[]string{"--check", "folder"}, "", 1, "folder: is a directory"},
	} {
		got := runShoal(t, dir, c.stdin, nil, append([]string{"sum"}, c.args...)...)
		if got.code != c.code || !strings.Contains(got.stderr, c.says) {
			t.Errorf("sum %q exits with %d and says %q, want %d and %q", c.args, got.code, got.stderr, c.code, c.says)
		}
	}
	if got := runProgram(t, "sh", dir, "", []string{asShoal + "=1"}, "-c", os.Args[0]+" sum small >/dev/full"); got.code != 1 ||
		!strings.Contains(got.stderr, "standard output") {
		t.Errorf("with a full standard output sum ends with %+v", got)
	}
}

func TestSumAsJSON(t *testing.T) {
	dir := sumFolder(t)
	type event struct {
		Event, Name, File, Code, Text string
		Size                          int64
		OK                            *bool
	}
	read := func(text string) (list []event) {
		for line := range strings.Lines(text) {
			var e event
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			list = append(list, e)
		}
		return list
	}
	plain := runShoal(t, dir, "", nil, "sum", "large")
	hash, _, _ := strings.Cut(plain.stdout, " ")
	sums := read(runShoal(t, dir, "", nil, "sum", "--json", "large", "nope").stdout)
	if want := []event{{Name: "large", File: hash, Size: 5 << 20}, {Event: "error", Name: "nope", Code: "not-found"}}; len(sums) != 2 ||
		sums[0] != want[0] || sums[1].Code != "not-found" || sums[1].Text == "" {
		t.Errorf("sum --json prints %+v, want %+v", sums, want)
	}
	checked := read(runShoal(t, dir, plain.stdout+hash+"  small\n"+hash+"  nope\n", nil, "sum", "--json", "--check").stdout)
	codes := []string{"", "corrupt", "not-found"}
	for i, e := range checked {
		if e.OK == nil || *e.OK != (i == 0) || i >= len(codes) || e.Code != codes[i] {
			t.Errorf("line %d of sum --check --json is %+v", i, e)
		}
	}
	if len(checked) != len(codes) {
		t.Errorf("sum --check --json prints %d lines, want %d", len(checked), len(codes))
	}
}
