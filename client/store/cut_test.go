package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"shoal"
)

func openRange(t testing.TB, dir string, name shoal.Name, o shoal.Object, m *shoal.Manifest, r shoal.Range) *Part {
	t.Helper()
	p, err := ResumeRange(context.Background(), dir, name, o, m, r, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// onlyFile fails the test unless name is all that is in the folder.
func onlyFile(t *testing.T, dir, name string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != name {
		t.Errorf("in the folder: %v, %v", entries, err)
	}
}

// A range is resumed and extracted, wherever it begins and ends within pieces, and nothing else is left.
func TestRange(t *testing.T) {
	data := random(9*pieceLength+77, 2)
	o, m := describe(t, data)
	for _, r := range []shoal.Range{
		{Begin: 0, End: 1},
		{Begin: 0, End: o.Size},
		{Begin: pieceLength, End: 2 * pieceLength},
		{Begin: pieceLength - 1, End: 4*pieceLength + 1},
		{Begin: 9*pieceLength + 76, End: o.Size},
		{Begin: 8 * pieceLength, End: o.Size},
		{Begin: 5, End: pieceLength - 5},
	} {
		t.Run(fmt.Sprint(r), func(t *testing.T) {
			dir := t.TempDir()
			first, count := o.PiecesOf(r)
			for i := first; i < first+count; i++ { // each by a process of its own, as it were
				p := openRange(t, dir, "final", o, m, r)
				if missing := p.Missing(); len(missing) != first+count-i || missing[0] != i {
					t.Fatalf("piece %d is next, and missing are %v", i, missing)
				}
				if _, err := p.Extract(t.Context()); shoal.CodeOf(err) != shoal.NotHeld {
					t.Fatal(err)
				}
				mustWrite(t, p, data, i)
				closeNow(t, p)
			}
			p := openRange(t, dir, "final", o, m, r)
			path, err := p.Extract(t.Context())
			if err != nil || path != filepath.Join(dir, "final") {
				t.Fatal(path, err)
			}
			if err := p.Check(); err != nil { // it is served until it is closed
				t.Error(err)
			}
			closeNow(t, p)
			readBack(t, path, data[r.Begin:r.End])
			onlyFile(t, dir, "final")
		})
	}
}

// Ranges of an object and the whole of it are fetched to one folder at a time.
func TestRangesSideBySide(t *testing.T) {
	data, dir := random(2*pieceLength, 3), t.TempDir()
	o, m := describe(t, data)
	whole := openPart(t, dir, "whole", o, m)
	a := openRange(t, dir, "a", o, m, shoal.Range{Begin: 1, End: 10})
	b := openRange(t, dir, "b", o, m, shoal.Range{Begin: 10, End: 20})
	_, err := ResumeRange(context.Background(), dir, "c", o, m, shoal.Range{Begin: 1, End: 10}, nil)
	wantCode(t, err, shoal.Busy)
	mustWrite(t, a, data, 0)
	if b.Has(0) || whole.Has(0) || !a.Has(0) {
		t.Error("the parts are not apart")
	}
	for _, r := range []shoal.Range{{}, {Begin: 5, End: 5}, {Begin: -1, End: 5}, {Begin: 0, End: o.Size + 1}, {Begin: 6, End: 5}} {
		_, err := ResumeRange(context.Background(), dir, "c", o, m, r, nil)
		wantCode(t, err, shoal.BadRequest)
	}
	if _, err := whole.Extract(t.Context()); shoal.CodeOf(err) != shoal.BadRequest {
		t.Error(err)
	}
}

// A range does not take the space of the whole, and an extraction that fails or is stopped leaves nothing but the part.
func TestRangeOnDisk(t *testing.T) {
	const large = 8 << 30
	dir := t.TempDir()
	o := shoal.Object{ID: shoal.FileID{1}, Size: large}
	pieces := int(large / o.PieceLength())
	p := openRange(t, dir, "final", o, &shoal.Manifest{Size: large, Pieces: make([]shoal.Hash, pieces)}, shoal.Range{Begin: large / 2, End: large/2 + 10})
	stat, err := fstat(p.file)
	if err != nil || stat.Blocks*512 > 4<<20 || stat.Size != large {
		t.Errorf("%d bytes of disk for a range of 10, in a file of %d: %v", stat.Blocks*512, stat.Size, err)
	}
	closeNow(t, p)

	data, dir := random(pieceLength, 4), t.TempDir()
	o, m := describe(t, data)
	p = openRange(t, dir, "final", o, m, shoal.Range{Begin: 1, End: 10})
	mustWrite(t, p, data, 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Extract(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, p.stem()+".cut"), []byte("of a crash"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "final"), []byte("of somebody else"), 0o666); err != nil {
		t.Fatal(err)
	}
	_, err = p.Extract(t.Context())
	wantCode(t, err, shoal.Exists)
	readBack(t, filepath.Join(dir, "final"), []byte("of somebody else"))
	if _, err := os.Stat(filepath.Join(dir, p.stem()+".cut")); !os.IsNotExist(err) {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(dir, "final")); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Extract(t.Context()); err != nil {
		t.Error(err)
	}
	closeNow(t, p)
	readBack(t, filepath.Join(dir, "final"), data[1:10])
	onlyFile(t, dir, "final")
}
