//go:build !libpcap

package packet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"golang.org/x/sys/unix"

	"shoal"
)

// queue is how much the kernel keeps of what has not been read yet, in bytes. Tests make it smaller.
var queue = 64 << 20

// live is a packet socket (packet(7)). pcapgo's would do, but for three things: nothing ends a read that waits, on loopback it
// gives each packet twice, and its queue is too small for a burst.
type live struct {
	socket  *os.File
	conn    syscall.RawConn
	link    layers.LinkType
	buffer  []byte
	control []byte
	read    uint64 // packets

	// Stop, which any goroutine may call, sets these, then stopped, then a deadline that is over.
	stopping        sync.Once
	stopped         atomic.Bool
	drops, accepted uint64 // packets
}

// Live captures what passes a network interface, until Stop; that takes the right CAP_NET_RAW. The caller must Close the
// Reader.
func Live(name string) (*Reader, error) {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return nil, shoal.Errorf(shoal.NotFound, "there is no network interface %q (ip link shows them): %w", name, err)
	}
	l := &live{link: layers.LinkTypeRaw, buffer: make([]byte, maxPacket), control: make([]byte, 256)}
	kind := unix.SOCK_DGRAM // without the header of the link
	if link.Flags&net.FlagLoopback != 0 || len(link.HardwareAddr) == 6 {
		l.link, kind = layers.LinkTypeEthernet, unix.SOCK_RAW
	}
	fd, err := unix.Socket(unix.AF_PACKET, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if errors.Is(err, unix.EPERM) {
		return nil, shoal.Errorf(shoal.Denied, "capturing takes the right CAP_NET_RAW: run this as root")
	} else if err != nil {
		return nil, fmt.Errorf("opening a packet socket: %w", err)
	}
	l.socket = os.NewFile(uintptr(fd), name)
	if err := l.begin(fd, link); err != nil {
		return nil, errors.Join(fmt.Errorf("capturing on %s: %w", name, err), l.socket.Close())
	}
	return newReader(l), nil
}

// begin makes packets come: all options are set before.
func (l *live) begin(fd int, link *net.Interface) (err error) {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, queue); err != nil {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, queue); err != nil { // as much as is allowed
			return err
		}
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return err
	}
	if link.Flags&net.FlagLoopback != 0 { // what goes out comes in next
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
			return err
		}
	}
	all := uint16(unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8) // in the network's order
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: link.Index}); err != nil {
		return err
	}
	l.conn, err = l.socket.SyscallConn()
	return err
}

// next returns the next packet. After Stop it takes what had come before, and then returns io.EOF.
func (l *live) next() (data []byte, info gopacket.CaptureInfo, link layers.LinkType, err error) {
	var n, controls int
	receive := func(fd uintptr) bool {
		n, controls, _, _, err = unix.Recvmsg(int(fd), l.buffer, l.control, unix.MSG_TRUNC)
		return !errors.Is(err, unix.EAGAIN)
	}
	failed := l.conn.Read(receive)
	if errors.Is(failed, os.ErrDeadlineExceeded) { // Stop has set it
		if l.read == l.accepted {
			return nil, info, l.link, io.EOF
		}
		failed = l.conn.Control(func(fd uintptr) { receive(fd) })
	}
	if err = errors.Join(failed, err); err != nil {
		return nil, info, l.link, fmt.Errorf("capturing: %w", err)
	}
	l.read++
	info.Timestamp = arrival(l.control[:controls])
	info.Length, info.CaptureLength = n, min(n, len(l.buffer))
	return l.buffer[:info.CaptureLength], info, l.link, nil
}

// arrival is when the kernel saw a packet.
func arrival(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	for _, m := range messages {
		if err == nil && m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= 16 {
			return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
		}
	}
	return time.Now()
}

// dropped is what Stop found out.
func (l *live) dropped() uint64 {
	if !l.stopped.Load() {
		return 0
	}
	return l.drops
}

// stop asks the kernel how many packets it has put into the queue, and for how many there was no room.
func (l *live) stop() {
	l.stopping.Do(func() {
		_ = l.conn.Control(func(fd uintptr) { // it fails only when the socket is closed, which ends reading as well
			if s, err := unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
				l.drops, l.accepted = uint64(s.Drops), uint64(s.Packets-s.Drops)
			}
		})
		l.stopped.Store(true)
		_ = l.socket.SetReadDeadline(time.Now())
	})
}

func (l *live) close() error { return l.socket.Close() }
