package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"shoal"
)

const pieceLength = 256 << 10 // of all objects here

// Every size around a boundary goes through a download by several writers, twice interrupted, to the final file.
func TestDownload(t *testing.T) {
	for _, size := range []int64{0, 1, 1023, 1024, 1025, pieceLength - 1, pieceLength, pieceLength + 1, 9*pieceLength + 77} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			data, dir := random(size, 1), t.TempDir()
			o, m := describe(t, data)
			order := rand.Perm(o.Pieces())
			for _, share := range slices.Collect(slices.Chunk(order, max(1, len(order)/3))) {
				p := openPart(t, dir, "final", o, m)
				var writers sync.WaitGroup
				for _, i := range share {
					writers.Go(func() {
						if err := p.WritePiece(i, piece(o, data, i)); err != nil {
							t.Error(err)
						}
					})
				}
				writers.Wait()
				for _, i := range share {
					if !p.Has(i) {
						t.Errorf("piece %d is not held", i)
					}
				}
				closeNow(t, p)
			}
			p := openPart(t, dir, "final", o, m)
			if !p.Whole() || p.Held() != o.Pieces() || p.Bitfield() != nil || len(p.Missing()) != 0 {
				t.Fatalf("held %d of %d, missing %v", p.Held(), o.Pieces(), p.Missing())
			}
			f, err := p.Finish()
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			readBack(t, filepath.Join(dir, "final"), data)
			if err := f.Check(); err != nil {
				t.Error(err)
			}
			if f.Object() != o || f.Manifest() != m || !f.Whole() || f.Path() != filepath.Join(dir, "final") {
				t.Error("the finished file is not what was downloaded")
			}
			if got := names(t, dir); !slices.Equal(got, []string{"final"}) {
				t.Errorf("the folder has %q", got)
			}
			again, err := OpenFile(f.Path(), f.Stamp(), o, m)
			if err != nil {
				t.Fatal(err)
			}
			closeNow(t, again)
		})
	}
}

func TestLongestName(t *testing.T) {
	name := shoal.Name(strings.Repeat("n", shoal.MaxName))
	data, dir := random(10, 2), t.TempDir()
	o, m := describe(t, data)
	p := openPart(t, dir, name, o, m)
	mustWrite(t, p, data, 0)
	f, err := p.Finish()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	readBack(t, filepath.Join(dir, string(name)), data)
}

func TestCorruptPieceIsNotWritten(t *testing.T) {
	data, dir := random(3*pieceLength, 3), t.TempDir()
	o, m := describe(t, data)
	p := openPart(t, dir, "x", o, m)
	wantCode(t, p.WritePiece(1, piece(o, data, 2)), shoal.Corrupt)
	wantCode(t, p.WritePiece(1, piece(o, data, 1)[1:]), shoal.Corrupt)
	wantCode(t, p.WritePiece(3, nil), shoal.BadRequest)
	wantCode(t, p.WritePiece(-1, nil), shoal.BadRequest)
	if p.Held() != 0 || p.Has(1) || p.Has(-1) || p.Has(3) {
		t.Error("a piece is held that was refused")
	}
	readBack(t, p.path, make([]byte, o.Size))
	_, err := p.Finish()
	wantCode(t, err, shoal.NotHeld)
	mustWrite(t, p, data, 1)
	if err := p.WritePiece(1, piece(o, data, 2)); err != nil {
		t.Errorf("writing a piece that is held: %v", err)
	}
	if got := p.Bitfield(); len(got) != 1 || got[0] != 0x40 {
		t.Errorf("bitfield %x", got)
	}
	if got := p.Missing(); !slices.Equal(got, []int{0, 2}) {
		t.Errorf("missing %v", got)
	}
	closeNow(t, p)
	closeNow(t, p)
	wantCode(t, p.WritePiece(0, piece(o, data, 0)), shoal.Canceled)
}

func TestFinalNameTaken(t *testing.T) {
	data, dir := random(2*pieceLength, 4), t.TempDir()
	o, m := describe(t, data)
	final := filepath.Join(dir, "final")

	p := openPart(t, dir, "final", o, m)
	mustWrite(t, p, data, 0, 1)
	writeFile(t, final, []byte("somebody else's"))
	_, err := p.Finish()
	wantCode(t, err, shoal.Exists)
	readBack(t, final, []byte("somebody else's"))
	closeNow(t, p)

	_, err = OpenPart(dir, "final", o, m)
	wantCode(t, err, shoal.Exists)
	if err := os.Remove(final); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", final); err != nil {
		t.Fatal(err)
	}
	_, err = OpenPart(dir, "final", o, m)
	wantCode(t, err, shoal.Exists)
	if err := os.Remove(final); err != nil {
		t.Fatal(err)
	}

	p = openPart(t, dir, "final", o, m)
	if !p.Whole() {
		t.Fatal("the pieces were lost because the name was taken")
	}
	f, err := p.Finish()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	readBack(t, final, data)
}

