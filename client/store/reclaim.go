package store

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"shoal"
	"shoal/native"
)

// readUnit is how much of a piece is read and hashed at a time, in bytes: the length of the smallest whole piece, so
// a complete subtree that divides every other.
const readUnit = 256 << 10

// reclaim finds the pieces that the part holds: the trusted ones, and of the others those that have data and match
// their hashes. What has data and does not match is noted as stale.
func (p *Part) reclaim(ctx context.Context, trusted shoal.Bitfield, progress func(int64)) error {
	suspects := shoal.NewBitfield(p.object.Pieces())
	if err := p.markData(suspects); err != nil {
		return diskError(err, "finding the data in %s", p.path)
	}
	queue := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			buf := make([]byte, min(readUnit, p.object.Size))
			for i := range queue {
				p.examine(ctx, i, buf, progress)
			}
		})
	}
	first, count := p.wanted()
	for i := first; i < first+count; i++ {
		if trusted != nil && trusted.Has(i) {
			p.mu.Lock()
			p.have.Set(i)
			p.held++
			p.mu.Unlock()
		} else if suspects.Has(i) && ctx.Err() == nil {
			queue <- i
		}
	}
	close(queue)
	workers.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// examine hashes what the part has in the place of piece i. The buffer is its own while it runs.
func (p *Part) examine(ctx context.Context, i int, buf []byte, progress func(int64)) {
	// A piece that cannot be read is one to fetch again.
	if ok, err := p.matches(ctx, i, buf, progress); err == nil && ok {
		_, length := p.object.PieceRange(i)
		p.add(i, length)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stale.Set(i)
}

func (p *Part) matches(ctx context.Context, i int, buf []byte, progress func(int64)) (bool, error) {
	offset, length := p.object.PieceRange(i)
	values := make([]shoal.Hash, 0, (length+readUnit-1)/readUnit)
	for done := int64(0); done < length; {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		data := buf[:min(int64(len(buf)), length-done)]
		if _, err := p.file.ReadAt(data, offset+done); err != nil {
			return false, err
		}
		if progress != nil {
			progress(int64(len(data)))
		}
		if len(p.manifest.Pieces) == 0 { // one piece, which is one unit
			return p.manifest.VerifyPiece(p.object, i, data), nil
		}
		values = append(values, native.ChainingValue(data, uint64(offset+done)/native.ChunkSize))
		done += int64(len(data))
	}
	return native.Combine(values) == p.manifest.Pieces[i], nil
}

// markData sets the pieces in which the part's file has data, as opposed to space that was only reserved. There may
// be more: those of which the kernel has cached zeros, and where the filesystem cannot tell, all of them.
func (p *Part) markData(set shoal.Bitfield) error {
	full := p.object.PieceLength()
	for offset := int64(0); offset < p.object.Size; {
		start, err := seek(p.file, offset, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil
		}
		end := p.object.Size
		if err == nil {
			end, err = seek(p.file, start, unix.SEEK_HOLE)
		}
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
			start, end, err = offset, p.object.Size, nil
		}
		if err != nil {
			return err
		}
		end = min(end, p.object.Size)
		for i := start / full; i*full < end; i++ {
			set.Set(int(i))
		}
		offset = max(end, start+1)
	}
	return nil
}

func seek(f *os.File, offset int64, whence int) (int64, error) {
	err := onDescriptor(f, func(fd int) (err error) {
		offset, err = unix.Seek(fd, offset, whence)
		return err
	})
	return offset, err
}
