package shoal

import (
	"context"
	"fmt"
	"io"
	"iter"
	"math/bits"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"shoal/native"
)

// hashUnit is how much one worker reads at a time, in bytes: the shortest piece, which divides every other.
const hashUnit = minPieceLength

// HashFile reads size bytes of r once, on all cores, and returns the object with the manifest that proves it. Memory
// is bounded by one hashUnit per core and 32 bytes per piece and per unit of a piece. progress, if not nil, is called from several
// goroutines with the number of bytes just hashed. A file that ends early fails with code Changed.
func HashFile(ctx context.Context, r io.ReaderAt, size int64, progress func(int64)) (Object, *Manifest, error) {
	o := Object{Size: size}
	if err := o.Check(); err != nil {
		return o, nil, err
	}
	m := &Manifest{Size: size}
	var err error
	if m.Tail, m.Siblings, err = proveTail(r, o); err != nil {
		return o, nil, err
	}
	if o.Pieces() == 1 {
		data := make([]byte, size)
		if err := readFull(r, data, 0); err != nil {
			return o, nil, err
		}
		if progress != nil {
			progress(size)
		}
		o.ID = native.Sum(data)
	} else {
		if m.Pieces, err = hashPieces(ctx, r, o, progress); err != nil {
			return o, nil, err
		}
		o.ID = native.Root(m.Pieces)
	}
	// The end was read apart from the rest: a file written to meanwhile may fail here, and not first at a peer.
	if m.Verify(o) != nil {
		return o, nil, Errorf(Changed, "the file changed while it was read; publish it again when it is at rest")
	}
	return o, m, nil
}

// hashPieces computes every piece's chaining value, in whatever order the workers get to them.
func hashPieces(ctx context.Context, r io.ReaderAt, o Object, progress func(int64)) ([]Hash, error) {
	values := make([]Hash, o.Pieces())
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			buf := make([]byte, hashUnit)
			for ctx.Err() == nil {
				i := int(next.Add(1) - 1)
				if i >= len(values) {
					return
				}
				offset, length := o.PieceRange(i)
				var err error
				if values[i], err = subtree(r, offset, length, buf); err != nil {
					cancel(err)
					return
				}
				if progress != nil {
					progress(length)
				}
			}
		})
	}
	workers.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return values, nil
}

// proveTail reads the last piece and returns the last chunk and the siblings on its path.
func proveTail(r io.ReaderAt, o Object) (tail []byte, siblings []Hash, err error) {
	start, length := o.PieceRange(o.Pieces() - 1)
	buf := make([]byte, min(length, hashUnit))
	for offset, left := range tailLefts(o) {
		value, err := subtree(r, start+offset, left, buf)
		if err != nil {
			return nil, nil, err
		}
		siblings = append(siblings, value)
	}
	slices.Reverse(siblings)
	tail = make([]byte, o.Size-tailOffset(o))
	return tail, siblings, readFull(r, tail, tailOffset(o))
}

// subtree returns the chaining value of length bytes at offset, a piece or a left side of one, read a unit at a time.
func subtree(r io.ReaderAt, offset, length int64, buf []byte) (Hash, error) {
	values := make([]Hash, 0, (length+hashUnit-1)/hashUnit)
	for done := int64(0); done < length; done += hashUnit {
		data := buf[:min(hashUnit, length-done)]
		if err := readFull(r, data, offset+done); err != nil {
			return Hash{}, err
		}
		values = append(values, native.ChainingValue(data, uint64((offset+done)/chunk)))
	}
	return native.Combine(values), nil
}

// ReadBlockValues is BlockValues of what r has of o's piece i, read through buf, which has a multiple of BlockUnit bytes: a
// piece may be long. A file that ends early fails with code Changed.
func ReadBlockValues(r io.ReaderAt, o Object, i int, buf []byte) ([]Hash, error) {
	offset, length := o.PieceRange(i)
	values := make([]Hash, 0, BlockValueCount(o, i))
	for {
		data := buf[:min(int64(len(buf)), length)]
		if err := readFull(r, data, offset); err != nil {
			return nil, err
		}
		values = native.BlockValues(values, data, uint64(offset/chunk), BlockUnit)
		offset, length = offset+int64(len(data)), length-int64(len(data))
		if length == 0 {
			return values, nil
		}
	}
}

// tailLefts yields, from the top down, the left subtrees beside the path to the last chunk: where each begins within
// the last piece and how long it is, in bytes.
func tailLefts(o Object) iter.Seq2[int64, int64] {
	return func(yield func(offset, length int64) bool) {
		start, _ := o.PieceRange(o.Pieces() - 1)
		chunks := (tailOffset(o)-start)/chunk + 1
		for offset := int64(0); chunks > 1; {
			left := int64(1) << (bits.Len64(uint64(chunks-1)) - 1)
			if !yield(offset*chunk, left*chunk) {
				return
			}
			offset += left
			chunks -= left
		}
	}
}

func readFull(r io.ReaderAt, p []byte, offset int64) error {
	n, err := r.ReadAt(p, offset)
	if n == len(p) {
		return nil
	}
	if err == io.EOF {
		return Errorf(Changed, "the file ends at byte %d, before its size of record; it changed while it was read", offset+int64(n))
	}
	return fmt.Errorf("reading %d bytes at %d: %w", len(p), offset, err)
}
