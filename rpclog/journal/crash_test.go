package journal

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"shoal/rpclog"
)

// copyOf returns a journal that is not open yet, in a copy of f's folder.
func (f *reopened) copyOf() *reopened {
	f.Helper()
	c := &reopened{T: f.T, dir: f.TempDir(), limits: f.limits}
	if err := os.CopyFS(c.dir, os.DirFS(f.dir)); err != nil {
		f.Fatal(err)
	}
	return c
}

// last returns the path of the latest file of verified entries.
func (f *reopened) last() string {
	f.Helper()
	paths := f.glob("log-*")
	if len(paths) == 0 {
		f.Fatal("there are no files")
	}
	return paths[len(paths)-1]
}

func (f *reopened) glob(pattern string) []string {
	f.Helper()
	paths, err := filepath.Glob(filepath.Join(f.dir, pattern))
	if err != nil {
		f.Fatal(err)
	}
	return paths
}

func (f *reopened) read(path string) []byte {
	f.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	return b
}

func (f *reopened) write(path string, b []byte) {
	f.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		f.Fatal(err)
	}
}

// settle waits until all finished files are compressed, as far as they are kept.
func (f *reopened) settle() {
	f.Helper()
	f.reopen() // the keeper begins with all there is
	for f.plain() > 0 {
		f.finish()
	}
}

// plain counts the finished files that are not compressed.
func (f *reopened) plain() (n int) {
	for _, s := range []*series{f.verified, f.unverified} {
		for _, file := range s.done() {
			if !file.compressed {
				n++
			}
		}
	}
	return n
}

// finish makes the keepers look, and waits until they have.
func (f *reopened) finish() {
	for _, s := range []*series{f.verified, f.unverified} {
		s.finished <- struct{}{} // taken when the last look has ended
		s.finished <- struct{}{} // taken when this one has
	}
}

// TestTornTail cuts the last batch at each byte. What is whole stays, and sending the batch again completes it.
func TestTornTail(t *testing.T) {
	t.Parallel()
	f := newJournal(t, Limits{})
	f.store(batch(sender(1), 1, 3), true)
	before := len(f.read(f.last()))
	b := batch(sender(1), 4, 5)
	b.Entries[1].Message = "\n\n\"}\n" // which is escaped
	f.store(b, true)
	f.close()
	whole := f.read(f.last())
	path := f.last()
	for cut := before; cut <= len(whole); cut++ {
		f.write(path, whole[:cut])
		var said bytes.Buffer
		j, err := Open(f.dir, Limits{}, zerolog.New(&said))
		if err != nil {
			t.Fatal(err)
		}
		f.Journal = j
		end := bytes.LastIndexByte(whole[:cut], '\n') + 1
		stored := uint64(bytes.Count(whole[:end], []byte("\n")) - 1) // but for the first line
		if got := numbers(f.all(rpclog.Query{})); !reflect.DeepEqual(got, upTo(1, stored)) {
			t.Errorf("cut at %d: %v, want %d", cut, got, stored)
		}
		if torn := fmt.Sprintf(`"bytes":%d,`, cut-end); strings.Contains(said.String(), torn) != (cut > end) {
			t.Errorf("cut at %d: it says %q", cut, said.String())
		}
		if r := f.store(b, true); uint64(r.Duplicates) != stored-3 || r.Mark != 5 {
			t.Errorf("cut at %d: %+v", cut, r)
		}
		if got := numbers(f.all(rpclog.Query{})); !reflect.DeepEqual(got, upTo(1, 5)) {
			t.Errorf("cut at %d and sent again: %v", cut, got)
		}
		f.close()
	}
}

