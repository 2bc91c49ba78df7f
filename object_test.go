package shoal

import (
	"errors"
	"math"
	"testing"
)

func TestSizes(t *testing.T) {
	for _, size := range []int64{0, 1, MaxSize} {
		if err := (Object{Size: size}).Check(); err != nil {
			t.Error(err)
		}
	}
	for _, size := range []int64{-1, math.MinInt64, MaxSize + 1, math.MaxInt64} {
		if err := (Object{Size: size}).Check(); !errors.Is(err, BadRequest) {
			t.Errorf("%d: %v", size, err)
		}
	}
}

// The pieces of any object cover it without gaps, are powers of two of chunks, and never too many.
func TestPiecesCover(t *testing.T) {
	var sizes []int64
	for shift := range 47 {
		for _, d := range []int64{-1025, -1, 0, 1, 1025} {
			if size := int64(1)<<shift + d; size >= 0 && size <= MaxSize {
				sizes = append(sizes, size)
			}
		}
	}
	for _, size := range sizes {
		o := Object{Size: size}
		pieces, length := o.Pieces(), o.PieceLength()
		if pieces < 1 || pieces > MaxPieces || length&(length-1) != 0 || length < minPieceLength || length > 1<<30 {
			t.Errorf("%d bytes are %d pieces of %d", size, pieces, length)
		}
		var end int64
		for _, i := range []int{0, 1, pieces / 2, pieces - 2, pieces - 1} {
			if i < 0 || i >= pieces {
				continue
			}
			offset, n := o.PieceRange(i)
			if end = offset + n; offset != int64(i)*length || i < pieces-1 && n != length || n > length || n < min(1, size) {
				t.Errorf("%d bytes: piece %d is %d+%d", size, i, offset, n)
			}
		}
		if end != size {
			t.Errorf("%d bytes: the last piece ends at %d", size, end)
		}
	}
}

func TestPieceRangePanics(t *testing.T) {
	for _, i := range []int{-1, 2} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("piece %d of 2 has a range", i)
				}
			}()
			Object{Size: minPieceLength + 1}.PieceRange(i)
		}()
	}
}

func TestCheckBlock(t *testing.T) {
	const piece = minPieceLength
	small := Object{Size: 2*piece + 100} // pieces of 256 KiB, 256 KiB and 100 bytes
	large := Object{Size: 64<<30 + 1}    // pieces of 2 MiB
	empty := Object{}
	for _, row := range []struct {
		o             Object
		i             int
		begin, length int64
		ok            bool
	}{
		{small, 0, 0, 1, true},
		{small, 0, 0, piece, true},
		{small, 1, piece - 1, 1, true},
		{small, 2, 0, 100, true},
		{small, 2, 99, 1, true},
		{small, 0, 0, 0, false},
		{small, 0, 0, piece + 1, false},
		{small, 0, 1, piece, false},
		{small, 0, piece, 0, false},
		{small, 0, piece, 1, false},
		{small, 2, 0, 101, false},
		{small, 2, 100, 1, false},
		{small, 2, 100, 0, false},
		{small, 3, 0, 1, false},
		{small, -1, 0, 1, false},
		{small, 0, -1, 1, false},
		{small, 0, 1, -1, false},
		{small, 0, math.MaxInt64, 1, false},
		{small, 0, 1, math.MaxInt64, false},
		{small, 0, math.MaxUint32, math.MaxUint32, false},
		{small, math.MaxInt, 0, 1, false},
		{large, 0, 0, MaxBlock, true},
		{large, 0, MaxBlock, MaxBlock, true},
		{large, 0, MaxBlock - 1, MaxBlock, true},
		{large, 0, 0, MaxBlock + 1, false},
		{large, 0, MaxBlock + 1, MaxBlock, false},
		{large, 1 << 15, 0, 1, true},
		{large, 1 << 15, 0, 2, false},
		{empty, 0, 0, 0, true},
		{empty, 0, 0, 1, false},
		{empty, 0, 1, 0, false},
		{empty, 1, 0, 0, false},
	} {
		err := row.o.CheckBlock(row.i, row.begin, row.length)
		if (err == nil) != row.ok || err != nil && !errors.Is(err, BadRequest) {
			t.Errorf("of %d bytes, piece %d, %d+%d: %v", row.o.Size, row.i, row.begin, row.length, err)
		}
	}
}
