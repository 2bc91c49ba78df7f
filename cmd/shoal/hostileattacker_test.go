package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// attacker runs hostile command lines, in a folder with what some of them need.
type attacker struct {
	*household
	streams [3]*os.File // standard input, output and error of the commands
}

func newAttacker(t *testing.T) *attacker {
	a := &attacker{household: newHousehold(t)}
	a.people()
	dir := t.TempDir()
	t.Chdir(dir)
	for i := range a.streams {
		fd, err := unix.MemfdCreate("stream", unix.MFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		a.streams[i] = os.NewFile(uintptr(fd), "stream")
		t.Cleanup(func() { a.streams[i].Close() })
	}
	for _, name := range []string{"file", "backup", "root", "key"} {
		if err := os.WriteFile(name, []byte("some text\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a.run("", []string{"server", "realm", "export", "exported", "--state", filepath.Join(a.dir, "holder")})
	return a
}

// limit is how long a command may take that should be refused. One that is not may never end.
const limit = 5 * time.Second

// run runs a command line in this process.
func (a *attacker) run(stdin string, line []string) ran {
	a.t.Helper()
	for i, f := range a.streams {
		if err := f.Truncate(0); err != nil {
			a.t.Fatal(err)
		}
		if i == 0 {
			_, _ = f.WriteAt([]byte(stdin), 0)
		}
		_, _ = f.Seek(0, 0)
	}
	in, out, errs := os.Stdin, os.Stdout, os.Stderr
	os.Stdin, os.Stdout, os.Stderr = a.streams[0], a.streams[1], a.streams[2]
	defer func() { os.Stdin, os.Stdout, os.Stderr = in, out, errs }()
	ctx, cancel := context.WithTimeout(a.t.Context(), limit)
	defer cancel()
	r := ran{code: run(ctx, line)}
	for i, text := range []*string{&r.stdout, &r.stderr} {
		_, _ = a.streams[i+1].Seek(0, 0)
		b, err := io.ReadAll(a.streams[i+1])
		if err != nil {
			a.t.Fatal(err)
		}
		*text = string(b)
	}
	return r
}

// refuses runs a command line that must be refused with one of the codes: by one line that a terminal shows as it is, and
// nothing else.
func (a *attacker) refuses(codes []int, stdin string, line []string) {
	a.t.Helper()
	r := a.run(stdin, line)
	if !slices.Contains(codes, r.code) {
		a.t.Errorf("shoal %.80q: %d instead of %v: %.300s", line, r.code, codes, r.stderr)
	}
	text, ended := strings.CutSuffix(r.stderr, "\n")
	if !ended || !strings.HasPrefix(text, "shoal: ") || strings.Contains(text, "\n") || len(text) > 1000 {
		a.t.Errorf("shoal %.80q says %d bytes: %.300q", line, len(text), text)
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, obeyed) {
		a.t.Errorf("shoal %.80q shows %.300q", line, text)
	}
	if r.stdout != "" {
		a.t.Errorf("shoal %.80q prints %.300q", line, r.stdout)
	}
}

// obeyed reports what a terminal obeys, or shows as something else than it is.
func obeyed(r rune) bool {
	return unicode.IsControl(r) || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' || r == '\u2028' || r == '\u2029'
}

// everything is what lies in the folders that commands may write to, but for the server's own: names, sizes, times.
func (a *attacker) everything() (all string) {
	a.t.Helper()
	for _, root := range []string{".", a.dir} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || path == filepath.Join(a.dir, "server") {
				return cmp.Or(err, fs.SkipDir)
			}
			info, err := d.Info()
			if err == nil && !d.IsDir() {
				all += fmt.Sprintln(path, info.Size(), info.ModTime())
			} else if err == nil {
				all += fmt.Sprintln(path)
			}
			return err
		})
		if err != nil {
			a.t.Fatal(err)
		}
	}
	return all
}

// line is a command line: the command, flags that are good, those given, and the arguments.
func (a *attacker) line(path string, cmd *cobra.Command, flags, args []string) []string {
	line := strings.Fields(path)
	if cmd.Flags().Lookup("server") != nil {
		line = append(line, "--server", a.address, "--pin", a.realm.String())
	}
	if cmd.Flags().Lookup("state") != nil {
		state := "ann"
		switch {
		case path == "server backup":
			state = "server" // which runs
		case cmd.Flags().Lookup("server") == nil && path != "device show":
			state = "holder"
		}
		line = append(line, "--state", filepath.Join(a.dir, state))
	}
	line = append(append(line, commands[path].flags...), flags...)
	if len(args) > 0 {
		line = append(append(line, "--"), args...)
	}
	return line
}
