package packet

import (
	"fmt"
	"io"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// copier writes packets to a pcapng file.
type copier struct {
	w  io.Writer
	ng *pcapgo.NgWriter // from the first packet on, which tells the link
}

func (c *copier) begin(link layers.LinkType) (err error) {
	if c.ng == nil {
		c.ng, err = pcapgo.NewNgWriter(c.w, link)
	}
	return err
}

func (c *copier) write(data []byte, info gopacket.CaptureInfo, link layers.LinkType) error {
	info.InterfaceIndex = 0 // the only one of this file
	err := c.begin(link)
	if err == nil {
		err = c.ng.WritePacket(info, data)
	}
	if err != nil {
		return fmt.Errorf("writing the capture: %w", err)
	}
	return nil
}

// end writes how much is missing, and whatever has not been written yet.
func (c *copier) end(counts Counts) error {
	err := c.begin(layers.LinkTypeEthernet) // of a capture without a packet
	if err == nil {
		err = c.ng.WriteInterfaceStats(0, pcapgo.NgInterfaceStatistics{
			LastUpdate: time.Now(), PacketsReceived: uint64(counts.Packets), PacketsDropped: counts.Dropped,
		})
	}
	if err == nil {
		err = c.ng.Flush()
	}
	if err != nil {
		return fmt.Errorf("writing the capture: %w", err)
	}
	return nil
}
