package store

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shoal"
)

func TestCheckpointAfterASecond(t *testing.T) {
	data, dir := random(2*pieceLength, 10), t.TempDir()
	o, m := describe(t, data)
	synctest.Test(t, func(t *testing.T) {
		p, err := OpenPart(dir, "final", o, m)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		listed := func() shoal.Bitfield {
			time.Sleep(checkpointInterval)
			synctest.Wait()
			return p.readSidecar()
		}
		if got := listed(); got != nil {
			t.Errorf("nothing was written, and %x listed", got)
		}
		mustWrite(t, p, data, 1)
		if got := listed(); !slices.Equal(got, shoal.Bitfield{0x40}) {
			t.Errorf("listed %x", got)
		}
		mustWrite(t, p, data, 0)
		if got := listed(); !slices.Equal(got, shoal.Bitfield{0xc0}) {
			t.Errorf("listed %x", got)
		}
	})
}

// Enough new bytes are a reason too, without any time passing.
func TestCheckpointBySize(t *testing.T) {
	data, dir := make([]byte, checkpointBytes+pieceLength), t.TempDir()
	o, m := describe(t, data)
	synctest.Test(t, func(t *testing.T) {
		p, err := OpenPart(dir, "final", o, m)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		last := o.Pieces() - 1
		mustWrite(t, p, data, p.Missing()[:last-1]...)
		synctest.Wait()
		if got := p.readSidecar(); got != nil {
			t.Errorf("too early, %x is listed", got)
		}
		mustWrite(t, p, data, last-1)
		synctest.Wait()
		if got := p.readSidecar(); got == nil || !got.Has(last-1) || got.Has(last) {
			t.Errorf("%x is listed", got)
		}
	})
}

// Close may come while pieces are written: what was written is held later.
func TestCloseWhileWriting(t *testing.T) {
	data, dir := random(16*pieceLength, 33), t.TempDir()
	o, m := describe(t, data)
	p := openPart(t, dir, "final", o, m)
	begun := make(chan struct{}, o.Pieces())
	written := make([]bool, o.Pieces())
	var writers sync.WaitGroup
	for i := range o.Pieces() {
		writers.Go(func() {
			begun <- struct{}{}
			err := p.WritePiece(i, piece(o, data, i))
			written[i] = err == nil
			if err != nil && !errors.Is(err, shoal.Canceled) {
				t.Error(err)
			}
		})
	}
	for range 4 {
		<-begun
	}
	closeNow(t, p)
	writers.Wait()
	p = openPart(t, dir, "final", o, m)
	for i, done := range written {
		if done && !p.Has(i) {
			t.Errorf("piece %d is lost", i)
		}
	}
}

// After the disk failed to take what was written, nothing pretends that it did.
func TestFailedSync(t *testing.T) {
	data, dir := random(2*pieceLength, 11), t.TempDir()
	o, m := describe(t, data)
	p := openPart(t, dir, "final", o, m)
	p.saver.stop()
	mustWrite(t, p, data, 0)
	r, w, err := os.Pipe() // which cannot be synced
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	file := p.file
	p.file = w
	failed := p.checkpoint()
	p.file = file
	if failed == nil {
		t.Fatal("the sync did not fail")
	}
	if err := p.WritePiece(1, piece(o, data, 1)); !errors.Is(err, failed) {
		t.Errorf("writing on: %v", err)
	}
	if got := p.readSidecar(); got != nil {
		t.Errorf("listed %x", got)
	}
	p.add(1, pieceLength) // as one that was being written just then
	if _, err := p.Finish(); !errors.Is(err, failed) {
		t.Errorf("finishing: %v", err)
	}
	if err := p.Close(); !errors.Is(err, failed) {
		t.Errorf("closing: %v", err)
	}
}

// A sidecar that could not be written is written later.
func TestFailedSidecar(t *testing.T) {
	data, dir := random(2*pieceLength, 34), t.TempDir()
	o, m := describe(t, data)
	p := openPart(t, dir, "final", o, m)
	p.saver.stop()
	mustWrite(t, p, data, 0)
	obstacle := filepath.Join(dir, p.sidecarName()+".new")
	if err := os.MkdirAll(filepath.Join(obstacle, "x"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := p.checkpoint(); err == nil {
		t.Error("the sidecar was written over a folder")
	}
	if err := os.RemoveAll(obstacle); err != nil {
		t.Fatal(err)
	}
	if err := p.checkpoint(); err != nil {
		t.Fatal(err)
	}
	if got := p.readSidecar(); !slices.Equal(got, shoal.Bitfield{0x80}) {
		t.Errorf("listed %x", got)
	}
}

// A crash in the last moment of a download leaves a sidecar alone, which goes when the download is tried again.
func TestOrphanedSidecar(t *testing.T) {
	data, dir := random(10, 35), t.TempDir()
	o, m := describe(t, data)
	writeFile(t, filepath.Join(dir, "final"), data)
	writeFile(t, filepath.Join(dir, (&Part{object: o}).sidecarName()), encodeSidecar(o, 1, shoal.Bitfield{0x80}))
	_, err := OpenPart(dir, "final", o, m)
	wantCode(t, err, shoal.Exists)
	if got := names(t, dir); !slices.Equal(got, []string{"final"}) {
		t.Errorf("the folder has %q", got)
	}
}
