package journal

import (
	"errors"
	"io/fs"
	"os"

	"shoal/folder"
)

// keep compresses finished files and removes those there is no room for, whenever a file is finished, until the series
// is closed.
func (s *series) keep() {
	for {
		select {
		case <-s.stop:
			return
		case <-s.finished:
		}
		for _, f := range s.done() {
			if f.compressed {
				continue
			}
			if err := s.compress(f); err != nil {
				if !errors.Is(err, errStopped) {
					s.log.Error().Err(err).Str("file", f.name(s.prefix)).Msg("compressing a file of the journal failed; it stays as it is until the next one is finished")
				}
				break // and no further: most likely it is the disk
			}
		}
		s.retain()
	}
}

var errStopped = errors.New("the journal is being closed")

// compress replaces f by its compressed form. It has one or the other under its name at any time, or for a moment both;
// then the compressed one counts, which is whole.
func (s *series) compress(f file) error {
	in, err := s.open(f, "")
	if err != nil {
		return err
	}
	defer in.Close()
	small := f
	small.compressed = true
	path := s.path(small)
	if small.size, err = s.writeCompressed(path+unfinishedSuffix, in); err != nil {
		_ = os.Remove(path + unfinishedSuffix) // as it is when the journal is opened
		return err
	}
	if err := os.Rename(path+unfinishedSuffix, path); err != nil {
		return err
	}
	if err := folder.Sync(s.dir); err != nil {
		return err
	}
	s.update(small)
	return os.Remove(s.path(f))
}

func (s *series) writeCompressed(path string, in blocks) (size int64, err error) {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	c := newCompressor()
	for offset := int64(0); ; {
		select {
		case <-s.stop:
			return 0, errStopped
		default:
		}
		b, err := in.next(offset)
		if err != nil {
			return 0, err
		}
		if b.end == offset {
			return size, out.Sync()
		}
		m, err := c.member(b)
		if err != nil {
			return 0, err
		}
		n, err := out.Write(m)
		if err != nil {
			return 0, err
		}
		size, offset = size+int64(n), b.end
	}
}

// retain removes the oldest finished files until there is room for the present one to become as long as it may.
func (s *series) retain() {
	done := s.done()
	room := s.keepLimit - s.fileLimit
	for _, f := range done {
		room -= f.size
	}
	for _, f := range done {
		if room >= 0 {
			return
		}
		if err := os.Remove(s.path(f)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.log.Error().Err(err).Msg("removing the oldest file of the journal failed")
			return
		}
		s.forget(f.number)
		room += f.size
	}
}
