package store

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"shoal"
	"shoal/native"
	"shoal/tests/bounds"
)

func pokeFile(t *testing.T, path string, offset int64, data []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(data, offset); err != nil {
		t.Fatal(err)
	}
	closeNow(t, f)
}

// interrupted is a part of five pieces, of which 0, 1 and 3 are held, and the path of its sidecar.
func interrupted(t *testing.T) (dir string, data []byte, o shoal.Object, m *shoal.Manifest, part, sidecar string) {
	t.Helper()
	data, dir = random(4*pieceLength+1, 8), t.TempDir()
	o, m = describe(t, data)
	p := openPart(t, dir, "final", o, m)
	mustWrite(t, p, data, 0, 1, 3)
	closeNow(t, p)
	return dir, data, o, m, p.path, filepath.Join(dir, p.sidecarName())
}

// A sidecar saves hashing; without it, or with a damaged one, the data decides.
func TestDamagedSidecarAndData(t *testing.T) {
	dir, data, o, m, part, sidecar := interrupted(t)
	intact, err := os.ReadFile(sidecar)
	if err != nil {
		t.Fatal(err)
	}
	pokeFile(t, part, pieceLength+99, []byte{data[pieceLength+99] ^ 1})
	resume := func(sidecarBytes []byte) (held int, hashed int64) {
		writeFile(t, sidecar, sidecarBytes)
		counts := make(chan int64, 1000)
		p, err := ResumePart(context.Background(), dir, "final", o, m, func(n int64) { counts <- n })
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		close(counts)
		for n := range counts {
			hashed += n
		}
		return p.Held(), hashed / pieceLength
	}
	if held, hashed := resume(intact); held != 3 || hashed != 0 {
		t.Errorf("with the sidecar: held %d, hashed %d", held, hashed)
	}
	for _, n := range []int{0, 1, 8, len(intact) / 2, len(intact) - 1} {
		// The kernel may have read ahead into the others, which makes them look like data.
		if held, hashed := resume(intact[:n]); held != 2 || hashed < 3 {
			t.Errorf("with %d bytes of the sidecar: held %d, hashed %d", n, held, hashed)
		}
	}
	p := openPart(t, dir, "final", o, m)
	mustWrite(t, p, data, 1, 2, 4)
	f, err := p.Finish()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	readBack(t, f.Path(), data)
}

func TestSidecarIsNeverMisread(t *testing.T) {
	o := shoal.Object{ID: shoal.FileID{1, 2, 3}, Size: 12*pieceLength - 1}
	have := shoal.Bitfield{0x81, 0x50}
	intact := encodeSidecar(o, 99, have)
	if got := decodeSidecar(intact, o, 99); !slices.Equal(got, have) {
		t.Fatalf("read %x, want %x", got, have)
	}
	for n := range intact {
		if decodeSidecar(intact[:n], o, 99) != nil {
			t.Errorf("the first %d bytes were taken for a sidecar", n)
		}
		flipped := slices.Clone(intact)
		flipped[n] ^= 4
		if decodeSidecar(flipped, o, 99) != nil {
			t.Errorf("byte %d was changed, and not noticed", n)
		}
	}
	sealed := func(change func(body []byte) []byte) []byte {
		body := change(slices.Clone(intact[:len(intact)-native.Size]))
		sum := native.Sum(body)
		return append(body, sum[:]...)
	}
	for what, b := range map[string][]byte{
		"one byte more": append(slices.Clone(intact), 0),
		"version 0":     sealed(func(b []byte) []byte { binary.BigEndian.PutUint32(b[8:], 0); return b }),
		"version 2":     sealed(func(b []byte) []byte { binary.BigEndian.PutUint32(b[8:], 2); return b }),
		"another magic": sealed(func(b []byte) []byte { b[0]++; return b }),
		"spare bits":    sealed(func(b []byte) []byte { b[len(b)-3] |= 1; return b }),
		"more after it": sealed(func(b []byte) []byte { return append(b, 0, 0, 0, 0) }),
		"a piece short": encodeSidecar(o, 99, have[:1]),
		"no pieces":     encodeSidecar(o, 99, nil),
		"other inode":   encodeSidecar(o, 98, have),
		"other size":    encodeSidecar(shoal.Object{ID: o.ID, Size: o.Size - 1}, 99, have),
		"other file":    encodeSidecar(shoal.Object{Size: o.Size}, 99, have),
	} {
		if decodeSidecar(b, o, 99) != nil {
			t.Errorf("%s: taken for the sidecar", what)
		}
	}
}

