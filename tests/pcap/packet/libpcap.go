//go:build libpcap

package packet

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcap"

	"shoal"
)

// patience is how long libpcap waits before it lets us look whether the capture was stopped.
const patience = 100 * time.Millisecond

// queue is how much the kernel keeps of what has not been read yet, in bytes. Tests make it smaller.
var queue = 64 << 20

// live captures by libpcap.
type live struct {
	handle  *pcap.Handle
	link    layers.LinkType
	drops   uint64
	stopped atomic.Pointer[time.Time] // by Stop, which any goroutine may call
}

// Live captures what passes a network interface, until Stop; that takes the right CAP_NET_RAW. The caller must Close the
// Reader.
func Live(name string) (*Reader, error) {
	handle, err := open(name)
	if err != nil {
		return nil, shoal.Errorf(shoal.NotFound, "capturing on %s, by libpcap: %w", name, err)
	}
	return newReader(&live{handle: handle, link: handle.LinkType()}), nil
}

func open(name string) (*pcap.Handle, error) {
	h, err := pcap.NewInactiveHandle(name)
	if err != nil {
		return nil, err
	}
	defer h.CleanUp()
	if err := errors.Join(h.SetSnapLen(maxPacket), h.SetTimeout(patience), h.SetBufferSize(queue)); err != nil {
		return nil, err
	}
	return h.Activate()
}

func (l *live) next() ([]byte, gopacket.CaptureInfo, layers.LinkType, error) {
	for {
		stopped := l.stopped.Load() // before the last look at what has come
		data, info, err := l.handle.ZeroCopyReadPacketData()
		switch {
		case err == nil && (stopped == nil || !info.Timestamp.After(*stopped)):
			return data, info, l.link, nil
		case err != nil && !errors.Is(err, pcap.NextErrorTimeoutExpired):
			return nil, info, l.link, fmt.Errorf("capturing: %w", err)
		case stopped != nil:
			if s, err := l.handle.Stats(); err == nil {
				l.drops = uint64(s.PacketsDropped)
			}
			return nil, info, l.link, io.EOF
		}
	}
}

func (l *live) dropped() uint64 { return l.drops }

func (l *live) stop() {
	now := time.Now()
	l.stopped.CompareAndSwap(nil, &now)
}

func (l *live) close() error {
	l.handle.Close()
	return nil
}
