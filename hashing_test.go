package shoal

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
	"lukechampine.com/blake3"

	"shoal/native"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// repeating is a file without an end: pattern again and again, which has no power of two of bytes, so that no two of
// its pieces are alike.
type repeating struct{ pattern []byte }

func newRepeating() repeating {
	pattern := make([]byte, 1<<20+4099)
	for i := range pattern {
		pattern[i] = byte(i*7 + i/251 + i>>15)
	}
	return repeating{pattern}
}

func (r repeating) ReadAt(p []byte, offset int64) (int, error) {
	for n := 0; n < len(p); {
		n += copy(p[n:], r.pattern[(offset+int64(n))%int64(len(r.pattern)):])
	}
	return len(p), nil
}

func TestHashFile(t *testing.T) {
	const piece = minPieceLength
	sizes := []int64{
		0, 1, 63, 64, 65, 1023, 1024, 1025, 2047, 2048, 2049, 3*1024 + 1, BlockUnit - 1, BlockUnit, BlockUnit + 1, 5*BlockUnit + 9,
		piece - 1025, piece - 1024, piece - 1, piece, piece + 1, piece + 1024, piece + 1025, 2*piece - 1, 2 * piece, 2*piece + 1,
		3*piece + 7, 4 * piece, 7*piece - 1024, 9*piece + 65*1024 + 1, 33*piece + 12345,
	}
	file := newRepeating()
	for _, size := range sizes {
		var seen atomic.Int64
		o, m, err := HashFile(t.Context(), file, size, func(n int64) { seen.Add(n) })
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		data := make([]byte, size)
		file.ReadAt(data, 0)
		if o.ID != blake3.Sum256(data) || o.Size != size {
			t.Errorf("%d bytes: hashed as %v of %d", size, o.ID, o.Size)
		}
		if seen.Load() != size {
			t.Errorf("%d bytes: progress of %d", size, seen.Load())
		}
		if err := m.Verify(o); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
		checkPieces(t, o, m, data)
	}
}

// checkPieces holds every piece and its blocks against the manifest.
func checkPieces(t *testing.T, o Object, m *Manifest, data []byte) {
	t.Helper()
	for i := range o.Pieces() {
		offset, length := o.PieceRange(i)
		piece := data[offset : offset+length]
		if !m.VerifyPiece(o, i, piece) {
			t.Errorf("%d bytes: piece %d is refused", o.Size, i)
		}
		values := BlockValues(o, i, piece)
		if o.Size <= BlockUnit {
			if m.VerifyBlockValues(o, i, values) {
				t.Errorf("%d bytes: the values of a one-block object prove nothing", o.Size)
			}
			continue
		}
		if len(values) != BlockValueCount(o, i) || !m.VerifyBlockValues(o, i, values) {
			t.Errorf("%d bytes: the %d block values of piece %d are refused", o.Size, len(values), i)
		}
		read, err := ReadBlockValues(bytes.NewReader(data), o, i, make([]byte, 3*BlockUnit))
		if err != nil || !slices.Equal(read, values) {
			t.Errorf("%d bytes: other block values of piece %d are read: %v", o.Size, i, err)
		}
		if _, err := ReadBlockValues(bytes.NewReader(data[:offset+length-1]), o, i, make([]byte, BlockUnit)); !errors.Is(err, Changed) {
			t.Errorf("%d bytes: reading piece %d, whose last byte is missing: %v", o.Size, i, err)
		}
	}
}

// zeros is a file of zeros without an end.
type zeros struct{}

func (zeros) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}

// Above 1 GiB a piece has 1 MiB. The FileID is what "head -c 1073741825 /dev/zero | b3sum" prints.
func TestHashLargeFile(t *testing.T) {
	o, m, err := HashFile(t.Context(), zeros{}, 1<<30+1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Pieces) != 1025 || o.ID.String() != "8c5cb1562ffe2af8b4c8c7f0b4395c518a027f6d97c4bfc950f91eaa77e00e90" {
		t.Errorf("%d pieces, %v", len(m.Pieces), o.ID)
	}
}

