package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"shoal"
)

// cut is what is wanted of an object; nil for all.
type cut struct {
	shoal.Range // as Range.In gives it
	first       int
	count       int // pieces
}

// ResumeRange is ResumePart for the pieces that r lies in, which Range.In has returned. Disk space is needed for those, and
// for Extract. The part is another one than that of the whole object, or of another range.
func ResumeRange(ctx context.Context, dir string, name shoal.Name, o shoal.Object, m *shoal.Manifest, r shoal.Range, progress func(int64)) (*Part, error) {
	if r.Begin < 0 || r.Begin >= r.End || r.End > o.Size {
		return nil, shoal.Errorf(shoal.BadRequest, "bytes %d to %d are wanted, of an object of %d", r.Begin, r.End, o.Size)
	}
	c := &cut{Range: r}
	c.first, c.count = o.PiecesOf(r)
	return resume(ctx, dir, name, o, m, c, progress)
}

// suffix tells the parts of an object from each other.
func (c *cut) suffix() string {
	if c == nil {
		return ""
	}
	return fmt.Sprintf("-%d-%d", c.Begin, c.End)
}

// length is how many bytes Extract writes.
func (c *cut) length() int64 {
	if c == nil {
		return 0
	}
	return c.Length()
}

// wanted are the pieces that the part is for.
func (p *Part) wanted() (first, count int) {
	if p.cut == nil {
		return 0, p.object.Pieces()
	}
	return p.cut.first, p.cut.count
}

// wantedSpan is wanted in bytes.
func (p *Part) wantedSpan() (offset, length int64) {
	first, count := p.wanted()
	offset, _ = p.object.PieceRange(first)
	last, n := p.object.PieceRange(first + count - 1)
	return offset, last + n - offset
}

func (p *Part) isSpent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.spent
}

// extractStep is how many bytes are copied between two looks at the context.
const extractStep = 16 << 20

// Extract writes the range of a part from ResumeRange to a file under the part's name, synced to disk, without replacing
// what may have appeared there, and returns its path. Close then removes the part.
//
// Errors have the code NotHeld when pieces are missing, Exists when the name has been taken, NoSpace when the disk is
// full; it is the cause when ctx ends. The part then stays, for Close to keep.
func (p *Part) Extract(ctx context.Context) (path string, err error) {
	if p.cut == nil {
		return "", shoal.Errorf(shoal.BadRequest, "%s is a part of a whole file, of which nothing is to be extracted", p.path)
	}
	err = p.checkComplete()
	if err == nil {
		err = p.Check()
	}
	if err != nil {
		return "", err
	}
	path = p.folder.join(string(p.name))
	draft := p.stem() + ".cut"
	if err := p.writeCut(ctx, draft); err != nil {
		return "", errors.Join(err, p.removeDraft(draft))
	}
	if err := p.folder.move(draft, string(p.name)); err != nil {
		if errors.Is(err, unix.EEXIST) {
			err = exists(path)
		} else {
			err = diskError(err, "renaming the finished download to %s", path)
		}
		return "", errors.Join(err, p.removeDraft(draft))
	}
	if err := p.folder.sync(); err != nil {
		return "", diskError(err, "syncing the folder %s", p.folder.path)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spent = true
	return path, nil
}

func (p *Part) removeDraft(draft string) error {
	if err := p.folder.remove(draft); err != nil && !errors.Is(err, unix.ENOENT) {
		return diskError(err, "removing %s", p.folder.join(draft))
	}
	return nil
}

// writeCut copies the range to a new file, and syncs it.
func (p *Part) writeCut(ctx context.Context, draft string) error {
	// What a crash left there; nobody else writes it while the part is locked.
	if err := p.removeDraft(draft); err != nil {
		return err
	}
	f, err := p.folder.open(draft, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)
	if err != nil {
		return diskError(err, "making %s", p.folder.join(draft))
	}
	for at := p.cut.Begin; at < p.cut.End && err == nil; at += extractStep {
		if err = context.Cause(ctx); err == nil {
			err = p.copyTo(f, at, min(at+extractStep, p.cut.End))
		}
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil || ctx.Err() != nil {
		return err
	}
	return diskError(err, "copying the range to %s", p.folder.join(draft))
}

// copyTo appends the bytes from begin to end to f: without reading them, where the filesystem can (copy_file_range(2)).
func (p *Part) copyTo(f *os.File, begin, end int64) error {
	for begin < end {
		var n int
		from := begin
		err := onDescriptor(p.file, func(source int) error {
			return onDescriptor(f, func(target int) (err error) {
				n, err = unix.CopyFileRange(source, &from, target, nil, int(end-begin), 0)
				return err
			})
		})
		switch {
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EXDEV), errors.Is(err, unix.EINVAL):
			_, err = io.Copy(f, io.NewSectionReader(p.file, begin, end-begin))
			return err
		case err != nil:
			return err
		case n == 0:
			return io.ErrUnexpectedEOF
		}
		begin += int64(n)
	}
	return nil
}
