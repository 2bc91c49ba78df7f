// Package pcap reads captured traffic: it puts the streams together, recognises Shoal, ONC RPC, HTTP and TLS in them, holds
// what Shoal's two sides say in plaintext against wire/PROTOCOL.md, and makes a report of it all. Its tests also look at
// captures as others see them, by tshark.
package pcap

import (
	"errors"
	"fmt"
	"io"

	"shoal/tests/pcap/packet"
	"shoal/tests/pcap/report"
)

// Analysis is one capture being read.
type Analysis struct {
	// OnViolation is called for each rule that is broken, when that is seen. It may be nil.
	OnViolation func(report.Violation)
}

// File is Analysis.Read of a file: pcap or pcapng.
func (a Analysis) File(name string) (*report.Report, error) {
	r, err := packet.Open(name)
	if err != nil {
		return nil, err
	}
	found, err := a.Read(r)
	if err = errors.Join(err, r.Close()); err != nil {
		return found, fmt.Errorf("%s: %w", name, err)
	}
	return found, nil
}

// Read reads a capture to its end. With an error, which says why the rest cannot be read, there is a report of what came before.
func (a Analysis) Read(r *packet.Reader) (*report.Report, error) {
	t := newTraffic(a.OnViolation)
	for {
		p, err := r.Next()
		if err != nil {
			t.finish()
			found := t.collector.Report(r.Counts())
			if err == io.EOF {
				err = nil
			}
			return found, err
		}
		t.packet(p)
	}
}