func FuzzSidecar(f *testing.F) {
	o := shoal.Object{ID: shoal.FileID{1}, Size: 9 * pieceLength}
	f.Add(encodeSidecar(o, 5, shoal.Bitfield{1, 0x80}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		bounds.Hold(t, len(b), func() {
			if have := decodeSidecar(b, o, 5); have != nil && !slices.Equal(encodeSidecar(o, 5, have), b) {
				t.Errorf("%x was read as %x", b, have)
			}
		})
	})
}

// A part that is not as a crash leaves it: cut, grown, replaced by a copy.
func TestPartOfWrongSize(t *testing.T) {
	for _, size := range []int64{0, 1, 2 * pieceLength, 4 * pieceLength, 4*pieceLength + 2, 9 * pieceLength} {
		dir, data, o, m, part, _ := interrupted(t)
		if err := os.Truncate(part, size); err != nil {
			t.Fatal(err)
		}
		p := openPart(t, dir, "final", o, m)
		for i, held := range []bool{size >= pieceLength, size >= 2*pieceLength, false, size >= 4*pieceLength, false} {
			if p.Has(i) != held {
				t.Errorf("cut to %d bytes: piece %d held: %v", size, i, p.Has(i))
			}
		}
		mustWrite(t, p, data, p.Missing()...)
		f, err := p.Finish()
		if err != nil {
			t.Fatal(err)
		}
		readBack(t, f.Path(), data)
		closeNow(t, f)
		closeNow(t, p)
	}
}

func TestPartReplacedByAnotherFile(t *testing.T) {
	dir, data, o, m, part, _ := interrupted(t)
	// The old one stays, so that the new one is another inode.
	if err := os.Rename(part, filepath.Join(dir, "old")); err != nil {
		t.Fatal(err)
	}
	writeFile(t, part, slices.Concat(make([]byte, 2*pieceLength), data[2*pieceLength:]))
	p := openPart(t, dir, "final", o, m)
	if got := p.Missing(); !slices.Equal(got, []int{0, 1}) {
		t.Errorf("missing %v", got)
	}
}

func TestPlantedParts(t *testing.T) {
	data := random(pieceLength, 9)
	o, m := describe(t, data)
	name := (&Part{object: o}).partName()
	victim := filepath.Join(t.TempDir(), "victim")
	writeFile(t, victim, data)
	for what, plant := range map[string]func(path string) error{
		"symlink":   func(path string) error { return os.Symlink(victim, path) },
		"dangling":  func(path string) error { return os.Symlink(victim+"x", path) },
		"hard link": func(path string) error { return os.Link(victim, path) },
		"folder":    func(path string) error { return os.Mkdir(path, 0o777) },
		"fifo":      func(path string) error { return unix.Mkfifo(path, 0o666) },
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			if err := plant(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			_, err := OpenPart(dir, "final", o, m)
			wantCode(t, err, shoal.Exists)
			readBack(t, victim, data)
		})
	}
	for _, reserved := range []shoal.Name{shoal.Name(name), ".shoal-", ".SHOAL-x"} {
		_, err := OpenPart(t.TempDir(), reserved, o, m)
		wantCode(t, err, shoal.BadRequest)
	}
	_, err := OpenPart(victim, "final", o, m)
	wantCode(t, err, shoal.NotFound)
	_, err = OpenPart(victim+"x", "final", o, m)
	wantCode(t, err, shoal.NotFound)
}

// Hashing at open can be given up, and what was found so far is not wrong later.
func TestResumeIsCanceled(t *testing.T) {
	dir, _, o, m, _, sidecar := interrupted(t)
	if err := os.Remove(sidecar); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	_, err := ResumePart(ctx, dir, "final", o, m, func(int64) { cancel() })
	wantCode(t, shoal.CodeOf(err), shoal.Canceled)
	p := openPart(t, dir, "final", o, m)
	if got := p.Missing(); !slices.Equal(got, []int{2, 4}) {
		t.Errorf("missing %v", got)
	}
}
