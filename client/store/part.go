package store

import (
	"bytes"
	"errors"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"shoal"
)

// Part is a download in progress: the verified pieces of an object, in a hidden file of its final size in the
// destination folder. It implements Content, so they are served on meanwhile. All methods may be called concurrently
// but Finish and Close, which are the owner's. A Part is locked against other processes.
type Part struct {
	object   shoal.Object
	manifest *shoal.Manifest
	name     shoal.Name // that Finish gives to the file
	cut      *cut       // what is wanted of the object, if that is not all
	folder   *folder
	path     string   // of the part itself
	direct   *os.File // the same file, for writing past the page cache; nil where that is not possible
	inode    uint64
	stale    shoal.Bitfield       // pieces where the part held other bytes when it was opened
	finished atomic.Pointer[File] // what Finish returned

	mu      sync.Mutex // guards the fields below; not held during I/O
	have    shoal.Bitfield
	held    int            // pieces in have
	fresh   int64          // bytes of pieces that no sidecar lists yet
	broken  error          // the first failure to sync: what was written since the last checkpoint may not be on disk
	sealed  bool           // Finish or Close has begun
	spent   bool           // nobody needs it after Close
	closed  bool           // Close has begun
	writing sync.WaitGroup // the writes in progress; none is added when sealed

	saver saver
	*descriptor
}

// zeroMark is how much of a piece of zeros is written, in bytes: enough for the file to have an extent there, by which
// a resumed download sees that the piece is to be hashed.
const zeroMark = 4096

// WritePiece verifies that data is piece i, writes it and counts it as held. A piece that is held is not written
// again. data is the caller's again when WritePiece returns.
//
// Errors have the code Corrupt when data does not match the manifest (nothing was written), NoSpace when the disk is
// full, BadRequest for a piece the object does not have, Canceled after Close.
func (p *Part) WritePiece(i int, data []byte) error {
	if i < 0 || i >= p.object.Pieces() {
		return shoal.Errorf(shoal.BadRequest, "piece %d is to be written, of an object of %d", i, p.object.Pieces())
	}
	if wanted, err := p.begin(i); !wanted {
		return err
	}
	defer p.writing.Done()
	if !p.manifest.VerifyPiece(p.object, i, data) {
		return shoal.Errorf(shoal.Corrupt, "piece %d of %v does not match its hash", i, p.object.ID)
	}
	return p.write(i, data)
}

// write writes piece i, which has been verified, and counts it as held.
func (p *Part) write(i int, data []byte) error {
	offset, _ := p.object.PieceRange(i)
	toWrite := data
	if !p.stale.Has(i) && isZero(data) {
		toWrite = data[:min(len(data), zeroMark)] // the rest reads as zeros already
	}
	if err := writeAt(p.file, p.direct, toWrite, offset); err != nil {
		return diskError(err, "writing piece %d", i)
	}
	p.add(i, int64(len(data)))
	return nil
}

// begin reports whether piece i is to be written, and then counts it as being written. It is an error if nothing can
// be.
func (p *Part) begin(i int) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return false, shoal.Errorf(shoal.Canceled, "the download of %s was stopped", p.name)
	case p.broken != nil:
		return false, p.broken
	case p.sealed, p.have.Has(i):
		return false, nil
	}
	p.writing.Add(1)
	return true, nil
}

// seal lets no more writes begin, and waits for those in progress: for a second copy of the last piece, say, which
// would make the finished file look changed.
func (p *Part) seal() (broken error) {
	p.mu.Lock()
	p.sealed = true
	broken = p.broken
	p.mu.Unlock()
	p.writing.Wait()
	return broken
}

// add counts a piece that was written as held.
func (p *Part) add(i int, length int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.have.Has(i) {
		return
	}
	p.have.Set(i)
	p.held++
	p.fresh += max(length, 1)
	if p.fresh >= checkpointBytes {
		p.saver.wake()
	}
}

// isZero reports whether data has only zeros: whether it begins with one and each byte is like the next.
func isZero(data []byte) bool {
	return len(data) > 0 && data[0] == 0 && bytes.Equal(data[1:], data[:len(data)-1])
}

// Finish makes a whole part the final file: synced to disk, under its name, without replacing what may have appeared
// there. The File is opened anew, for reading; the Part can be read until Close, which is still the caller's duty.
//
// Errors have the code NotHeld when pieces are missing, Exists when the name has been taken. The part then stays, for
// Close to keep.
func (p *Part) Finish() (*File, error) {
	if err := p.checkComplete(); err != nil {
		return nil, err
	}
	p.saver.stop()
	if err := p.seal(); err != nil {
		return nil, err
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	if err := p.file.Sync(); err != nil {
		return nil, diskError(err, "syncing %s", p.path)
	}
	path := p.folder.join(string(p.name))
	if err := p.folder.move(p.partName(), string(p.name)); err != nil {
		if errors.Is(err, unix.EEXIST) {
			return nil, exists(path)
		}
		return nil, diskError(err, "renaming the finished download to %s", path)
	}
	if err := p.folder.remove(p.sidecarName()); err != nil && !errors.Is(err, unix.ENOENT) {
		return nil, diskError(err, "removing a sidecar beside %s", path)
	}
	if err := p.folder.sync(); err != nil {
		return nil, diskError(err, "syncing the folder %s", p.folder.path)
	}
	f, err := p.reopen(path)
	if err != nil {
		return nil, err
	}
	p.finished.Store(f)
	return f, nil
}

func (p *Part) checkComplete() error {
	if missing := len(p.Missing()); missing > 0 {
		_, count := p.wanted()
		return shoal.Errorf(shoal.NotHeld, "%d of %d pieces of %s are missing", missing, count, p.name)
	}
	return nil
}

// reopen opens the finished file for reading only, so that it may be executed. It must be the one that was written.
func (p *Part) reopen(path string) (*File, error) {
	file, err := p.folder.open(string(p.name), unix.O_RDONLY)
	if err != nil {
		return nil, diskError(err, "opening the finished download %s", path)
	}
	f, err := newFile(file, path)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if f.stamp.Inode != p.inode || f.stamp.Size != p.object.Size {
		err := shoal.Errorf(shoal.Changed, "%s was replaced as soon as it was there", path)
		return nil, errors.Join(err, f.Close())
	}
	f.object, f.manifest = p.object, p.manifest
	return f, nil
}

// Close stops the download and writes down what is held, so that OpenPart can resume it, at once. After Finish it only
// gives the descriptors back. A part that holds nothing is removed, with the space that it has reserved, and so is one
// after Extract. Further calls do nothing.
func (p *Part) Close() error {
	p.mu.Lock()
	again := p.closed
	p.closed = true
	p.mu.Unlock()
	if again {
		return nil
	}
	p.saver.stop()
	_ = p.seal() // checkpoint tells what is broken
	var err error
	switch {
	case p.finished.Load() != nil:
	case p.isSpent():
		err = errors.Join(p.discard(), p.unlock())
	default:
		err = errors.Join(p.checkpoint(), p.discardEmpty(), p.unlock())
	}
	if p.direct != nil {
		err = errors.Join(err, p.direct.Close())
	}
	return errors.Join(err, p.close(), p.folder.close())
}

// Missing lists the wanted pieces that are not held, in their order.
func (p *Part) Missing() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	first, count := p.wanted()
	missing := make([]int, 0, max(0, count-p.held))
	for i := first; i < first+count; i++ {
		if !p.have.Has(i) {
			missing = append(missing, i)
		}
	}
	return missing
}
