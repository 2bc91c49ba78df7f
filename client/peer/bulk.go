package peer

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"shoal/client/store"
	"shoal/identity"
	"shoal/wire"
)

// bulkWriter writes PIECE frames to one connection. more waits until some of the bytes that are left may be sent, and says
// how many.
type bulkWriter interface {
	write(head wire.PieceHead, id uint32, from store.Content, offset, length int64, more func(left int64) (int64, error)) error
}

func newBulkWriter(c *wire.Conn) bulkWriter {
	if tcp := socket(c.Conn); tcp != nil {
		if raw, err := tcp.SyscallConn(); err == nil {
			return &fileSender{tcp, raw}
		}
	}
	return &copier{c}
}

// fileSender lets the kernel send from the page cache. It gives sendfile an explicit offset, so that many connections
// can share a file.
type fileSender struct {
	conn *net.TCPConn
	raw  syscall.RawConn
}

func (s *fileSender) write(head wire.PieceHead, id uint32, from store.Content, offset, length int64, more func(int64) (int64, error)) error {
	file, err := from.SyscallConn()
	if err != nil {
		return fmt.Errorf("serving a file: %w", err)
	}
	_ = s.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err := s.sendHead(wire.AppendPieceHead(nil, id, head, uint32(length))); err != nil {
		return err
	}
	for may := int64(0); length > 0; {
		if may == 0 {
			if may, err = more(length); err != nil {
				return err
			}
			_ = s.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		}
		var sent int
		var sendErr error
		err := s.raw.Write(func(socket uintptr) bool {
			fileErr := file.Control(func(fd uintptr) {
				sent, sendErr = unix.Sendfile(int(socket), int(fd), &offset, int(may))
			})
			if fileErr != nil {
				sendErr = fileErr
			}
			return !errors.Is(sendErr, unix.EAGAIN)
		})
		switch {
		case err != nil:
			return fmt.Errorf("sending a block: %w", err)
		case errors.Is(sendErr, unix.EINTR):
			continue
		case sendErr != nil:
			return fmt.Errorf("sending a block: %w", sendErr)
		case sent <= 0:
			return fmt.Errorf("sending a block: %w", io.ErrUnexpectedEOF)
		}
		length -= int64(sent)
		if may -= int64(sent); may > 0 {
			_ = s.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		}
	}
	return nil
}

// sendHead writes the head so that the kernel waits for what follows, and sends both in one segment.
func (s *fileSender) sendHead(head []byte) error {
	for len(head) > 0 {
		var sent int
		var sendErr error
		err := s.raw.Write(func(socket uintptr) bool {
			sent, sendErr = unix.SendmsgN(int(socket), head, nil, nil, unix.MSG_MORE|unix.MSG_NOSIGNAL)
			return !errors.Is(sendErr, unix.EAGAIN)
		})
		if err == nil && sendErr != nil && !errors.Is(sendErr, unix.EINTR) {
			err = sendErr
		}
		if err != nil {
			return fmt.Errorf("sending a block: %w", err)
		}
		head = head[max(sent, 0):]
	}
	return nil
}

// copier reads blocks into memory and writes them: through TLS, or whatever transport was injected.
type copier struct{ conn *wire.Conn }

var copyBuffers = sync.Pool{New: func() any {
	buf := make([]byte, identity.BulkBuffer)
	return &buf
}}

func (s *copier) write(head wire.PieceHead, id uint32, from store.Content, offset, length int64, more func(int64) (int64, error)) error {
	pooled := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(pooled)
	buf := wire.AppendPieceHead((*pooled)[:0], id, head, uint32(length))
	for may := int64(0); ; buf = buf[:0] {
		if may == 0 && length > 0 {
			var err error
			if may, err = more(length); err != nil {
				return err
			}
		}
		n := min(int64(cap(buf)-len(buf)), may)
		part := buf[len(buf) : len(buf)+int(n)]
		// A file that has just been cut gives less; what else is in the buffer is nobody's business.
		if got, err := from.ReadAt(part, offset); got < len(part) {
			return fmt.Errorf("serving a file: %w", err)
		}
		_ = s.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := s.conn.Write(buf[:len(buf)+int(n)]); err != nil {
			return fmt.Errorf("sending a block: %w", err)
		}
		offset, may = offset+n, may-n
		if length -= n; length == 0 {
			return nil
		}
	}
}
