// Package link is the initiator's side of a connection after the handshake: it numbers requests, matches replies to
// them, and keeps the connection alive. The conversations with a server (tracker) and with a peer run on it.
package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/wire"
)

// pingEvery is the silence after which a link asks for a sign of life; a link that then hears nothing for as long again
// is dead (PROTOCOL.md section 4).
const pingEvery = 30 * time.Second

// Link is one connection. Its methods may be called from any goroutine.
type Link struct {
	*identity.Established

	mu      sync.Mutex // guards the rest
	queued  []byte     // frames not yet written
	nextID  uint32
	pending map[uint32]pending
	ended   error         // why the link ended; nil while it is up
	wake    chan struct{} // capacity 1: something was queued, or the link ended
}

type pending struct {
	kind  wire.Kind
	asker Asker
}

// Asker waits for the reply to one request.
type Asker interface {
	// Asked tells the request's id before anything is sent. It must not call the link.
	Asked(id uint32)
	// Answered is called exactly once: in the reading goroutine with the reply, or with an error: the one that the other
	// side answered, or a *LostError. It may read the Data of a PIECE.
	Answered(f wire.Frame, err error)
}

// asking is an Asker that is no more than a function.
type asking struct {
	id      uint32
	onReply func(wire.Frame, error)
}

func (a *asking) Asked(id uint32) { a.id = id }

func (a *asking) Answered(f wire.Frame, err error) { a.onReply(f, err) }

// LostError is why a request has no reply: the link ended. It has the code of the reason.
type LostError struct {
	Reason error
	Unsent bool // the link had ended before, for a reason that the request has no part in
}

func (e *LostError) Error() string { return e.Reason.Error() }

func (e *LostError) Unwrap() error { return e.Reason }

// New makes a link over an established connection. Run must be called for anything to move.
func New(e *identity.Established) *Link {
	return &Link{Established: e, nextID: 2, pending: map[uint32]pending{}, wake: make(chan struct{}, 1)}
}

// Run reads and writes until the connection ends, the context does, or onEvent returns an error; it returns why.
// onEvent gets the responder's events, in the reading goroutine. Every request still open is answered by the reason.
func (l *Link) Run(ctx context.Context, onEvent func(wire.Frame) error) error {
	stop := context.AfterFunc(ctx, func() { l.end(context.Cause(ctx)) })
	defer stop()
	var writer sync.WaitGroup
	writer.Go(l.write)
	err := l.read(onEvent)
	l.end(err)
	writer.Wait()
	l.mu.Lock()
	err, open := l.ended, l.pending
	l.pending = nil
	l.mu.Unlock()
	for _, p := range open {
		p.asker.Answered(wire.Frame{}, &LostError{Reason: err})
	}
	return err
}

// Close ends the link with a reason that its callers get.
func (l *Link) Close(reason error) { l.end(reason) }

// end records the first reason and closes the connection, which ends reading and writing.
func (l *Link) end(reason error) {
	l.mu.Lock()
	first := l.ended == nil
	if first {
		l.ended = reason
	}
	l.mu.Unlock()
	if first {
		Cut(l.Conn.Conn)
		l.signal()
	}
}

// Cut closes a connection without waiting for anything: TLS would send a last alert first, for which it gives another
// side that does not read five seconds.
func Cut(c net.Conn) {
	if tls, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = tls.NetConn()
	}
	_ = c.Close()
}

func (l *Link) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Ask sends a request.
func (l *Link) Ask(kind wire.Kind, m wire.Message, asker Asker) {
	l.mu.Lock()
	if l.ended != nil || l.pending == nil {
		reason := l.ended
		l.mu.Unlock()
		asker.Answered(wire.Frame{}, &LostError{Reason: reason, Unsent: true})
		return
	}
	id := l.freshID()
	asker.Asked(id)
	l.pending[id] = pending{kind, asker}
	l.queued = wire.AppendRequest(l.queued, kind, id, m)
	l.signal()
	l.mu.Unlock()
}

// Start is Ask for a function in place of Answered. It returns the request's id, 0 if the link has ended.
func (l *Link) Start(kind wire.Kind, m wire.Message, onReply func(wire.Frame, error)) uint32 {
	a := &asking{onReply: onReply}
	l.Ask(kind, m, a)
	return a.id
}

// freshID is an id that no open request has (rule F3). mu is held.
func (l *Link) freshID() uint32 {
	for {
		l.nextID++
		if _, open := l.pending[l.nextID]; l.nextID != 0 && !open {
			return l.nextID
		}
	}
}

