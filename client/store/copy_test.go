package store

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"shoal"
)

// copyTo makes a file of from, as a download of it would be.
func copyTo(ctx context.Context, from *File, dir string, progress func(held, before int64)) error {
	part, err := ResumePart(ctx, dir, "to", from.Object(), from.Manifest(), nil)
	if err != nil {
		return err
	}
	if err = part.Fill(ctx, from, new(Buffers), progress); err == nil {
		var file *File
		if file, err = part.Finish(); err == nil {
			err = file.Close()
		}
	}
	return errors.Join(err, part.Close())
}

// A copy is the same file, made of verified pieces; what is interrupted goes on.
func TestFill(t *testing.T) {
	for _, size := range []int64{0, 1, 5 << 20, 5<<20 + 7} {
		data := random(size, uint64(size))
		dir, to := t.TempDir(), t.TempDir()
		writeFile(t, filepath.Join(dir, "from"), data)
		from, err := Hash(t.Context(), filepath.Join(dir, "from"), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer closeNow(t, from)
		ctx, cancel := context.WithCancel(t.Context())
		var most int64
		err = copyTo(ctx, from, to, func(held, _ int64) {
			if most = held; held > size/2 {
				cancel()
			}
		})
		cancel()
		if size > 1 {
			wantCode(t, err, shoal.Canceled)
			var resumed int64
			if err := copyTo(t.Context(), from, to, func(_, before int64) { resumed = before }); err != nil {
				t.Fatal(err)
			}
			if resumed != most || resumed == 0 {
				t.Errorf("%d bytes were there before, want %d", resumed, most)
			}
		} else if err != nil {
			t.Error(err)
		}
		readBack(t, filepath.Join(to, "to"), data)
		if names := names(t, to); !slices.Equal(names, []string{"to"}) {
			t.Errorf("there are %v", names)
		}
	}
}

// Of a range only what it lies in is copied.
func TestFillRange(t *testing.T) {
	data := random(5<<20, 1)
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "from"), data)
	from, err := Hash(t.Context(), filepath.Join(dir, "from"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer closeNow(t, from)
	r := shoal.Range{Begin: 1<<20 + 5, End: 2 << 20}
	part, err := ResumeRange(t.Context(), dir, "to", from.Object(), from.Manifest(), r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := part.Fill(t.Context(), from, new(Buffers), nil); err != nil {
		t.Error(err)
	}
	if part.Held() != 4 {
		t.Errorf("%d pieces were copied, want 4", part.Held())
	}
	path, err := part.Extract(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	readBack(t, path, data[r.Begin:r.End])
	if err := part.Close(); err != nil {
		t.Error(err)
	}
}

// What is not what it should be is not copied.
func TestFillRefuses(t *testing.T) {
	data := random(1<<20, 1)
	dir, to := t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(dir, "from"), data)
	from, err := Hash(t.Context(), filepath.Join(dir, "from"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer closeNow(t, from)
	data[len(data)-1] ^= 1
	writeFile(t, filepath.Join(dir, "from"), data)
	wantCode(t, copyTo(t.Context(), from, to, nil), shoal.Changed)
	if names := names(t, to); len(names) != 0 {
		t.Errorf("there are %v", names)
	}
}

// Discard removes the part and its sidecar, and nothing else; not while the download runs.
func TestDiscard(t *testing.T) {
	data := random(3<<20, 2)
	o, m := describe(t, data)
	dir := t.TempDir()
	part := openPart(t, dir, "file", o, m)
	mustWrite(t, part, data, 0, 1)
	wantCode(t, Discard(dir, o, shoal.Range{}), shoal.Busy)
	if err := part.Close(); err != nil {
		t.Fatal(err)
	}
	r := shoal.Range{Begin: 1 << 20, End: 2 << 20}
	ranged, err := ResumeRange(t.Context(), dir, "range", o, m, r, nil)
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, ranged, data, 4)
	if err := ranged.Close(); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "other"), nil)
	before := len(names(t, dir))
	for _, r := range []shoal.Range{{}, r} {
		for range 2 { // there is nothing the second time
			if err := Discard(dir, o, r); err != nil {
				t.Error(err)
			}
		}
		if after := len(names(t, dir)); after != before-2 {
			t.Errorf("there are %v", names(t, dir))
		}
		before -= 2
	}
	if names := names(t, dir); !slices.Equal(names, []string{"other"}) {
		t.Errorf("there are %v", names)
	}
	if err := Discard(filepath.Join(dir, "missing"), o, shoal.Range{}); err != nil {
		t.Error(err)
	}
}
