package store

import (
	"errors"

	"golang.org/x/sys/unix"

	"shoal"
)

// Discard removes what an unfinished download of an object, or of a range of it, left in a folder, which need not be there.
// The zero Range is all of the object; another is as Range.In gives it. The error has code Busy when it is being downloaded.
func Discard(dir string, o shoal.Object, r shoal.Range) error {
	folder, err := openFolder(dir)
	if errors.Is(err, shoal.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	p := &Part{object: o, folder: folder}
	if r != (shoal.Range{}) {
		p.cut = &cut{Range: r}
	}
	p.path = folder.join(p.partName())
	return errors.Join(p.seize(), folder.close())
}

// seize locks the part and removes it.
func (p *Part) seize() error {
	for {
		file, err := p.folder.open(p.partName(), unix.O_RDWR)
		switch {
		case errors.Is(err, unix.ENOENT):
			return p.removeOrphan()
		case errors.Is(err, unix.ELOOP), errors.Is(err, unix.EISDIR), errors.Is(err, unix.ENXIO):
			return p.notAFile()
		case err != nil:
			return diskError(err, "opening %s", p.path)
		}
		mine, err := p.lock(file)
		if mine && err == nil {
			err = p.discard()
		}
		if err := errors.Join(err, file.Close()); mine || err != nil {
			return err
		}
		// Who had the lock has just renamed or removed the file: look again.
	}
}
