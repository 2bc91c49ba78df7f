package frames

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync"

	"shoal/wire"
)

// Asked is what one side has asked, by what it has written, so that answers can be told from what nobody asked for. The zero
// Asked is ready for use, also concurrent.
type Asked struct {
	mu   sync.Mutex // guards the rest
	rest []byte     // the beginning of a frame
	open map[uint32][]wire.Frame
}

// Sent notes what is about to be written. It goes by the lengths of frames alone.
func (a *Asked) Sent(b []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open == nil {
		a.open = map[uint32][]wire.Frame{}
	}
	a.rest = append(a.rest, b...)
	for len(a.rest) >= wire.HeaderSize {
		h := wire.Header{
			Length: binary.BigEndian.Uint32(a.rest), Kind: wire.Kind(binary.BigEndian.Uint16(a.rest[4:])),
			Flags: wire.Flags(binary.BigEndian.Uint16(a.rest[6:])), ID: binary.BigEndian.Uint32(a.rest[8:]),
		}
		end := wire.HeaderSize + int(h.Length)
		if len(a.rest) < end {
			return
		}
		a.open[h.ID] = append(a.open[h.ID], wire.Frame{Header: h, Body: bytes.Clone(a.rest[wire.HeaderSize:end])})
		a.rest = a.rest[end:]
	}
}

// Answered takes the request that a reply with this header answers out of those that are open.
func (a *Asked) Answered(h wire.Header) (request wire.Frame, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.IndexFunc(a.open[h.ID], func(f wire.Frame) bool { return f.Kind == h.Kind && f.Flags == 0 })
	if i < 0 || !h.IsReply() {
		return wire.Frame{}, false
	}
	request = a.open[h.ID][i]
	a.open[h.ID] = slices.Delete(a.open[h.ID], i, i+1)
	return request, true
}
