package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"shoal"
)

// reservedPrefix begins the names of parts and sidecars, which a download must not be able to plant.
const reservedPrefix = ".shoal-"

// OpenPart starts the download of an object into a folder, under a name from ParseName, or resumes it. It is ResumePart
// that cannot be canceled.
func OpenPart(dir string, name shoal.Name, o shoal.Object, m *shoal.Manifest) (*Part, error) {
	return ResumePart(context.Background(), dir, name, o, m, nil)
}

// ResumePart starts the download of an object into a folder, under a name from ParseName, or resumes it: pieces that
// an earlier process wrote are held, after those the sidecar does not list have been hashed on all cores. progress, if
// not nil, is called from several goroutines with the number of bytes just hashed. m has been verified for o. The
// part's name does not depend on name.
//
// Errors have the code Exists when something has the name already, or stands where the part should (ask Holds whether
// it is the object); NoSpace when the disk has no room for the whole; Busy when another process, or another Part of
// this one, downloads the same object to the folder; NotFound or Denied when there is no such folder or it cannot be
// written to; BadRequest for a reserved name; Canceled when ctx ends.
func ResumePart(ctx context.Context, dir string, name shoal.Name, o shoal.Object, m *shoal.Manifest, progress func(int64)) (*Part, error) {
	return resume(ctx, dir, name, o, m, nil, progress)
}

func resume(ctx context.Context, dir string, name shoal.Name, o shoal.Object, m *shoal.Manifest, c *cut, progress func(int64)) (*Part, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if len(name) >= len(reservedPrefix) && strings.EqualFold(string(name[:len(reservedPrefix)]), reservedPrefix) {
		return nil, shoal.Errorf(shoal.BadRequest, "the name %q is reserved for unfinished downloads; choose another", name)
	}
	folder, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	p := &Part{
		object: o, manifest: m, name: name, folder: folder, cut: c,
		have: shoal.NewBitfield(o.Pieces()), stale: shoal.NewBitfield(o.Pieces()),
	}
	p.path = folder.join(p.partName())
	if err := p.claim(); err != nil {
		return nil, errors.Join(err, folder.close())
	}
	if err := p.prepare(ctx, progress); err != nil {
		return nil, errors.Join(err, p.close(), folder.close())
	}
	p.direct = openDirect(p.file)
	p.saver.start(p)
	return p, nil
}

func (p *Part) partName() string { return p.stem() + ".part" }

func (p *Part) sidecarName() string { return p.stem() + ".have" }

func (p *Part) stem() string { return reservedPrefix + p.object.ID.String()[:32] + p.cut.suffix() }

// claim opens the part's file, new or old, and locks it. It leaves nothing open when it fails.
func (p *Part) claim() error {
	for {
		if err := p.checkVacant(); err != nil {
			return errors.Join(err, p.removeOrphan())
		}
		file, err := p.openOrCreate()
		if err != nil {
			return err
		}
		mine, err := p.lock(file)
		if mine && err == nil {
			p.descriptor, err = newDescriptor(file)
		}
		if mine && err == nil {
			return nil
		}
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
		// The one who had the lock has just renamed or removed the file: look again.
	}
}

// checkVacant makes sure that the final name is free.
func (p *Part) checkVacant() error {
	_, err := p.folder.stat(string(p.name))
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil
	case err != nil:
		return diskError(err, "looking for %s", p.folder.join(string(p.name)))
	}
	return exists(p.folder.join(string(p.name)))
}

func exists(path string) error {
	return shoal.Errorf(shoal.Exists, "%s is there already; remove it, or choose another name", path)
}

// removeOrphan removes the sidecar that a crash at the very end of a download left without its part.
func (p *Part) removeOrphan() error {
	if _, err := p.folder.stat(p.partName()); !errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err := p.folder.remove(p.sidecarName()); err != nil && !errors.Is(err, unix.ENOENT) {
		return diskError(err, "removing the sidecar of a finished download")
	}
	return nil
}