// Of files too large for a test, the end alone: its proof leads to the last piece's hash.
func TestProveTailOfHugeFiles(t *testing.T) {
	file := newRepeating()
	for _, size := range []int64{
		1<<30 + 1, 64<<30 - 1, 64 << 30, 64<<30 + 1, 64<<30 + 1<<20 + 3333, 64<<30 + 2<<20, 1<<40 + 5<<20 + 1,
		MaxSize - 1<<30 + 1, MaxSize - 1<<30 + 3<<20 + 17, MaxSize - 1<<30 + 1024,
	} {
		o := Object{Size: size}
		tail, siblings, err := proveTail(file, o)
		if err != nil {
			t.Fatal(err)
		}
		m := &Manifest{Size: size, Tail: tail, Siblings: siblings}
		offset, length := o.PieceRange(o.Pieces() - 1)
		last := make([]byte, length)
		file.ReadAt(last, offset)
		if m.foldTail(o) != native.ChainingValue(last, uint64(offset/chunk)) {
			t.Errorf("%d bytes: the end does not lead to the last piece of %d bytes", size, length)
		}
		if len(siblings) > 20 {
			t.Errorf("%d bytes: %d siblings", size, len(siblings))
		}
	}
}

func TestHashFileRefusesSizes(t *testing.T) {
	for _, size := range []int64{-1, MaxSize + 1} {
		if _, _, err := HashFile(t.Context(), newRepeating(), size, nil); !errors.Is(err, BadRequest) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestHashFileThatIsShorter(t *testing.T) {
	data := make([]byte, 3*minPieceLength)
	for _, row := range [][2]int64{{0, 1}, {1, 2}, {1024, 1025}, {minPieceLength, minPieceLength + 1}, {2 * minPieceLength, 3 * minPieceLength}} {
		if _, _, err := HashFile(t.Context(), bytes.NewReader(data[:row[0]]), row[1], nil); !errors.Is(err, Changed) {
			t.Errorf("%d of %d bytes: %v", row[0], row[1], err)
		}
	}
}

// changing is a file whose last byte is another at each time it is read.
type changing struct {
	repeating
	size  int64
	times *atomic.Int64
}

func (c changing) ReadAt(p []byte, offset int64) (int, error) {
	n, err := c.repeating.ReadAt(p, offset)
	if last := c.size - 1 - offset; last < int64(n) {
		p[last] = byte(c.times.Add(1))
	}
	return n, err
}

func TestHashFileThatChanges(t *testing.T) {
	for _, size := range []int64{1, 1024, 5000, minPieceLength, minPieceLength + 1, 5*minPieceLength + 1} {
		file := changing{newRepeating(), size, new(atomic.Int64)}
		if _, _, err := HashFile(t.Context(), file, size, nil); !errors.Is(err, Changed) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

var errDisk = errors.New("the disk is broken")

// broken cannot be read from some offset on.
type broken struct {
	repeating
	from int64
}

func (b broken) ReadAt(p []byte, offset int64) (int, error) {
	if offset+int64(len(p)) > b.from {
		return 0, errDisk
	}
	return b.repeating.ReadAt(p, offset)
}

func TestHashFileReportsErrors(t *testing.T) {
	const size = 20 * minPieceLength
	for _, from := range []int64{0, minPieceLength, size - 1} {
		if _, _, err := HashFile(t.Context(), broken{newRepeating(), from}, size, nil); !errors.Is(err, errDisk) {
			t.Errorf("broken from %d on: %v", from, err)
		}
	}
	// In the middle only: the end has been read well before.
	hole := holed{newRepeating()}
	if _, _, err := HashFile(t.Context(), hole, size, nil); !errors.Is(err, errDisk) {
		t.Errorf("broken in the middle: %v", err)
	}
}

type holed struct{ repeating }

func (h holed) ReadAt(p []byte, offset int64) (int, error) {
	if offset == 7*minPieceLength {
		return 0, errDisk
	}
	return h.repeating.ReadAt(p, offset)
}

func TestHashFileCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, _, err := HashFile(ctx, newRepeating(), 64*minPieceLength, func(int64) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
