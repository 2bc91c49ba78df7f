package link

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"shoal"
	"shoal/identity"
	"shoal/wire"
	"shoal/wire/wiretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// other is the other side of a link, which says what a test wants it to.
type other struct {
	*wire.Conn
	t *testing.T
}

// run starts a link; ended gives what Run returned.
func run(t *testing.T, transport identity.Transport, size int) (l *Link, o other, ended func() error) {
	ours, theirs := wiretest.PipeSize(size)
	accepted := make(chan *identity.Established, 1)
	go func() {
		e, err := identity.Responder{Key: identity.NewKey(), Serves: wire.ServicePeer, Transport: transport}.Accept(t.Context(), theirs)
		if err != nil {
			t.Error(err)
		}
		accepted <- e
	}()
	e, err := identity.Initiator{
		Key: identity.NewKey(), Wanted: wire.ServicePeer, Transport: transport, Accept: func(*wire.HelloReply) error { return nil },
	}.Open(t.Context(), ours)
	must(t, err)
	l = New(e)
	result := make(chan error, 1)
	go func() {
		result <- l.Run(t.Context(), func(f wire.Frame) error { return shoal.Errorf(shoal.BadRequest, "%v", f.Header) })
	}()
	o = other{(<-accepted).Conn, t}
	t.Cleanup(func() {
		l.Close(shoal.Canceled)
		theirs.Close()
	})
	return l, o, func() error { return <-result }
}

func (o other) read() wire.Frame {
	o.t.Helper()
	f, err := o.ReadFrame()
	must(o.t, err)
	return f
}

func (o other) send(b []byte) {
	o.t.Helper()
	_, err := o.Write(b)
	must(o.t, err)
}

var plaintext = identity.Transport{Security: wire.Plaintext}

// within runs a test on virtual time.
func within(t *testing.T, do func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, do)
}

func TestRepliesInAnyOrder(t *testing.T) {
	within(t, func(t *testing.T) {
		l, o, _ := run(t, plaintext, 0)
		var got []uint32
		a := l.Start(wire.KindPing, &wire.Empty{}, func(f wire.Frame, err error) { got = append(got, f.ID) })
		b := l.Start(wire.KindPing, &wire.Empty{}, func(f wire.Frame, err error) { got = append(got, f.ID) })
		o.read()
		o.read()
		o.send(wire.AppendReply(nil, wire.KindPing, b, &wire.Empty{}))
		o.send(wire.AppendReply(nil, wire.KindPing, a, &wire.Empty{}))
		synctest.Wait()
		if a == 0 || a == b || len(got) != 2 || got[0] != b || got[1] != a {
			t.Errorf("asked as %d and %d, got %v", a, b, got)
		}
	})
}

// Every request gets an answer when the link ends, whatever ends it, and those that come too late.
func TestWhatEndsALink(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(l *Link, o other, id uint32)
		code shoal.Code
	}{
		"the other side closes": {func(_ *Link, o other, _ uint32) { o.Close() }, shoal.Unreachable},
		"within a frame":        {func(_ *Link, o other, _ uint32) { o.send([]byte{1, 2, 3}); o.Close() }, shoal.Unreachable},
		"BYE":                   {func(_ *Link, o other, _ uint32) { o.send(wire.AppendEvent(nil, wire.KindBye, wire.NewBye(shoal.Busy))) }, shoal.Busy},
		"this side closes":      {func(l *Link, _ other, _ uint32) { l.Close(shoal.Corrupt) }, shoal.Corrupt},
		"nonsense":              {func(_ *Link, o other, _ uint32) { o.send(make([]byte, wire.HeaderSize)) }, shoal.BadRequest},
		"a reply of another kind": {func(_ *Link, o other, id uint32) {
			o.send(wire.AppendReply(nil, wire.KindPing, id, &wire.Empty{}))
		}, shoal.BadRequest},
		"a reply to nothing": {func(_ *Link, o other, id uint32) {
			o.send(wire.AppendReply(nil, wire.KindPing, id+1, &wire.Empty{}))
		}, shoal.BadRequest},
		"a request": {func(_ *Link, o other, id uint32) { o.send(wire.AppendRequest(nil, wire.KindPing, id, &wire.Empty{})) }, shoal.BadRequest},
		"an event that is not welcome": {func(_ *Link, o other, _ uint32) {
			o.send(wire.AppendEvent(nil, wire.KindCancel, &wire.Cancel{ID: 1}))
		}, shoal.BadRequest},
		"silence": {func(*Link, other, uint32) {}, shoal.Unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T) {
				l, o, ended := run(t, plaintext, 0)
				answers := make(chan error, 3)
				id := l.Start(wire.KindLeave, &wire.Leave{}, func(_ wire.Frame, err error) { answers <- err })
				go func() {
					answers <- l.Call(t.Context(), wire.KindManifest, &wire.ManifestRequest{}, &wire.ManifestReply{})
				}()
				o.read()
				o.read()
				c.end(l, o, id)
				if err := ended(); shoal.CodeOf(err) != c.code {
					t.Errorf("it ended by %v", err)
				}
				l.Start(wire.KindLeave, &wire.Leave{}, func(_ wire.Frame, err error) { answers <- err })
				l.Event(wire.KindCancel, &wire.Cancel{})
				for range 3 {
					err := <-answers
					var lost *LostError
					if !errors.As(err, &lost) || shoal.CodeOf(err) != c.code {
						t.Errorf("a request is answered by %v", err)
					}
				}
			})
		})
	}
}

