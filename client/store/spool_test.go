package store

import (
	"bytes"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"shoal"
)

func TestSpool(t *testing.T) {
	data, dir := random(3*pieceLength+5, 5), t.TempDir()
	o, m := describe(t, data)
	all := shoal.Range{End: o.Size}
	s, err := OpenSpool(dir, o, m, all, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.WritePiece(1, piece(o, data, 0)), shoal.Corrupt)
	wantCode(t, s.WritePiece(4, nil), shoal.BadRequest)
	wantCode(t, s.WritePiece(-1, nil), shoal.BadRequest)
	for n, i := range []int{2, 0, 3, 1, 1} {
		if again := n == 4; s.Whole() != again || s.Has(i) != again || s.Held() != n {
			t.Errorf("before piece %d: %d are held", i, s.Held())
		}
		if err := s.WritePiece(i, piece(o, data, i)); err != nil {
			t.Fatal(err)
		}
		if unread := s.Unread(i); n < 4 && !bytes.Equal(unread, piece(o, data, i)) {
			t.Errorf("piece %d is not in memory", i)
		}
		s.Passed(i)
		if s.Unread(i) != nil {
			t.Errorf("piece %d takes memory for ever", i)
		}
	}
	if !s.Kept() || !s.Whole() || s.Bitfield() != nil || s.Has(4) || s.Has(-1) || s.Check() != nil {
		t.Error("not all is there")
	}
	got, err := io.ReadAll(io.NewSectionReader(s, 0, o.Size))
	if err != nil || !bytes.Equal(got, data) {
		t.Error("other bytes came back", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("in the folder: %v, %v", entries, err)
	}
	closeNow(t, s)
	wantCode(t, s.WritePiece(0, piece(o, data, 0)), shoal.Canceled)
	if s.Close() != os.ErrClosed {
		t.Error("closed twice")
	}
}

// A stream of more than the disk has room for has there only what does not fit into its memory and was not read yet.
func TestSpoolOfMoreThanThereIsRoomFor(t *testing.T) {
	const fit = SpoolMemory / pieceLength
	data := random((fit+3)*pieceLength, 6)
	o, m := describe(t, data)
	vast := shoal.Range{End: shoal.MaxSize} // as it were
	s, err := OpenSpool(t.TempDir(), o, m, vast, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	onDisk := func(pieces int64) {
		t.Helper()
		var stat unix.Stat_t
		if err := unix.Fstat(int(s.file.Fd()), &stat); err != nil || stat.Blocks*512 < pieces*pieceLength || stat.Blocks*512 > pieces*pieceLength+1<<16 {
			t.Errorf("%d bytes on the disk, and not %d pieces: %v", stat.Blocks*512, pieces, err)
		}
	}
	if s.Kept() {
		t.Fatal("what cannot be kept is")
	}
	write := func(i int) {
		t.Helper()
		if err := s.WritePiece(i, piece(o, data, i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range fit + 2 {
		write(i)
	}
	onDisk(2)
	for i := range fit + 3 {
		got := s.Unread(i)
		if i == fit+2 { // there is room again
			write(i)
			got = s.Unread(i)
		}
		if (got == nil) != (i == fit || i == fit+1) {
			t.Errorf("piece %d is in memory or not", i)
		}
		if got == nil {
			got = make([]byte, pieceLength)
			if _, err := s.ReadAt(got, int64(i)*pieceLength); err != nil {
				t.Error(err)
			}
		}
		if !bytes.Equal(got, piece(o, data, i)) {
			t.Errorf("piece %d has other bytes", i)
		}
		s.Passed(i)
	}
	onDisk(0)
	_, err = OpenSpool(t.TempDir(), o, m, vast, shoal.MaxSize)
	wantCode(t, err, shoal.NoSpace)
}
