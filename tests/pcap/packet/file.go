package packet

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"shoal"
)

// errCutShort ends a capture that was cut off, as one that is still being written is.
var errCutShort = errors.New("the capture ends within a packet")

// Open reads a file; "-" is standard input. The caller must Close the Reader.
func Open(name string) (*Reader, error) {
	if name == "-" {
		return NewReader(os.Stdin)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, shoal.Errorf(shoal.NotFound, "%w", err)
	}
	r, err := NewReader(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), f.Close())
	}
	return r, nil
}

// NewReader reads a pcap or pcapng file, which may be compressed by gzip. The Reader closes from, where that can be closed.
func NewReader(from io.Reader) (*Reader, error) {
	f := &file{from: from, drops: map[int]uint64{}}
	buffered := bufio.NewReaderSize(from, 64<<10)
	start, err := buffered.Peek(4)
	if err == nil && start[0] == 0x1f && start[1] == 0x8b {
		unpacked, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, noCapture(err)
		}
		buffered = bufio.NewReaderSize(unpacked, 64<<10)
		start, _ = buffered.Peek(4)
	}
	if bytes.Equal(start, sectionHeader) {
		f.blocks = &blocks{r: buffered}
		f.ng, err = pcapgo.NewNgReader(f.blocks, pcapgo.NgReaderOptions{WantMixedLinkType: true, StatisticsCallback: f.statistics})
	} else {
		f.classic, err = pcapgo.NewReader(buffered)
	}
	if err != nil {
		return nil, noCapture(err)
	}
	if f.classic != nil {
		f.classic.SetSnaplen(maxPacket) // what the file says may be too little, or anything
	}
	return newReader(f), nil
}

func noCapture(err error) error {
	return shoal.Errorf(shoal.BadRequest, "no capture that can be read; it must be a pcap or pcapng file: %w", err)
}

// file is a capture in a file.
type file struct {
	from    io.Reader
	blocks  *blocks
	ng      *pcapgo.NgReader // one of the two
	classic *pcapgo.Reader
	drops   map[int]uint64 // by interface
}

func (f *file) next() (data []byte, info gopacket.CaptureInfo, link layers.LinkType, err error) {
	defer func() {
		if r := recover(); r != nil { // the readers index and divide by what the file says
			err = noCapture(fmt.Errorf("%v", r))
		}
	}()
	if f.ng != nil {
		data, info, err = f.ng.ReadPacketData()
		if err == nil {
			link, _ = info.AncillaryData[0].(layers.LinkType)
		} else if f.blocks.failed != nil {
			err = f.blocks.failed
		}
	} else {
		data, info, err = f.classic.ReadPacketData()
		link = f.classic.LinkType()
		if err == io.EOF && info.CaptureLength > 0 || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errCutShort
		}
	}
	if err != nil && err != io.EOF && !errors.Is(err, errCutShort) && shoal.CodeOf(err) == shoal.Internal {
		err = noCapture(err)
	}
	return data, info, link, err
}

// statistics are those that who captured wrote at the end.
func (f *file) statistics(link int, s pcapgo.NgInterfaceStatistics) {
	if s.PacketsDropped != pcapgo.NgNoValue64 {
		f.drops[link] = s.PacketsDropped
	}
}

func (f *file) dropped() (n uint64) {
	for _, drops := range f.drops {
		n += drops
	}
	return n
}

func (f *file) close() error {
	if c, ok := f.from.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