// Sending a part goes on while it is finished, and what it reads is right until Close.
func TestEmptyPartIsRemoved(t *testing.T) {
	dir := t.TempDir()
	data := random(3<<20, 50)
	o, m := describe(t, data)
	closeNow(t, openPart(t, dir, "final", o, m))
	if got := names(t, dir); len(got) > 0 {
		t.Errorf("an empty part left %q", got)
	}
	// What took its name is somebody else's.
	p := openPart(t, dir, "final", o, m)
	if err := os.Remove(p.path); err != nil {
		t.Fatal(err)
	}
	writeFile(t, p.path, []byte("other"))
	closeNow(t, p)
	readBack(t, p.path, []byte("other"))
	// One piece is worth keeping.
	dir = t.TempDir()
	p = openPart(t, dir, "final", o, m)
	mustWrite(t, p, data, 1)
	closeNow(t, p)
	if got := names(t, dir); len(got) != 2 {
		t.Errorf("a part with one piece left %q", got)
	}
}

func TestPartIsReadAfterFinish(t *testing.T) {
	data, dir := random(pieceLength+5, 5), t.TempDir()
	o, m := describe(t, data)
	p := openPart(t, dir, "x", o, m)
	mustWrite(t, p, data, 0, 1)
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	f, err := p.Finish()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, 5)
	if _, err := p.ReadAt(buf, pieceLength); err != nil || string(buf) != string(data[pieceLength:]) {
		t.Errorf("reading the part: %v", err)
	}
	if err := p.Check(); err != nil {
		t.Error(err)
	}
	writeFile(t, f.Path(), []byte("edited"))
	wantCode(t, p.Check(), shoal.Changed)
	wantCode(t, f.Check(), shoal.Changed)
	closeNow(t, p)
	if _, err := p.ReadAt(buf, 0); err == nil {
		t.Error("a closed part was read")
	}
}

// What a sender holds can be read to the end, though its owner closes it; a closed part can be resumed meanwhile.
func TestHold(t *testing.T) {
	data, dir := random(pieceLength+5, 24), t.TempDir()
	o, m := describe(t, data)
	p := openPart(t, dir, "x", o, m)
	mustWrite(t, p, data, 0)
	if err := p.Hold(); err != nil {
		t.Fatal(err)
	}
	closeNow(t, p)
	again := openPart(t, dir, "x", o, m)
	mustWrite(t, again, data, 1)
	f, err := again.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Hold(), f.Hold(), f.Close()); err != nil {
		t.Fatal(err)
	}
	f.Release()
	for _, c := range []Content{p, f} {
		raw, err := c.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 100)
		var readErr error
		err = raw.Control(func(fd uintptr) { _, readErr = unix.Pread(int(fd), got, 7) })
		if err != nil || readErr != nil || string(got) != string(data[7:107]) {
			t.Errorf("reading what is held: %v, %v", err, readErr)
		}
		if err := c.Hold(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("holding what is closed: %v", err)
		}
		c.Release()
		if _, err := c.ReadAt(got, 7); !errors.Is(err, os.ErrClosed) {
			t.Errorf("reading what nobody holds: %v", err)
		}
	}
	if err := f.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closing again: %v", err)
	}
}

// At the end of a download the last pieces often come twice. A copy that is late must not touch the finished file.
func TestLateCopies(t *testing.T) {
	data := random(2*pieceLength, 25)
	o, m := describe(t, data)
	for range 20 {
		p := openPart(t, t.TempDir(), "x", o, m)
		mustWrite(t, p, data, 0)
		var copies sync.WaitGroup
		first := make(chan struct{}, 3)
		for range cap(first) {
			copies.Go(func() {
				if err := p.WritePiece(1, piece(o, data, 1)); err != nil {
					t.Error(err)
				}
				first <- struct{}{}
			})
		}
		<-first
		f, err := p.Finish()
		if err != nil {
			t.Fatal(err)
		}
		copies.Wait()
		if err := f.Check(); err != nil {
			t.Error(err)
		}
		closeNow(t, f)
		closeNow(t, p)
	}
}

func TestPartRemovedOrCut(t *testing.T) {
	data, dir := random(pieceLength+5, 6), t.TempDir()
	o, m := describe(t, data)
	p := openPart(t, dir, "x", o, m)
	mustWrite(t, p, data, 0, 1)
	if err := os.Truncate(p.path, 7); err != nil {
		t.Fatal(err)
	}
	wantCode(t, p.Check(), shoal.Changed)
	if err := os.Remove(p.path); err != nil {
		t.Fatal(err)
	}
	wantCode(t, p.Check(), shoal.Changed)
	_, err := p.Finish()
	wantCode(t, err, shoal.Changed)
}
