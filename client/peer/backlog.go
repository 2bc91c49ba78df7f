package peer

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// backlog bounds how many bytes the kernel takes of a connection while it has not sent the earlier ones. What it has not
// sent cannot be overtaken by what should go first, and counts as sent here, so that a swarm's machine would believe in
// peers that wait for nothing. The zero value bounds nothing. It belongs to the writing goroutine.
type backlog struct {
	raw   syscall.RawConn
	bytes int
}

// A backlog is as long as the blocks that are asked for, which are so much the longer as the peer is fast; these are
// its bounds in bytes.
const (
	leastBacklog = 64 << 10
	mostBacklog  = 512 << 10
)

func newBacklog(nc net.Conn) backlog {
	if tcp := socket(nc); tcp != nil {
		if raw, err := tcp.SyscallConn(); err == nil {
			return backlog{raw: raw}
		}
	}
	return backlog{}
}

// fit makes the backlog fit a block of so many bytes, which is to be sent next.
func (b *backlog) fit(block uint32) {
	bytes := min(max(int(block), leastBacklog), mostBacklog)
	if b.raw == nil || bytes == b.bytes {
		return
	}
	b.bytes = bytes
	_ = b.raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, bytes) // only order suffers without it
	})
}
