package identity

import (
	"time"

	"shoal"
)

// Record says where a process of a device accepts connections, and that the device may offer in a group. It is carried as
// a chain, from the realm by way of the device's ticket to its candidates, so that whoever passes it on need not be
// trusted.
type Record struct {
	Device     shoal.DeviceID
	Ticket     *Ticket // nil where ReadRecord found none
	Candidates []Candidate
	Expires    time.Time // of the candidates
}

// ReadRecord takes a record apart that nobody has verified. The error has code Untrusted.
func ReadRecord(chain []byte) (*Record, error) {
	all, err := parseChain(chain)
	if err != nil {
		return nil, err
	}
	r, err := readRecord(all[len(all)-1])
	if err == nil && len(all) > 1 && all[len(all)-2].says == SaysTicket {
		r.Ticket, err = readTicket(all[len(all)-2])
	}
	return r, err
}

func readRecord(last *statement) (*Record, error) {
	if last.says != SaysCandidates {
		return nil, shoal.Errorf(shoal.Untrusted, "a statement of kind %d where candidates belong: %w", last.says, RefusedChain)
	}
	candidates, err := readCandidates(last.body)
	if err != nil {
		return nil, shoal.Errorf(shoal.Untrusted, "a record is refused: %w: %w", RefusedForm, err)
	}
	return &Record{Device: last.issuer, Candidates: candidates, Expires: time.UnixMilli(last.expires)}, nil
}

// VerifyRecord checks that a record follows from the realm and holds, and that its ticket allows what is demanded of the
// device that the record is of (rule C11); d.Device is of no meaning. The error is a Refusal and has code Untrusted or Denied.
func (a *Authority) VerifyRecord(chain []byte, d Demand) (*Record, error) {
	before, last, err := a.split(chain)
	if err != nil {
		return nil, err
	}
	r, err := readRecord(last)
	if err != nil {
		return nil, err
	}
	d.Device = r.Device
	if r.Ticket, err = a.VerifyTicket(before, d); err != nil {
		return nil, err
	}
	return r, last.verify(r.Device, d.Now)
}
