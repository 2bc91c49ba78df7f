package check

import (
	"net/netip"
	"testing"
	"time"

	"shoal/tests/bounds"
	"shoal/wire"
)

// Whatever comes, in whatever pieces, with whatever lost: nothing panics, each frame that is told of was there, and what is
// left behind at the end is bounded.
func FuzzConversation(f *testing.F) {
	for _, script := range []func(*book){serveEverything, fetchEverything} {
		b := newBook()
		script(b)
		var tape []byte
		for _, s := range b.steps {
			if s.conn != 0 || len(s.frame) > 6_000 {
				continue
			}
			for part := s.frame; len(part) > 0; part = part[min(len(part), 1<<14):] {
				n := min(len(part), 1<<14)
				tape = append(tape, byte(s.from), byte(n>>8), byte(n))
				tape = append(tape, part[:n]...)
			}
		}
		f.Add(true, tape)
		f.Add(false, tape[len(tape)/3:])
	}
	f.Add(true, []byte{2, 0, 1, 0, 0, 12, 3, 255, 255, 4, 0, 0, 5, 0, 0})
	f.Fuzz(func(t *testing.T, whole bool, tape []byte) {
		bounds.Hold(t, len(tape), func() { converse(t, whole, tape) })
	})
}

// converse takes what the tape says.
func converse(t *testing.T, whole bool, tape []byte) {
	trace := New()
	frames, bytes := 0, 0
	trace.OnFrame = func(f *Frame) {
		frames++
		if f.IsReply() && f.Request != nil && f.Request.Kind != f.Kind {
			t.Errorf("%v answers %v", f.Header, f.Request.Header)
		}
	}
	trace.OnViolation = func(v Violation) {
		if v.Rule == "" || v.Text == "" || v.Conn == nil {
			t.Errorf("a violation that says nothing: %+v", v)
		}
	}
	at := began
	c := trace.Open(netip.AddrPort{}, netip.AddrPort{}, at, whole)
	for len(tape) >= 3 {
		op, n := tape[0], int(tape[1])<<8|int(tape[2])
		tape = tape[3:]
		switch op % 8 {
		case 0, 1, 6, 7:
			part := tape[:min(n, len(tape))]
			tape = tape[len(part):]
			bytes += len(part)
			c.Data(Side(op%2), at, part)
		case 2, 3:
			c.Lost(Side(op%2), int64(n)-10)
		case 4:
			c.Close(Side(n%2), at, n%3 == 0)
		case 5:
			at = at.Add(time.Duration(n) * time.Millisecond)
		}
	}
	trace.Finish()
	if frames > bytes/wire.HeaderSize {
		t.Errorf("%d frames in %d bytes", frames, bytes)
	}
	if len(trace.conns) != 0 {
		t.Error("a connection is not forgotten")
	}
}
