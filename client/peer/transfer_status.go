package peer

import (
	"slices"

	"shoal"
)

// Status is the state of a transfer.
type Status struct {
	Size    int64        // bytes of the pieces that are wanted
	Held    int64        // bytes verified and on disk
	Resumed int64        // bytes of Held that were there when it began
	Waiting bool         // nobody can be asked for anything at the moment
	Missing []shoal.Span // while Waiting: pieces that nobody has who can be reached; the first 256 spans
	Sources []SourceStatus
}

// SourceStatus is one source's share.
type SourceStatus struct {
	Device    shoal.DeviceID
	Session   uint64
	Mirror    string // HOST or HOST:PORT, of one
	Connected bool
	Bytes     int64 // verified bytes that came from it
	Reason    string
}

// name is what people know the source by.
func (s SourceStatus) name() string {
	if s.Mirror != "" {
		return "the mirror at " + s.Mirror
	}
	return s.Device.String()
}

// missing keeps, while nobody can be asked, which pieces nobody has. Who is just being connected to may have them.
func (t *transfer) missing() {
	if t.status.Waiting && !slices.ContainsFunc(t.order, func(s *source) bool { return s.cancel != nil }) {
		t.status.Missing = t.absent()
	}
}

func (t *transfer) report() {
	if t.Report == nil {
		return
	}
	status := t.status
	status.Sources = make([]SourceStatus, len(t.order))
	for i, s := range t.order {
		status.Sources[i] = s.status
	}
	t.Report(status)
}
