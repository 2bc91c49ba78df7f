package oncrpc

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"sync"
	"time"
)

const (
	// lastFragment marks the last fragment of a record (RFC 5531 section 11).
	lastFragment = 1 << 31
	// maxFragments is how many fragments a record may have, whatever their sizes.
	maxFragments = 4096
	// readBuffer is small, because larger reads go past it straight into their destination.
	readBuffer = 4 << 10
	// firstBuffer is how much the header of a fragment alone can make a reader allocate, in bytes.
	firstBuffer = 4 << 10
)

// recordReader reads records from a stream (RFC 5531 section 11). For one goroutine.
type recordReader struct {
	r     *bufio.Reader
	src   *source
	limit int           // bytes of a record over all fragments
	idle  time.Duration // how long a record may take to begin; 0 for ever
	whole time.Duration // how long it may take from there to its end; 0 for ever
	large *sync.Pool    // of *[]byte, where buffers of over keepBuffer bytes may be; nil for none
}

func newRecordReader(src *source, limit int) *recordReader {
	return &recordReader{r: bufio.NewReaderSize(src, readBuffer), src: src, limit: limit}
}

// next reads a record into buf, from its beginning, or where that is too small into a larger buffer that grows with what
// arrives. The error is io.EOF where the stream ends between two records; it is ErrRecord, wrapped, over the limits.
func (r *recordReader) next(buf []byte) ([]byte, error) {
	buf = buf[:0]
	r.src.within(r.idle)
	for fragments := 1; ; fragments++ {
		head, err := r.header()
		if err != nil {
			if fragments > 1 && err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return buf, err
		}
		if fragments == 1 {
			r.src.within(r.whole)
		}
		size := int(head &^ lastFragment)
		switch {
		case size > r.limit-len(buf):
			return buf, fmt.Errorf("%w: over %d bytes", ErrRecord, r.limit)
		case fragments > maxFragments:
			return buf, fmt.Errorf("%w: over %d fragments", ErrRecord, maxFragments)
		}
		if buf, err = r.fill(buf, size); err != nil {
			return buf, err
		}
		if head&lastFragment != 0 {
			return buf, nil
		}
	}
}

func (r *recordReader) header() (uint32, error) {
	b, err := r.r.Peek(4)
	if err != nil {
		if err == io.EOF && len(b) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return 0, err
	}
	head := binary.BigEndian.Uint32(b)
	_, err = r.r.Discard(4)
	return head, err
}

// fill appends n bytes of the stream to buf. Where that has to grow, it becomes at most four times as large as what has
// arrived, and at least twice as large as it was: otherwise many small fragments would have it copied many times.
func (r *recordReader) fill(buf []byte, n int) ([]byte, error) {
	for n > 0 {
		if len(buf) == cap(buf) {
			size := min(len(buf)+n, max(firstBuffer, 4*len(buf)))
			if size < 2*len(buf) {
				size = min(4*len(buf), r.limit)
			}
			buf = append(r.buffer(size), buf...)
		}
		part := buf[len(buf):min(cap(buf), len(buf)+n)]
		if _, err := io.ReadFull(r.r, part); err == io.EOF {
			return buf, io.ErrUnexpectedEOF
		} else if err != nil {
			return buf, err
		}
		buf = buf[:len(buf)+len(part)]
		n -= len(part)
	}
	return buf, nil
}

// buffer returns an empty buffer for at least size bytes.
func (r *recordReader) buffer(size int) []byte {
	if size > keepBuffer && r.large != nil {
		if b, ok := r.large.Get().(*[]byte); ok && cap(*b) >= size {
			return (*b)[:0]
		}
	}
	return make([]byte, 0, size)
}

// source is the connection as a recordReader reads it: it tells when there is nothing to do but to wait for the network,
// and limits for how long.
type source struct {
	conn     net.Conn
	waiting  func() error // called before each wait; may be nil
	patience time.Duration
	until    time.Time // when patience ends; zero until the first wait
}

// within allows d for all that is read from now on; 0 is for ever.
func (s *source) within(d time.Duration) { s.patience, s.until = d, time.Time{} }

func (s *source) Read(p []byte) (int, error) {
	if s.patience > 0 && s.until.IsZero() {
		s.until = time.Now().Add(s.patience)
		if err := s.conn.SetReadDeadline(s.until); err != nil {
			return 0, err
		}
	}
	if s.waiting != nil {
		if err := s.waiting(); err != nil {
			return 0, err
		}
	}
	return s.conn.Read(p)
}

// openRecord reserves what closeRecord fills in, the header of a record of one fragment.
func openRecord(b []byte) []byte { return append(b, 0, 0, 0, 0) }

// closeRecord ends the record that began at start. Further bytes follow that are not in b.
func closeRecord(b []byte, start, further int) error {
	n := len(b) - start - 4
	if n > math.MaxInt32-further {
		return errors.New("an RPC record of over 2 GiB cannot be sent")
	}
	binary.BigEndian.PutUint32(b[start:], lastFragment|uint32(n+further))
	return nil
}
