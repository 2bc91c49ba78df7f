// Package sender sends the log of a process to the log service without ever waiting for it.
//
// A Writer is what zerolog writes to. A call copies the line into a ring in memory and returns. One goroutine, the pump,
// reads the ring, makes numbered entries of the lines and batches of those, and hands them one at a time to another, the
// courier, which calls the service:
//
//	zerolog → Writer → ring → pump: entries, batches → queue → courier → APPEND
//	                                                    │ ▲
//	                                                    ▼ │ when the service is away, or slower than the lines come
//	                                                   spool: files in a folder, bounded
//
// Batches go out in order and stay in the queue until the service has acknowledged them; one that is sent again is
// harmless, for the service knows the numbers. What a process leaves in the spool the next one sends first, under the
// numbers of the one that left it.
//
// What finds no room, in the ring or in the spool, is counted, and an entry that says how many were lost takes its
// place. So the service's entries, those that only say so left out, and what they say was lost make up the calls of
// Write. Not counted are the lines of a process that is killed which are not in the spool yet: those of the last second,
// and what waits for the service to acknowledge it. A power cut also takes what the system had not written to the
// spool's files yet.
package sender

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"sync"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/rpclog"
	"shoal/rpclog/oncrpc"
)

// defaultSpool is how many bytes the spool takes at most.
const defaultSpool = 64 << 20

// Config says where to send to, and as whom.
type Config struct {
	Service    string         // HOST:PORT
	Key        *rpclog.Key    // proves who sends; may be nil where the service is on this machine
	Device     shoal.DeviceID // whose process this is
	Spool      string         // the folder for what cannot be sent at once, made if it is not there; "" for none
	SpoolLimit int64          // bytes of the spool; 0 for 64 MiB
	Log        zerolog.Logger // told of troubles with the service and the spool, once each; must not lead to the Writer
	// Dial connects to the service; nil for TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Writer is a zerolog.LevelWriter. All methods may be called concurrently.
type Writer struct {
	ring *ring
	pump *pump
	done chan struct{} // closed when the pump has ended

	closing chan struct{} // closed by Close
	once    sync.Once
	ctx     context.Context // Close's; valid once closing is closed
}

// Counts is what became of the lines. Sent = Stored + Lost + Spooled + Queued.
type Counts struct {
	Sent    uint64 // calls of Write and WriteLevel
	Stored  uint64 // acknowledged by the service
	Lost    uint64 // for want of room, or because the service refused them
	Spooled uint64 // in the spool
	Queued  uint64 // in memory
	Earlier uint64 // lines of earlier processes in the spool, which are not counted elsewhere
}

// Open starts a Writer; Close must be called. The error has code Denied where the service is not on this machine and
// there is no key, and BadRequest where the address is none. A spool that another process has is done without.
func Open(c Config) (*Writer, error) {
	target := oncrpc.Target{Address: c.Service, Dial: c.Dial}
	local, err := isLocal(c.Service)
	switch {
	case err != nil:
		return nil, err
	case !local && c.Key == nil:
		return nil, shoal.Errorf(shoal.Denied, "the log service at %s is not on this machine, and without its key there is no telling who answers there; "+
			"copy log.key from its state folder and name it with --rpclog-key", c.Service)
	case !local:
		target.TLS = c.Key.ClientTLS()
	}
	if c.SpoolLimit <= 0 {
		c.SpoolLimit = defaultSpool
	}
	w := &Writer{ring: newRing(), done: make(chan struct{}), closing: make(chan struct{})}
	if w.pump, err = newPump(c, newCourier(target, c.Key), w.ring); err != nil {
		return nil, err
	}
	go func() {
		defer close(w.done)
		w.pump.run(w)
	}()
	return w, nil
}

// isLocal tells whether an address HOST:PORT is a loopback one.
func isLocal(address string) (bool, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "" {
		return false, shoal.Errorf(shoal.BadRequest, "the log service's address must be HOST:PORT, not %q", address)
	}
	return shoal.IsLoopback(host), nil
}

// newProcess returns a number that no process of this device had before, or ever will: 64 random bits.
func newProcess() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:])
}

// Write is WriteLevel for a line whose level is not known.
func (w *Writer) Write(line []byte) (int, error) { return w.WriteLevel(zerolog.NoLevel, line) }

// WriteLevel takes a line: a JSON object, as zerolog writes it, of up to 16 KiB; what is longer is cut. It never waits
// for the service or a disk, never fails, and does not keep line. After Close lines are lost.
func (w *Writer) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	w.ring.put(level, line)
	return len(line), nil
}

// Counts returns what became of the lines so far.
func (w *Writer) Counts() Counts {
	c := w.pump.counts()
	select {
	case <-w.done:
		c.Lost += w.ring.unread()
	default:
	}
	c.Sent = w.ring.tickets.Load()
	c.Queued = c.Sent - c.Stored - c.Lost - c.Spooled
	return c
}

// Close sends what there is until ctx ends, and leaves the rest to the spool; where there is one, it does not wait for a
// service that turns out to be away. The error says how many lines were lost at the end without any entry that tells of it.
func (w *Writer) Close(ctx context.Context) error {
	w.once.Do(func() {
		w.ctx = ctx
		close(w.closing)
	})
	<-w.done
	if n := w.pump.untold; n > 0 {
		return fmt.Errorf("closing the log: %d entries were lost", n)
	}
	return nil
}
