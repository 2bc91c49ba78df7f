package store

import (
	"errors"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"shoal"
)

// Spool is the verified pieces of an object that is streamed. Those that were not read yet are in memory, as far as
// SpoolMemory goes; the others, and those that are kept to be served, in a file without a name, which is gone with the
// process whatever becomes of that. It implements Content, for when it is Kept. All methods may be called concurrently.
type Spool struct {
	object   shoal.Object
	manifest *shoal.Manifest
	kept     bool
	direct   *os.File // the same file, for writing past the page cache; nil where that is not possible

	mu     sync.Mutex // guards the rest; not held during I/O
	have   shoal.Bitfield
	held   int
	unread map[int][]byte // pieces that are in memory
	spare  [][]byte       // buffers for more of them
	free   int            // bytes that may still be allocated for that
	*descriptor
}

// SpoolMemory is how many bytes of pieces a Spool has in memory at most. A stream that reads no further ahead than that
// does not wait for the disk.
const SpoolMemory = 16 << 20

// OpenSpool makes a spool in a folder, for the pieces that r lies in, which Range.In has returned; the manifest has been
// verified for the object. It keeps what was read, to be served, where that takes no more than half of the disk's free
// space; else ahead bytes must be free, for what was not read yet and is not in memory, and Passed gives the rest back. The error has code
// NoSpace where they are not.
func OpenSpool(dir string, o shoal.Object, m *shoal.Manifest, r shoal.Range, ahead int64) (*Spool, error) {
	folder, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	defer folder.close()
	free, err := folder.free()
	if err != nil {
		return nil, diskError(err, "asking how much space is left in %s", folder.path)
	}
	if need := min(r.Length(), ahead); free < need {
		return nil, shoal.Errorf(shoal.NoSpace, "%s are needed in %s, and %s are free; free some space or choose another folder with --state",
			bytesText(need), folder.path, bytesText(free))
	}
	file, err := folder.nameless()
	if err != nil {
		return nil, diskError(err, "making a file in %s", folder.path)
	}
	d, err := newDescriptor(file)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	s := &Spool{
		object: o, manifest: m, kept: r.Length() <= free/2, direct: openDirect(file), have: shoal.NewBitfield(o.Pieces()),
		unread: map[int][]byte{}, free: SpoolMemory, descriptor: d,
	}
	if o.Size == 0 { // an empty piece is all there
		s.have.Set(0)
		s.held = 1
	}
	return s, nil
}

// nameless makes a file that has no name.
func (d *folder) nameless() (*os.File, error) {
	fd := -1
	err := onDescriptor(d.dir, func(dir int) (err error) {
		fd, err = unix.Openat(dir, ".", unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
		return err
	})
	if err == nil {
		return os.NewFile(uintptr(fd), d.join("(spool)")), nil
	}
	// Not every filesystem has them (open(2), O_TMPFILE).
	f, err := os.CreateTemp(d.path, reservedPrefix+"*.spool")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// WritePiece verifies that data is piece i, writes it and counts it as held. data is the caller's again when it returns.
// Errors have the code Corrupt when data does not match the manifest (nothing was written), NoSpace when the disk is full,
// BadRequest for a piece that the object does not have, Canceled after Close.
func (s *Spool) WritePiece(i int, data []byte) error {
	if i < 0 || i >= s.object.Pieces() {
		return shoal.Errorf(shoal.BadRequest, "piece %d is to be written, of an object of %d", i, s.object.Pieces())
	}
	if !s.manifest.VerifyPiece(s.object, i, data) {
		return shoal.Errorf(shoal.Corrupt, "piece %d of %v does not match its hash", i, s.object.ID)
	}
	if err := s.Hold(); err != nil {
		return shoal.Errorf(shoal.Canceled, "the stream was stopped")
	}
	defer s.Release()
	if s.Has(i) {
		return nil
	}
	copied := s.buffer(len(data))
	copy(copied, data)
	if s.kept || copied == nil {
		offset, _ := s.object.PieceRange(i)
		if err := writeAt(s.file, s.direct, data, offset); err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.giveBack(copied)
			return diskError(err, "writing piece %d", i)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.have.Has(i): // another goroutine was faster
		s.giveBack(copied)
		return nil
	case copied != nil:
		s.unread[i] = copied
	}
	s.have.Set(i)
	s.held++
	return nil
}

// buffer is memory for a piece; nil where there is no more.
func (s *Spool) buffer(n int) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := len(s.spare) - 1; last >= 0 {
		b := s.spare[last]
		s.spare = s.spare[:last]
		return b[:n]
	}
	full := int(s.object.PieceLength())
	if n == 0 || s.free < full {
		return nil
	}
	s.free -= full
	return make([]byte, n, full)
}

// giveBack takes a buffer back. The caller holds mu.
func (s *Spool) giveBack(b []byte) {
	if b != nil {
		s.spare = append(s.spare, b)
	}
}

// Unread is piece i, if it is held and in memory; else it is to be read by ReadAt. It must not be used after Passed.
func (s *Spool) Unread(i int) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unread[i]
}

// Passed says that piece i was read and is needed only to be served.
func (s *Spool) Passed(i int) {
	s.mu.Lock()
	b := s.unread[i]
	delete(s.unread, i)
	s.giveBack(b)
	s.mu.Unlock()
	if s.kept || b != nil {
		return
	}
	offset, length := s.object.PieceRange(i)
	_ = onDescriptor(s.file, func(fd int) error { // where that is not possible, the space is given back in the end
		return unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, offset, length)
	})
}

// Kept reports whether what was read is still there, and so can be served.
func (s *Spool) Kept() bool { return s.kept }

// Object implements Content.
func (s *Spool) Object() shoal.Object { return s.object }

// Manifest implements Content.
func (s *Spool) Manifest() *shoal.Manifest { return s.manifest }

// Has implements Content.
func (s *Spool) Has(piece int) bool {
	if piece < 0 || piece >= s.object.Pieces() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.have.Has(piece)
}

// Whole implements Content.
func (s *Spool) Whole() bool { return s.Held() == s.object.Pieces() }

// Bitfield implements Content.
func (s *Spool) Bitfield() shoal.Bitfield {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == s.object.Pieces() {
		return nil
	}
	return slices.Clone(s.have)
}

// Held implements Content.
func (s *Spool) Held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}

// Check implements Content: nobody else can reach the file.
func (s *Spool) Check() error { return nil }

// Close gives the descriptor, and the space, back as soon as nobody holds the spool; it does not wait for that. A second
// Close returns os.ErrClosed.
func (s *Spool) Close() error {
	err := s.close()
	if err == nil && s.direct != nil {
		err = s.direct.Close()
	}
	return err
}

var _ Content = (*Spool)(nil)
