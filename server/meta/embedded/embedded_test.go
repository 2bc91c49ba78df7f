package embedded

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"shoal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sockets returns the sockets of this network namespace that are not plain connected pairs, a line each: what is bound or
// listens.
func sockets(t *testing.T) (found map[string]bool) {
	t.Helper()
	found = make(map[string]bool)
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6", "unix"} {
		text, err := os.ReadFile("/proc/self/net/" + table)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			inode := 9
			if table == "unix" {
				inode = 6
			}
			if len(fields) > inode {
				found[table+" "+fields[inode]] = true
			}
		}
	}
	return found
}

// own returns the sockets among what this process has open.
func own(t *testing.T) (found []string) {
	t.Helper()
	there := sockets(t)
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range open {
		target, err := os.Readlink("/proc/self/fd/" + fd.Name())
		number, isSocket := strings.CutPrefix(target, "socket:[")
		if err != nil || !isSocket {
			continue
		}
		for _, table := range []string{"tcp", "tcp6", "udp", "udp6", "unix"} {
			if s := table + " " + strings.TrimSuffix(number, "]"); there[s] {
				found = append(found, s)
			}
		}
	}
	return found
}

func TestNoSocket(t *testing.T) {
	before := own(t)
	dir := t.TempDir()
	for range 2 { // a new folder, and one that is there
		s, err := Start(t.Context(), dir, zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Client().Put(t.Context(), "key", "value"); err != nil {
			t.Fatal(err)
		}
		if after := own(t); len(after) != len(before) {
			t.Errorf("sockets: %q, before %q", after, before)
		}
		s.Close()
	}
	filepath.WalkDir(dir, func(path string, d os.DirEntry, _ error) error {
		if d.Type()&os.ModeSocket != 0 {
			t.Errorf("%s is a socket", path)
		}
		if info, err := d.Info(); err != nil || info.Mode().Perm()&0o077 != 0 && path != dir {
			t.Errorf("%s can be read by others: %v, %v", path, info.Mode(), err)
		}
		return nil
	})
}

func TestFolders(t *testing.T) {
	start := func(dir string) error {
		s, err := Start(t.Context(), dir, zerolog.Nop())
		if err == nil {
			s.Close()
		}
		return err
	}
	refused := func(dir string, code shoal.Code, parts ...string) {
		t.Helper()
		err := start(dir)
		if err == nil || shoal.CodeOf(err) != code {
			t.Fatalf("error %v, want code %v", err, code)
		}
		for _, p := range append(parts, dir) {
			if !strings.Contains(err.Error(), p) {
				t.Errorf("error %q does not have %q", err, p)
			}
		}
	}
	dir := filepath.Join(t.TempDir(), "etcd")
	s, err := Start(t.Context(), dir, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	refused(dir, shoal.Busy, "another process")
	s.Close()
	if err := start(dir); err != nil {
		t.Error(err)
	}

	mark := filepath.Join(dir, marker)
	for _, text := range []string{"shoal state 2\n", "shoal state 0\n"} {
		if err := os.WriteFile(mark, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(dir, shoal.Unsupported, "reads state 1 only", "writes "+text[len("shoal "):len(text)-1])
	}
	for _, text := range []string{"", "shoal", "shoal state -1", "\x1b[2Jshoal state 1", "shoal state 99999999999999999999"} {
		if err := os.WriteFile(mark, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(dir, shoal.Unsupported, "not which version")
	}
	if err := os.Remove(mark); err != nil {
		t.Fatal(err)
	}
	refused(dir, shoal.Unsupported, "no file")
	if err := os.WriteFile(mark, []byte("shoal state 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := start(dir); err != nil {
		t.Errorf("the folder was harmed: %v", err)
	}
}

func TestLog(t *testing.T) {
	var out bytes.Buffer
	log := bridge(zerolog.New(&out)).With(zap.String("member", "a"))
	log.Info("nobody cares")
	log.Warn("slow", zap.Int("ms", 7))
	log.Error("broken", zap.Error(errors.New("reason")))
	want := `{"level":"debug","member":"a","ms":7,"message":"etcd: slow"}
{"level":"warn","error":"reason","member":"a","message":"etcd: broken"}
`
	if out.String() != want {
		t.Errorf("it says\n%s, want\n%s", out.String(), want)
	}
}
