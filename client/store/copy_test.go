package store

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"shoal"
)

// A copy is the same file, made of verified pieces; what is interrupted goes on.
func TestCopy(t *testing.T) {
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
		progress := func(held, _ int64) {
			if most = held; held > size/2 {
				cancel()
			}
		}
		_, err = Copy(ctx, from, new(Buffers), to, "to", progress)
		if interrupted := size > 1; interrupted {
			wantCode(t, err, shoal.Canceled)
			var resumed int64
			file, err := Copy(t.Context(), from, new(Buffers), to, "to", func(_, before int64) { resumed = before })
			if err != nil {
				t.Fatal(err)
			}
			closeNow(t, file)
			if resumed != most || resumed == 0 {
				t.Errorf("%d bytes were there before, want %d", resumed, most)
			}
		}
		cancel()
		readBack(t, filepath.Join(to, "to"), data)
		if names := names(t, to); !slices.Equal(names, []string{"to"}) {
			t.Errorf("there are %v", names)
		}
	}
}

// What is not what it should be is not copied, and what is there is not overwritten.
func TestCopyRefuses(t *testing.T) {
	data := random(1<<20, 1)
	dir, to := t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(dir, "from"), data)
	from, err := Hash(t.Context(), filepath.Join(dir, "from"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer closeNow(t, from)
	writeFile(t, filepath.Join(to, "taken"), nil)
	_, err = Copy(t.Context(), from, new(Buffers), to, "taken", nil)
	wantCode(t, err, shoal.Exists)
	data[len(data)-1] ^= 1
	writeFile(t, filepath.Join(dir, "from"), data)
	_, err = Copy(t.Context(), from, new(Buffers), to, "to", nil)
	wantCode(t, err, shoal.Changed)
	if _, err := os.Stat(filepath.Join(to, "to")); err == nil {
		t.Error("a changed file was copied")
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