// What is not read of a PIECE is passed over, and a connection that ends within one ends the link.
func TestPieces(t *testing.T) {
	within(t, func(t *testing.T) {
		l, o, ended := run(t, plaintext, 0)
		got := make(chan error, 1)
		half := make([]byte, 5)
		read := func(f wire.Frame, err error) {
			if err == nil {
				err = l.ReadData(half)
			}
			got <- err
		}
		piece := func(id uint32) []byte {
			return append(wire.AppendPieceHead(nil, id, wire.PieceHead{}, 10), "helloworld"...)
		}
		o.send(piece(l.Start(wire.KindRequest, &wire.Request{}, read)))
		if err := <-got; err != nil || string(half) != "hello" {
			t.Error(string(half), err)
		}
		id := l.Start(wire.KindPing, &wire.Empty{}, func(_ wire.Frame, err error) { got <- err })
		o.send(wire.AppendReply(nil, wire.KindPing, id, &wire.Empty{}))
		must(t, <-got)
		o.send(piece(l.Start(wire.KindRequest, &wire.Request{}, read))[:wire.HeaderSize+8+2])
		o.Close()
		if <-got == nil || !errors.Is(ended(), shoal.Unreachable) {
			t.Error("a piece that is not there was read")
		}
	})
}

func TestCall(t *testing.T) {
	within(t, func(t *testing.T) {
		l, o, ended := run(t, plaintext, 0)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, shoal.Busy)
		defer cancel()
		var reply wire.JoinReply
		if err := l.Call(ctx, wire.KindJoin, &wire.Join{Swarm: shoal.Swarm{Group: "g"}}, &reply); err != shoal.Busy {
			t.Errorf("a call that takes too long: %v", err)
		}
		late := o.read() // its reply comes after nobody waits for it any more
		o.send(wire.AppendReply(nil, late.Kind, late.ID, &wire.JoinReply{Handle: 5}))
		done := make(chan error, 1)
		go func() { done <- l.Call(t.Context(), wire.KindLeave, &wire.Leave{}, &wire.Empty{}) }()
		o.send(wire.AppendError(nil, wire.KindLeave, o.read().ID, shoal.NotFound))
		var lost *LostError
		if err := <-done; !errors.Is(err, shoal.NotFound) || errors.As(err, &lost) {
			t.Errorf("an error: %v", err)
		}
		go func() { done <- l.Call(t.Context(), wire.KindJoin, &wire.Join{Swarm: shoal.Swarm{Group: "g"}}, &reply) }()
		o.send(wire.AppendReply(nil, wire.KindJoin, o.read().ID, &wire.Leave{})) // makes no sense
		if err := <-done; !errors.Is(err, shoal.BadRequest) || !errors.Is(ended(), shoal.BadRequest) {
			t.Errorf("a reply that makes no sense: %v", err)
		}
		if reply.Handle != 0 {
			t.Error("a reply that came too late was used")
		}
	})
}

// A link pings when it is silent, or the other side is, and lives as long as that answers.
func TestSignsOfLife(t *testing.T) {
	within(t, func(t *testing.T) {
		_, o, ended := run(t, plaintext, 0)
		began := time.Now()
		for range 20 {
			f := o.read()
			if f.Kind != wire.KindPing {
				t.Fatal(f.Header)
			}
			o.send(wire.AppendReply(nil, f.Kind, f.ID, &wire.Empty{}))
		}
		if took := time.Since(began); took != 20*pingEvery {
			t.Errorf("20 signs of life in %v", took)
		}
		ended()
		if silent := time.Since(began) - 20*pingEvery; silent > 2*pingEvery {
			t.Errorf("it took %v to see that the other side is dead", silent)
		}
	})
}

// Another side that does not read is dead too, and closing does not wait for it: not under TLS, either.
func TestOtherSideThatDoesNotRead(t *testing.T) {
	for _, transport := range []identity.Transport{plaintext, {Security: wire.TLS}, {Security: wire.TLS, Buffer: identity.BulkBuffer}} {
		t.Run(transport.Security.String(), func(t *testing.T) {
			within(t, func(t *testing.T) {
				l, _, ended := run(t, transport, 8<<10)
				for range 5000 {
					l.Start(wire.KindLeave, &wire.Leave{}, func(wire.Frame, error) {})
				}
				synctest.Wait()
				began := time.Now()
				l.Close(shoal.Busy)
				if err := ended(); !errors.Is(err, shoal.Busy) || time.Since(began) != 0 {
					t.Errorf("it ended after %v by %v", time.Since(began), err)
				}
				l, _, ended = run(t, transport, 8<<10)
				for range 5000 {
					l.Start(wire.KindLeave, &wire.Leave{}, func(wire.Frame, error) {})
				}
				began = time.Now()
				if err := ended(); !errors.Is(err, shoal.Unreachable) || time.Since(began) > 3*pingEvery {
					t.Errorf("it ended after %v by %v", time.Since(began), err)
				}
			})
		})
	}
}
