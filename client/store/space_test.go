package store

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"shoal"
	"shoal/native"
)

func TestTooLargeForTheDisk(t *testing.T) {
	dir := t.TempDir()
	_, err := OpenPart(dir, "final", shoal.Object{Size: shoal.MaxSize}, &shoal.Manifest{})
	wantCode(t, err, shoal.NoSpace)
	if text := err.Error(); !strings.Contains(text, "64.0 TiB are needed") || !strings.Contains(text, "are free") {
		t.Errorf("the error does not say how much: %v", err)
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("it leaves %q", got)
	}
}

func TestBytesText(t *testing.T) {
	for n, want := range map[int64]string{0: "0 bytes", 1023: "1023 bytes", 1536: "1.5 KiB", 1 << 30: "1.0 GiB", shoal.MaxSize: "64.0 TiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

// smallDisk is a filesystem of size bytes.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a small filesystem takes root")
	}
	dir := t.TempDir()
	if err := unix.Mount("shoal-test", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mounting a small filesystem: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestDiskFull(t *testing.T) {
	dir := smallDisk(t, "1m")
	data := random(2*pieceLength, 12)
	o, m := describe(t, data)
	_, err := OpenPart(dir, "final", shoal.Object{Size: 2 << 20}, &shoal.Manifest{})
	wantCode(t, err, shoal.NoSpace)
	p := openPart(t, dir, "final", o, m)
	mustWrite(t, p, data, 0)

	// Somebody takes the space that was reserved: as where nothing can be reserved.
	part, err := os.OpenFile(p.path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	punch := uint32(unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE)
	if err := unix.Fallocate(int(part.Fd()), punch, pieceLength, pieceLength); err != nil {
		t.Fatal(err)
	}
	closeNow(t, part)
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o644); err == nil {
		t.Fatal("the disk is larger than it should be")
	}
	wantCode(t, p.WritePiece(1, piece(o, data, 1)), shoal.NoSpace)
	if p.Has(1) {
		t.Error("a piece is held that was not written")
	}
	// The sidecar has no space either, which is told, and costs no piece.
	wantCode(t, p.Close(), shoal.NoSpace)
	_, err = OpenPart(dir, "final", o, m)
	wantCode(t, err, shoal.NoSpace)

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	p = openPart(t, dir, "final", o, m)
	if got := p.Missing(); !slices.Equal(got, []int{1}) {
		t.Errorf("missing %v", got)
	}
	mustWrite(t, p, data, 1)
	f, err := p.Finish()
	if err != nil {
		t.Fatal(err)
	}
	readBack(t, f.Path(), data)
	closeNow(t, f)
	closeNow(t, p)
}

// The disk has room for one copy: a resumed part does not need a second.
func TestResumeNeedsNoSpace(t *testing.T) {
	dir := smallDisk(t, "1m")
	data := random(3*pieceLength, 13)
	o, m := describe(t, data)
	p := openPart(t, dir, "final", o, m)
	mustWrite(t, p, data, 2)
	closeNow(t, p)
	p = openPart(t, dir, "final", o, m)
	if !p.Has(2) {
		t.Error("piece 2 is lost")
	}
	closeNow(t, p)
}

func TestZeroPieces(t *testing.T) {
	data, dir := random(6*pieceLength+9, 14), t.TempDir()
	clear(data[pieceLength : 4*pieceLength])
	clear(data[6*pieceLength:])
	o, m := describe(t, data)
	p := openPart(t, dir, "final", o, m)
	mustWrite(t, p, data, 0, 1, 2, 6)
	end, err := seek(p.file, pieceLength, unix.SEEK_HOLE)
	if err != nil {
		t.Fatal(err)
	}
	if end > pieceLength+64<<10 {
		t.Errorf("a piece of zeros was written as a whole, up to %d", end)
	}
	closeNow(t, p)
	// As after a kill before any checkpoint.
	if err := os.Remove(filepath.Join(dir, p.sidecarName())); err != nil {
		t.Fatal(err)
	}
	p = openPart(t, dir, "final", o, m)
	if got := p.Missing(); !slices.Equal(got, []int{3, 4, 5}) {
		t.Errorf("missing %v", got)
	}
	// Where the part holds something else, zeros must be written.
	closeNow(t, p)
	pokeFile(t, p.path, 3*pieceLength, random(pieceLength, 15))
	p = openPart(t, dir, "final", o, m)
	mustWrite(t, p, data, p.Missing()...)
	f, err := p.Finish()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	readBack(t, f.Path(), data)
}

func TestIsZero(t *testing.T) {
	b := make([]byte, 1000)
	if !isZero(b) || !isZero(b[:1]) || isZero(nil) {
		t.Error("zeros are not seen")
	}
	for i := range b {
		b[i] = 1
		if isZero(b) {
			t.Errorf("byte %d is not zero", i)
		}
		b[i] = 0
	}
}

// Offsets beyond 4 GiB, of an object whose other pieces nobody has.
func TestBeyond4GiB(t *testing.T) {
	o := shoal.Object{Size: 5<<30 + 1000}
	last := random(1000, 16)
	m := &shoal.Manifest{Size: o.Size, Pieces: make([]shoal.Hash, o.Pieces()), Tail: last}
	pieces := map[int][]byte{0: random(1<<20, 17), 4095: random(1<<20, 18), 4097: random(1<<20, 19), 5120: last}
	for i, data := range pieces {
		offset, _ := o.PieceRange(i)
		m.Pieces[i] = native.ChainingValue(data, uint64(offset)/native.ChunkSize)
	}
	o.ID = native.Root(m.Pieces)
	if err := m.Verify(o); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p, err := OpenPart(dir, "final", o, m)
	if shoal.CodeOf(err) == shoal.NoSpace {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, data := range pieces {
		if err := p.WritePiece(i, data); err != nil {
			t.Fatal(err)
		}
	}
	closeNow(t, p)
	if err := os.Remove(filepath.Join(dir, p.sidecarName())); err != nil {
		t.Fatal(err)
	}
	p = openPart(t, dir, "final", o, m)
	for i, want := range pieces {
		offset, length := o.PieceRange(i)
		got := make([]byte, length)
		if _, err := p.ReadAt(got, offset); err != nil || !p.Has(i) || !slices.Equal(got, want) {
			t.Errorf("piece %d is lost: %v", i, err)
		}
	}
	if p.Held() != len(pieces) {
		t.Errorf("%d pieces are held", p.Held())
	}
}

func TestRenameByLink(t *testing.T) {
	dir := t.TempDir()
	d, err := openFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	writeFile(t, filepath.Join(dir, "a"), []byte("a"))
	writeFile(t, filepath.Join(dir, "b"), []byte("b"))
	wantCode(t, diskError(d.relink("a", "b"), "linking"), shoal.Exists)
	readBack(t, filepath.Join(dir, "b"), []byte("b"))
	if err := d.relink("a", "c"); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("the folder has %q", got)
	}
}
