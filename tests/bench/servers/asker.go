package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"

	"shoal"
	"shoal/wire"
	"shoal/xdr"
)

const (
	burst  = 32  // requests that are sent together
	bursts = 128 // that an asker has
)

// asker sends requests over one connection that were made beforehand, so that it takes little of the processor, and checks
// every reply: that it answers what was asked and has not been answered, that it tells of the right object, and that
// somebody has that. One goroutine may send while another receives.
type asker struct {
	nc     net.Conn
	frames [bursts][]byte         // what is sent; the ids of burst i are from i*burst+1 on
	next   int                    // the burst to send
	want   [bursts * burst][]byte // what each reply's body must have after the revision
	open   [bursts]uint32         // a bit for each reply of a burst that is to come
	in     []byte                 // what was received
	r, w   int                    // where the rest of it is
}

// askers returns one for each client. Each one's first reply has been looked at closely.
func (l *library) askers() ([]*asker, error) {
	var all []*asker
	random := rand.New(rand.NewPCG(1, 2))
	for i, c := range l.clients {
		o := l.objects[i+1] // of which the next client is the source
		var reply wire.LookupReply
		if err := c.ask(wire.KindLookup, &wire.Lookup{Group: libraryName, Name: o.name}, &reply); err != nil {
			return nil, err
		}
		source := shoal.DeviceID(l.clients[(i+1)%len(l.clients)].device.Public())
		if reply.Content != o.content || len(reply.Sources) != 1 || reply.Sources[0].Device != source || reply.Revision == 0 {
			return nil, fmt.Errorf("LOOKUP of %q is answered by %+v", o.name, reply)
		}
		all = append(all, l.newAsker(c, random))
	}
	return all, nil
}

// newAsker returns one that asks for objects at random, for half of them by FileID.
func (l *library) newAsker(c *client, random *rand.Rand) *asker {
	a := &asker{nc: c.Conn.Conn, in: make([]byte, 64<<10)}
	for i := range bursts {
		for j := range burst {
			o := l.objects[random.IntN(len(l.objects))]
			m := wire.Lookup{Group: libraryName, Name: o.name}
			if j%2 == 0 {
				m.Name, m.File = "", o.content.ID
			}
			id := i*burst + j
			a.frames[i] = wire.AppendRequest(a.frames[i], wire.KindLookup, uint32(id+1), &m)
			want := xdr.AppendString(nil, o.name)
			want = xdr.AppendFixed(want, o.content.ID[:])
			want = xdr.AppendInt64(want, o.content.Size)
			a.want[id] = xdr.AppendUint32(want, 1) // one source has the whole object
		}
		a.open[i] = 1<<burst - 1
	}
	return a
}

// send sends the next burst, which must have been answered if it was sent before.
func (a *asker) send() error {
	if _, err := a.nc.Write(a.frames[a.next]); err != nil {
		return fmt.Errorf("sending requests: %w", err)
	}
	a.next = (a.next + 1) % bursts
	return nil
}

// receive waits for replies, calls note, unless nil, for each with its burst, and returns how many came.
func (a *asker) receive(note func(burst int)) (replies int, err error) {
	if a.r > 0 {
		a.r, a.w = 0, copy(a.in, a.in[a.r:a.w])
	}
	n, err := a.nc.Read(a.in[a.w:])
	if err != nil {
		return 0, fmt.Errorf("waiting for replies: %w", err)
	}
	a.w += n
	for ; ; replies++ {
		have := a.in[a.r:a.w]
		if len(have) < wire.HeaderSize {
			return replies, nil
		}
		size := wire.HeaderSize + int(binary.BigEndian.Uint32(have))
		if size > len(a.in) {
			return replies, fmt.Errorf("a reply of %d bytes", size)
		}
		if len(have) < size {
			return replies, nil
		}
		from, err := a.check(have[:size])
		if err != nil {
			return replies, err
		}
		a.r += size
		if note != nil {
			note(from)
		}
	}
}

// check checks a frame, and returns the burst that it is a reply to one of.
func (a *asker) check(frame []byte) (from int, err error) {
	kind, flags := wire.Kind(binary.BigEndian.Uint16(frame[4:])), wire.Flags(binary.BigEndian.Uint16(frame[6:]))
	id, body := int(binary.BigEndian.Uint32(frame[8:]))-1, frame[wire.HeaderSize:]
	if kind != wire.KindLookup || flags != wire.FlagReply || id < 0 || id >= len(a.want) {
		return 0, fmt.Errorf("%v %d with flags %#x in place of a reply: %q", kind, id+1, flags, body)
	}
	from, bit := id/burst, uint32(1)<<(id%burst)
	if a.open[from]&bit == 0 {
		return 0, fmt.Errorf("a second reply to LOOKUP %d", id+1)
	}
	if a.open[from] &^= bit; a.open[from] == 0 {
		a.open[from] = 1<<burst - 1
	}
	if len(body) < 8 || !bytes.HasPrefix(body[8:], a.want[id]) {
		return 0, errors.New("a reply of LOOKUP tells of another object, or of no source")
	}
	return from, nil
}
