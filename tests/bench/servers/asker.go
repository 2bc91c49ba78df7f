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
	burst   = 32  // requests that are sent together
	bursts  = 128 // in a script
	scripts = 4   // few, so that they take little of the processor's caches
)

// script is requests that were made beforehand, and what the replies to them must be.
type script struct {
	frames [bursts][]byte         // the ids of burst i are from i*burst+1 on
	want   [bursts * burst][]byte // what each reply's body must have after the revision
}

// asker sends the requests of a script again and again over one connection, so that it takes little of the processor, and
// checks every reply: that it answers what was asked and has not been answered, that it tells of the right object, and that
// somebody has that. One goroutine may send while another receives.
type asker struct {
	*script
	nc   net.Conn
	next int            // the burst to send
	open [bursts]uint32 // a bit for each reply of a burst that is to come
	in   []byte         // what was received
	r, w int            // where the rest of it is
}

// askers returns one for each client. Each one's first reply has been looked at closely.
func (l *library) askers() ([]*asker, error) {
	var all []*asker
	of := l.newScripts()
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
		all = append(all, newAsker(c.Conn.Conn, of[i%scripts], i*bursts/len(l.clients)))
	}
	return all, nil
}

// newScripts returns scripts that ask for objects at random, for half of them by FileID.
func (l *library) newScripts() (all [scripts]*script) {
	random := rand.New(rand.NewPCG(1, 2))
	want := make([][]byte, len(l.objects))
	for i, o := range l.objects {
		want[i] = xdr.AppendFixed(xdr.AppendString(nil, o.name), o.content.ID[:])
		want[i] = xdr.AppendInt64(want[i], o.content.Size)
		want[i] = xdr.AppendUint32(want[i], 1) // one source has the whole object
	}
	for s := range all {
		all[s] = new(script)
		for id := range bursts * burst {
			object := random.IntN(len(l.objects))
			m := wire.Lookup{Group: libraryName, Name: l.objects[object].name}
			if id%2 == 0 {
				m.Name, m.File = "", l.objects[object].content.ID
			}
			frames := &all[s].frames[id/burst]
			*frames = wire.AppendRequest(*frames, wire.KindLookup, uint32(id+1), &m)
			all[s].want[id] = want[object]
		}
	}
	return all
}

// newAsker returns one that begins with a burst of a script.
func newAsker(nc net.Conn, s *script, first int) *asker {
	a := &asker{script: s, nc: nc, next: first, in: make([]byte, 32<<10)}
	for i := range a.open {
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