// TestGarbageTail ends the last file as a power cut may leave it.
func TestGarbageTail(t *testing.T) {
	t.Parallel()
	f := newJournal(t, Limits{})
	f.store(batch(sender(1), 1, 3), true)
	f.close()
	for name, garbage := range map[string]string{
		"zeros": strings.Repeat("\x00", 5000), "zeros and a line's end": strings.Repeat("\x00", 5000) + "\n", "lines": "x\n\n{\n", "much": strings.Repeat("long", blockSize),
	} {
		c := f.copyOf()
		c.write(c.last(), append(c.read(c.last()), garbage...))
		c.open()
		if r := c.store(batch(sender(1), 3, 4), true); r.Duplicates != 1 {
			t.Errorf("%s: %+v", name, r)
		}
		if got := numbers(c.all(rpclog.Query{})); !reflect.DeepEqual(got, upTo(1, 4)) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestCrashWhileBeginningFile leaves the next file as it may be found, cut at each byte of its first line.
func TestCrashWhileBeginningFile(t *testing.T) {
	t.Parallel()
	f := newJournal(t, Limits{File: 1000})
	for n := uint64(1); len(f.list()) < 3; n++ {
		f.store(batch(sender(byte(n%3)), n, n), true)
	}
	f.settle()
	marks := f.all(rpclog.Query{})
	f.close()
	path := f.last()
	whole := f.read(path)
	line := bytes.IndexByte(whole, '\n') + 1
	next := filepath.Join(f.dir, fmt.Sprintf("log-2026-11-21-%06d.jsonl", 4))
	for cut := 0; cut <= line; cut = min(cut+9, max(line, cut+1)) {
		f.write(next, whole[:cut])
		f.open()
		if got := f.all(rpclog.Query{}); len(got) != len(marks) {
			t.Errorf("cut at %d: %d entries of %d", cut, len(got), len(marks))
		}
		for _, l := range marks {
			if r := f.store(batch(rpclog.Sender{Device: l.Device, Process: l.Process}, l.Seq, l.Seq), true); r.Duplicates != 1 && cut < line {
				t.Fatalf("cut at %d: %d of %d is new", cut, l.Seq, l.Process)
			}
		}
		f.close()
		if cut < line {
			if _, err := os.Stat(next); err == nil {
				t.Errorf("cut at %d: the file is still there", cut)
			}
		}
	}
}

// TestCrashWhileCompressing leaves what each step of it leaves.
func TestCrashWhileCompressing(t *testing.T) {
	f := newJournal(t, Limits{File: 2000})
	total := uint64(0)
	for ; len(f.list()) < 4; total++ {
		f.store(batch(sender(1), total+1, total+1), true)
	}
	f.settle()
	f.close()
	var compressed file
	for _, c := range f.list() {
		if c.compressed && c.number == 2 {
			compressed = c
		}
	}
	zipped := f.read(filepath.Join(f.dir, compressed.name("log")))
	plainFile := compressed
	plainFile.compressed = false
	name, plainName := compressed.name("log"), plainFile.name("log")
	original := f.unzip(name)
	for step, there := range map[string]map[string][]byte{
		"before":               {plainName: original},
		"writing":              {plainName: original, name + unfinishedSuffix: zipped[:len(zipped)/2]},
		"written":              {plainName: original, name + unfinishedSuffix: zipped},
		"renamed":              {plainName: original, name: zipped},
		"done":                 {name: zipped},
		"written, and in vain": {name: zipped, name + unfinishedSuffix: zipped[:9]},
	} {
		c := f.copyOf()
		if err := os.Remove(filepath.Join(c.dir, name)); err != nil {
			t.Fatal(err)
		}
		for n, b := range there {
			c.write(filepath.Join(c.dir, n), b)
		}
		c.open()
		if got := numbers(c.all(rpclog.Query{})); !reflect.DeepEqual(got, upTo(1, total)) {
			t.Errorf("%s: %v", step, got)
		}
		if r := c.store(batch(sender(1), 1, total+1), true); uint64(r.Duplicates) != total {
			t.Errorf("%s: %+v", step, r)
		}
		c.settle()
		if got := numbers(c.all(rpclog.Query{})); !reflect.DeepEqual(got, upTo(1, total+1)) {
			t.Errorf("%s, later: %v", step, got)
		}
		for _, n := range []string{plainName, name + unfinishedSuffix} {
			if _, err := os.Stat(filepath.Join(c.dir, n)); err == nil {
				t.Errorf("%s: %s is still there", step, n)
			}
		}
	}
}

// unzip returns what zcat makes of a file, because whoever has only that must be able to read the log.
func (f *reopened) unzip(name string) []byte {
	f.Helper()
	b, err := exec.Command("gzip", "-dc", filepath.Join(f.dir, name)).Output()
	if err != nil {
		f.Fatal(err)
	}
	return b
}

// TestDamagedFirstLine takes the marks from further back.
func TestDamagedFirstLine(t *testing.T) {
	f := newJournal(t, Limits{File: 1000})
	total := uint64(0)
	for ; len(f.list()) < 4; total++ {
		f.store(batch(sender(1), total+1, total+1), true)
	}
	f.store(batch(sender(2), 1, 4), false)
	f.close()
	b := f.read(f.last())
	b[5] = 'X'
	f.write(f.last(), b)
	f.open()
	if r := f.store(batch(sender(1), 1, total), true); uint64(r.Duplicates) != total {
		t.Errorf("%+v", r)
	}
}