// Event sends an event.
func (l *Link) Event(kind wire.Kind, m wire.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended == nil {
		l.queued = wire.AppendEvent(l.queued, kind, m)
		l.signal()
	}
}

// Call sends a request and waits for its reply, which is decoded into reply. Byte slices in it are copies of its own. A
// reply that cannot be decoded ends the link (rule F7).
func (l *Link) Call(ctx context.Context, kind wire.Kind, m, reply wire.Message) error {
	return l.Begin(kind, m).Wait(ctx, reply)
}

// Calling is a request whose reply is waited for.
type Calling struct {
	link *Link
	done chan outcome
}

type outcome struct {
	body []byte
	err  error
}

// Begin is the first half of Call: what the link is asked afterwards goes to the other side afterwards. It does not wait.
func (l *Link) Begin(kind wire.Kind, m wire.Message) Calling {
	c := Calling{l, make(chan outcome, 1)}
	l.Start(kind, m, func(f wire.Frame, err error) { c.done <- outcome{f.OwnBody(), err} })
	return c
}

// Wait is the other half of Call.
func (c Calling) Wait(ctx context.Context, reply wire.Message) error {
	select {
	case got := <-c.done:
		if got.err != nil {
			return got.err
		}
		err := wire.Decode(got.body, reply)
		if err != nil {
			c.link.end(err)
		}
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *Link) read(onEvent func(wire.Frame) error) error {
	for {
		f, err := l.ReadFrame()
		switch {
		case errors.Is(err, io.EOF):
			return shoal.Errorf(shoal.Unreachable, "the other side closed the connection")
		case errors.Is(err, shoal.BadRequest):
			return fmt.Errorf("reading from %v: %w", l.RemoteAddr(), err)
		case err != nil:
			return shoal.Errorf(shoal.Unreachable, "reading from %v: %w", l.RemoteAddr(), err)
		case f.Kind == wire.KindBye:
			var reason wire.Bye
			if err := wire.Decode(f.Body, &reason); err != nil {
				return err
			}
			return reason.Err()
		case f.IsReply():
			err = l.reply(f)
		case f.ID == 0:
			err = onEvent(f)
		default:
			err = shoal.Errorf(shoal.BadRequest, "a request, %v, from the responder (rule F6)", f.Header)
		}
		if err != nil {
			return err
		}
	}
}

// reply hands a reply to who waits for it.
func (l *Link) reply(f wire.Frame) error {
	l.mu.Lock()
	p, open := l.pending[f.ID]
	if open = open && p.kind == f.Kind; open {
		delete(l.pending, f.ID)
	}
	l.mu.Unlock()
	if !open {
		return shoal.Errorf(shoal.BadRequest, "%v answers nothing that was asked (rule F5)", f.Header)
	}
	if f.Flags&wire.FlagError == 0 {
		p.asker.Answered(f, nil)
		return l.SkipData() // what the receiver of a PIECE left, or could not read
	}
	var failed wire.ErrorReply
	err := wire.Decode(f.Body, &failed)
	if err == nil {
		p.asker.Answered(wire.Frame{}, failed.Err())
		return nil
	}
	p.asker.Answered(wire.Frame{}, err)
	return err
}

// write sends what is queued, and looks for signs of life.
func (l *Link) write() {
	silence := time.NewTicker(pingEvery)
	defer silence.Stop()
	var batch []byte
	var heard int64
	pinged, pinging, quiet := false, false, true
	for {
		select {
		case <-l.wake:
		case <-silence.C:
			now := l.Received()
			if now == heard && pinged {
				l.end(shoal.Errorf(shoal.Unreachable, "nothing came from %v for %v", l.RemoteAddr(), 2*pingEvery))
			}
			// The other side wants to hear something now and then, too.
			if pinged = now == heard || quiet; pinged {
				l.Start(wire.KindPing, &wire.Empty{}, func(wire.Frame, error) {})
			}
			heard, quiet, pinging = now, true, pinged
		}
		l.mu.Lock()
		batch, l.queued = l.queued, batch[:0]
		ended := l.ended
		l.mu.Unlock()
		if ended != nil {
			return
		}
		if len(batch) == 0 {
			continue
		}
		quiet, pinging = quiet && pinging, false              // a ping is no other frame
		_ = l.SetWriteDeadline(time.Now().Add(2 * pingEvery)) // while it waits, nobody looks for signs of life
		_, err := l.Write(batch)
		clear(batch) // there may have been a password in it
		if err != nil {
			l.end(shoal.Errorf(shoal.Unreachable, "writing to %v: %w", l.RemoteAddr(), err))
			return
		}
	}
}
