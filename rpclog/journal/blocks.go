package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// blockSize is how much of a file is read, or compressed, at once, in bytes of lines.
const blockSize = 1 << 20

// maxLine is more than any line can have: what is longer without an end is not ours.
const maxLine = 8 << 20

// block is a run of whole lines.
type block struct {
	start, end int64  // in the file, as it was before it was compressed
	lines      []byte // those; nil if they cannot be read or need not be. Valid until the next is read.
}

// blocks reads a file in blocks, whatever form it has. Not for concurrent use.
type blocks interface {
	// next returns lines from offset on; at the end of the file an empty block with end = offset.
	next(offset int64) (block, error)
	// previous returns the lines before end, which is where a line ends.
	previous(end int64) (block, error)
	// size returns the end of the last line.
	size() int64
	io.Closer
}

// open opens f, as it is now. Lines older than since need not be returned (timeLayout; "" for all). The error is
// fs.ErrNotExist where f has been compressed or removed meanwhile.
func (s *series) open(f file, since string) (blocks, error) {
	in, err := os.Open(s.path(f))
	if err != nil {
		return nil, err
	}
	if !f.compressed {
		return &plainBlocks{File: in, limit: f.size}, nil
	}
	c, err := openCompressed(in, since)
	if errors.Is(err, errDamaged) {
		s.log.Warn().Err(err).Msg("what comes after that in the file cannot be read")
		err = nil
	}
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return c, nil
}

// plainBlocks reads a file as it was written.
type plainBlocks struct {
	*os.File
	limit  int64 // where to stop: what comes then is being written
	buffer []byte
}

func (p *plainBlocks) size() int64 { return p.limit }

func (p *plainBlocks) read(offset, n int64) ([]byte, error) {
	if int64(cap(p.buffer)) < n {
		p.buffer = make([]byte, n)
	}
	b := p.buffer[:n]
	got, err := p.ReadAt(b, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	return b[:got], nil
}

func (p *plainBlocks) next(offset int64) (block, error) {
	for n := int64(blockSize); offset < p.limit; n *= 2 {
		b, err := p.read(offset, min(n, p.limit-offset))
		if err != nil {
			return block{}, err
		}
		if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
			return block{offset, offset + int64(i) + 1, b[:i+1]}, nil
		}
		if n >= maxLine || offset+n >= p.limit {
			return block{offset, min(offset+n, p.limit), nil}, nil
		}
	}
	return block{start: offset, end: offset}, nil
}

func (p *plainBlocks) previous(end int64) (block, error) {
	for n := int64(blockSize); end > 0; n *= 2 {
		start := max(end-n, 0)
		b, err := p.read(start, end-start)
		if err != nil {
			return block{}, err
		}
		if start == 0 {
			return block{0, end, b}, nil
		}
		// The first line may have begun before.
		if i := bytes.IndexByte(b[:max(len(b)-1, 0)], '\n'); i >= 0 {
			return block{start + int64(i) + 1, end, b[i+1:]}, nil
		}
		if n >= maxLine {
			return block{start, end, nil}, nil
		}
	}
	return block{}, nil
}

// eachLine calls do with every line of b, without its newline, and where it begins, until do returns false.
func (b block) eachLine(do func(line []byte, start int64) bool) {
	rest, start := b.lines, b.start
	for {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 || !do(rest[:i], start) {
			return
		}
		rest, start = rest[i+1:], start+int64(i)+1
	}
}
