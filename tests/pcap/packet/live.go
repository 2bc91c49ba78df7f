//go:build !libpcap

package packet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"golang.org/x/sys/unix"

	"shoal"
)

// queue is how much the kernel keeps of what has not been read yet, in bytes.
const queue = 64 << 20

// live is a packet socket (packet(7)). pcapgo's would do, but for three things: nothing ends a read that waits, on loopback it
// gives each packet twice, and its queue is too small for a burst.
type live struct {
	socket  *os.File
	conn    syscall.RawConn
	link    layers.LinkType
	loop    bool
	buffer  []byte
	control []byte
	drops   uint64
	stopped atomic.Pointer[time.Time] // by Stop, which any goroutine may call
}

// Live captures what passes a network interface, until Stop; that takes the right CAP_NET_RAW. The caller must Close the
// Reader.
func Live(name string) (*Reader, error) {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return nil, shoal.Errorf(shoal.NotFound, "there is no network interface %q (ip link shows them): %w", name, err)
	}
	l := &live{link: layers.LinkTypeRaw, loop: link.Flags&net.FlagLoopback != 0, buffer: make([]byte, maxPacket), control: make([]byte, 256)}
	kind := unix.SOCK_DGRAM // without the header of the link
	if l.loop || len(link.HardwareAddr) == 6 {
		l.link, kind = layers.LinkTypeEthernet, unix.SOCK_RAW
	}
	fd, err := unix.Socket(unix.AF_PACKET, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if errors.Is(err, unix.EPERM) {
		return nil, shoal.Errorf(shoal.Denied, "capturing takes the right CAP_NET_RAW: run this as root")
	} else if err != nil {
		return nil, fmt.Errorf("opening a packet socket: %w", err)
	}
	l.socket = os.NewFile(uintptr(fd), name)
	if err := l.begin(fd, link.Index); err != nil {
		return nil, errors.Join(fmt.Errorf("capturing on %s: %w", name, err), l.socket.Close())
	}
	return newReader(l), nil
}

// begin makes packets come: all options are set before.
func (l *live) begin(fd, link int) (err error) {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, queue); err != nil {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, queue); err != nil { // as much as is allowed
			return err
		}
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return err
	}
	all := uint16(unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8) // in the network's order
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: link}); err != nil {
		return err
	}
	l.conn, err = l.socket.SyscallConn()
	return err
}

func (l *live) next() ([]byte, gopacket.CaptureInfo, layers.LinkType, error) {
	for {
		data, info, outgoing, err := l.receive()
		if err == io.EOF {
			l.countDrops()
		}
		if err != nil || !l.loop || !outgoing { // on loopback, what goes out comes in next
			return data, info, l.link, err
		}
	}
}

// receive returns the next packet. After Stop it takes what had come before, and then returns io.EOF.
func (l *live) receive() (data []byte, info gopacket.CaptureInfo, outgoing bool, err error) {
	var n, controls int
	var sender unix.Sockaddr
	receive := func(fd uintptr) bool {
		n, controls, _, sender, err = unix.Recvmsg(int(fd), l.buffer, l.control, unix.MSG_TRUNC)
		return !errors.Is(err, unix.EAGAIN)
	}
	failed := l.conn.Read(receive)
	stopped := l.stopped.Load()
	if stopped != nil && errors.Is(failed, os.ErrDeadlineExceeded) {
		failed = l.conn.Control(func(fd uintptr) { receive(fd) })
	}
	switch {
	case failed != nil:
		return nil, info, false, fmt.Errorf("capturing: %w", failed)
	case stopped != nil && errors.Is(err, unix.EAGAIN):
		return nil, info, false, io.EOF
	case err != nil:
		return nil, info, false, fmt.Errorf("capturing: %w", err)
	}
	info.Timestamp = arrival(l.control[:controls])
	if stopped != nil && info.Timestamp.After(*stopped) {
		return nil, info, false, io.EOF
	}
	info.Length, info.CaptureLength = n, min(n, len(l.buffer))
	if from, ok := sender.(*unix.SockaddrLinklayer); ok {
		outgoing = from.Pkttype == unix.PACKET_OUTGOING
	}
	return l.buffer[:info.CaptureLength], info, outgoing, nil
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

// countDrops asks the kernel how many packets found the queue full; it counts from the last question on.
func (l *live) countDrops() {
	_ = l.conn.Control(func(fd uintptr) { // it fails only for what is no packet socket
		if s, err := unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			l.drops += uint64(s.Drops)
		}
	})
}

func (l *live) dropped() uint64 { return l.drops }

func (l *live) stop() {
	now := time.Now()
	l.stopped.Store(&now)
	_ = l.socket.SetReadDeadline(now) // it fails only when the socket is closed, which ends reading as well
}

func (l *live) close() error { return l.socket.Close() }
