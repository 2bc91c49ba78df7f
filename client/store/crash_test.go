package store

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"shoal"
)

// The tests of this file run the test program again as another process, with its role and folder in the environment.
const (
	childRole   = "SHOAL_STORE_TEST_CHILD"
	childFolder = "SHOAL_STORE_TEST_FOLDER"
)

// crashData is what the other process downloads.
func crashData() []byte { return random(11*pieceLength+9, 7) }

// child is the other process, which opens the part and writes some pieces, as many as its role says, or all of them in
// order to "finish" it. It tells on stdout what it has done, a line each, and ends when stdin does.
func child(role string) {
	data := crashData()
	o, m, err := hashBytes(data)
	check(err)
	p, err := OpenPart(os.Getenv(childFolder), "final", o, m)
	check(err)
	fmt.Println("open")
	pieces := p.Missing()
	if role != "finish" {
		most, err := strconv.Atoi(role)
		check(err)
		pieces = pieces[:most]
	}
	for _, i := range pieces {
		check(p.WritePiece(i, piece(o, data, i)))
		fmt.Println(i)
	}
	if role == "finish" {
		f, err := p.Finish()
		check(err)
		check(f.Close())
		fmt.Println("finished")
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	check(err)
	check(p.Close())
}

func check(err error) {
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

type process struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
	stdin io.WriteCloser
}

func spawn(t *testing.T, role, dir string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childRole+"="+role, childFolder+"="+dir, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &process{cmd, bufio.NewScanner(stdout), stdin}
}

// line is what the process has done next.
func (p *process) line(t *testing.T) string {
	t.Helper()
	if !p.lines.Scan() {
		t.Fatalf("the other process ended: %v", p.lines.Err())
	}
	return p.lines.Text()
}

func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait() // tells that it was killed
}

// However often the process is killed, no piece is lost that WritePiece had returned for.
func TestKilled(t *testing.T) {
	data, dir := crashData(), t.TempDir()
	o, m := describe(t, data)
	written := map[int]bool{}
	for _, pieces := range []int{0, 1, 5, 2} {
		// It may be on its way with one more.
		other := spawn(t, strconv.Itoa(pieces+1), dir)
		if got := other.line(t); got != "open" {
			t.Fatal(got)
		}
		for range pieces {
			i, err := strconv.Atoi(other.line(t))
			if err != nil {
				t.Fatal(err)
			}
			if written[i] {
				t.Errorf("piece %d had to be written again", i)
			}
			written[i] = true
		}
		other.kill(t)
		p := openPart(t, dir, "final", o, m)
		for i := range written {
			if !p.Has(i) {
				t.Errorf("piece %d is lost", i)
			}
		}
		for i := range o.Pieces() {
			if p.Has(i) {
				written[i] = true // it got further than it could tell
				checkPiece(t, p, data, i)
			}
		}
		closeNow(t, p)
	}
}

func checkPiece(t *testing.T, p *Part, data []byte, i int) {
	t.Helper()
	want := piece(p.Object(), data, i)
	got := make([]byte, len(want))
	offset, _ := p.Object().PieceRange(i)
	if _, err := p.ReadAt(got, offset); err != nil || string(got) != string(want) {
		t.Errorf("piece %d has other bytes than it should: %v", i, err)
	}
}

// A process killed around Finish leaves either the whole part or the whole file.
func TestKilledWhileFinishing(t *testing.T) {
	data := crashData()
	o, m := describe(t, data)
	for _, last := range []string{strconv.Itoa(o.Pieces() - 1), "finished"} {
		dir := t.TempDir()
		other := spawn(t, "finish", dir)
		for other.line(t) != last {
		}
		other.kill(t)
		final := filepath.Join(dir, "final")
		if _, err := os.Stat(final); err == nil {
			readBack(t, final, data)
			_, err := OpenPart(dir, "final", o, m)
			wantCode(t, err, shoal.Exists)
			if got := names(t, dir); len(got) != 1 {
				t.Errorf("the folder has %q", got)
			}
			continue
		}
		p := openPart(t, dir, "final", o, m)
		if !p.Whole() {
			t.Errorf("pieces %v are lost", p.Missing())
		}
		closeNow(t, p)
	}
}

func TestTwoProcesses(t *testing.T) {
	dir := t.TempDir()
	o, m := describe(t, crashData())
	other := spawn(t, "0", dir)
	if got := other.line(t); got != "open" {
		t.Fatal(got)
	}
	_, err := OpenPart(dir, "final", o, m)
	wantCode(t, err, shoal.Busy)
	if !strings.Contains(err.Error(), dir) {
		t.Errorf("the error does not say where: %v", err)
	}
	// Under another name it is the same part.
	_, err = OpenPart(dir, "other", o, m)
	wantCode(t, err, shoal.Busy)
	if err := other.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if err := other.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	p := openPart(t, dir, "final", o, m)
	_, err = OpenPart(dir, "final", o, m)
	wantCode(t, err, shoal.Busy)
	closeNow(t, p)
}