func (p *Part) openOrCreate() (*os.File, error) {
	for {
		file, err := p.folder.open(p.partName(), unix.O_RDWR)
		if errors.Is(err, unix.ENOENT) {
			file, err = p.folder.open(p.partName(), unix.O_RDWR|unix.O_CREAT|unix.O_EXCL)
			if errors.Is(err, unix.EEXIST) {
				continue // by another process, just now
			}
		}
		switch {
		case errors.Is(err, unix.ELOOP), errors.Is(err, unix.EISDIR), errors.Is(err, unix.ENXIO):
			return nil, p.notAFile()
		case err != nil:
			return nil, diskError(err, "opening %s", p.path)
		}
		return file, nil
	}
}

func (p *Part) notAFile() error {
	return shoal.Errorf(shoal.Exists, "%s is not a regular file of its own, which an unfinished download is; remove it", p.path)
}

// lock locks the part's file against other processes. It is false when the file has lost its name meanwhile.
func (p *Part) lock(file *os.File) (bool, error) {
	err := onDescriptor(file, func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, shoal.Errorf(shoal.Busy, "%s is being downloaded to %s by another process; wait for it or stop it", p.object.ID, p.folder.path)
	}
	if err != nil {
		return false, diskError(err, "locking %s", p.path)
	}
	opened, err := fstat(file)
	if err != nil {
		return false, diskError(err, "examining %s", p.path)
	}
	named, err := p.folder.stat(p.partName())
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, diskError(err, "examining %s", p.path)
	}
	if opened.Mode&unix.S_IFMT != unix.S_IFREG || opened.Nlink > 1 {
		return false, p.notAFile()
	}
	p.inode = opened.Ino
	return opened.Ino == named.Ino && opened.Dev == named.Dev, nil
}

// unlock lets others open the part, though somebody may still hold the descriptor.
func (p *Part) unlock() error {
	return onDescriptor(p.file, func(fd int) error { return unix.Flock(fd, unix.LOCK_UN) })
}

// discardEmpty removes a part that holds nothing, if it still has its name. Nobody else can have taken that: the part is
// locked.
func (p *Part) discardEmpty() error {
	if p.Held() > 0 {
		return nil
	}
	return p.discard()
}

// discard removes the part, if it still has its name.
func (p *Part) discard() error {
	named, err := p.folder.stat(p.partName())
	if err == nil && named.Ino == p.inode {
		err = p.folder.remove(p.partName())
	}
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return diskError(err, "removing %s, which is of no use any more", p.path)
	}
	return p.removeOrphan()
}

// prepare gives the part its size and finds what it holds already.
func (p *Part) prepare(ctx context.Context, progress func(int64)) error {
	before, err := fstat(p.file)
	if err != nil {
		return diskError(err, "examining %s", p.path)
	}
	fresh := before.Size == 0 && before.Blocks == 0
	if err := p.settleClaim(fresh); err != nil {
		return err
	}
	if err := p.allocate(before); err != nil {
		if fresh {
			err = errors.Join(err, p.folder.remove(p.partName()))
		}
		return err
	}
	if p.object.Size == 0 {
		p.add(0, 0) // an empty piece is all there
		return nil
	}
	if fresh {
		return nil
	}
	var trusted shoal.Bitfield
	if before.Size == p.object.Size {
		trusted = p.readSidecar()
	}
	return p.reclaim(ctx, trusted, progress)
}

// settleClaim looks at the final name again, now that nobody else can finish this part.
func (p *Part) settleClaim(fresh bool) error {
	err := p.checkVacant()
	if err != nil && fresh {
		return errors.Join(err, p.folder.remove(p.partName()))
	}
	return err
}

// Begun reports whether an unfinished download of an object, or of a range of it if r is not nil, lies in a folder: if not,
// nothing of it is there.
func Begun(dir string, o shoal.Object, r *shoal.Range) bool {
	p := &Part{object: o}
	if r != nil {
		p.cut = &cut{Range: *r}
	}
	_, err := os.Lstat(filepath.Join(dir, p.partName()))
	return !errors.Is(err, os.ErrNotExist)
}
