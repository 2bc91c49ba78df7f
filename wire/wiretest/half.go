package wiretest

import (
	"bytes"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// half is one direction of a connection. mu guards everything in it; changed is broadcast after each change.
type half struct {
	mu      sync.Mutex
	changed sync.Cond
	buf     bytes.Buffer
	size    int  // bytes that buf may hold; 0 is no limit
	writing bool // a Write is under way; others wait their turn, so that writes are not mixed
	reader  side
	writer  side
}

// side is one user of a half.
type side struct {
	closed  bool
	expired bool
	timer   *time.Timer // the deadline, if it is yet to come
}

func newHalf(size int) *half {
	h := &half{size: size}
	h.changed.L = &h.mu
	return h
}

func (h *half) read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.reader.closed:
			return 0, net.ErrClosed
		case h.reader.expired:
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case h.buf.Len() > 0:
			n, _ := h.buf.Read(p)
			h.changed.Broadcast()
			return n, nil
		case h.writer.closed:
			return 0, io.EOF
		}
		h.changed.Wait()
	}
}

func (h *half) write(p []byte) (n int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.writing && h.writable() == nil {
		h.changed.Wait()
	}
	if err := h.writable(); err != nil {
		return 0, err
	}
	h.writing = true
	defer func() {
		h.writing = false
		h.changed.Broadcast()
	}()
	for {
		if err := h.writable(); err != nil {
			return n, err
		}
		room := len(p) - n
		if h.size > 0 {
			room = min(room, h.size-h.buf.Len())
		}
		h.buf.Write(p[n : n+room])
		if n += room; n == len(p) {
			return n, nil
		}
		h.changed.Broadcast()
		h.changed.Wait()
	}
}

// writable tells why nothing can be written, if so. The caller holds mu.
func (h *half) writable() error {
	switch {
	case h.writer.closed:
		return net.ErrClosed
	case h.writer.expired:
		return os.ErrDeadlineExceeded
	case h.reader.closed:
		return syscall.EPIPE
	}
	return nil
}

// closeSide reports whether s, a side of h, was open.
func (h *half) closeSide(s *side) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := s.closed
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
	h.changed.Broadcast()
	return !was
}

func (h *half) setDeadline(s *side, t time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	s.timer, s.expired = nil, false
	switch wait := time.Until(t); {
	case t.IsZero():
	case wait <= 0:
		s.expired = true
	default:
		var timer *time.Timer
		timer = time.AfterFunc(wait, func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			// The deadline may have been set anew just when this one passed.
			if s.timer == timer {
				s.expired = true
				h.changed.Broadcast()
			}
		})
		s.timer = timer
	}
	h.changed.Broadcast()
	return nil
}
