package check_test

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"testing"
	"time"

	"shoal/tests/pcap/check"
	"shoal/tests/pcap/packet"
	"shoal/tests/pcap/stream"
	"shoal/wire"
)

// recording makes steps of what a capture has of Shoal's conversations.
type recording struct {
	t     *testing.T
	trace *check.Trace
	steps []check.Step
	conns map[*check.Conn]*recorded
}

// recorded is one connection.
type recorded struct {
	*recording
	number int
	conn   *check.Conn // nil where it is none of Shoal's
	begun  bool
	to     netip.AddrPort
	from   netip.AddrPort
	raw    [2]bytes.Buffer // what has not been cut into frames
	open   int             // requests
}

func (r *recorded) Data(from check.Side, at time.Time, b []byte) {
	if !r.begun {
		r.begun = true
		if h, err := wire.ParseHeader(append(b[:len(b):len(b)], make([]byte, wire.HeaderSize)...)); err == nil && h.Kind == wire.KindHello {
			r.conn = r.trace.Open(r.from, r.to, at, true)
			r.conns[r.conn] = r
			r.steps = append(r.steps, check.OpenStep(r.number, at, r.to))
		}
	}
	if r.conn != nil {
		r.raw[from].Write(b)
		r.conn.Data(from, at, b)
	}
}

func (r *recorded) Lost(check.Side, time.Time, int64) { r.t.Error("the sample has a gap") }

func (r *recorded) Close(from check.Side, at time.Time, _ bool) {
	if r.conn != nil {
		r.conn.Close(from, at, false)
		if r.open == 0 {
			at = at.Add(15 * time.Minute) // so that whatever is not answered any more should have been
		}
		r.recording.steps = append(r.recording.steps, check.CloseStep(r.number, at, from))
	}
}

func (r *recorded) End([2]int64) {}

// record reads a capture.
func record(t *testing.T, file string) []check.Step {
	r := &recording{t: t, trace: check.New(), conns: map[*check.Conn]*recorded{}}
	r.trace.OnFrame = func(f *check.Frame) {
		c := r.conns[f.Conn]
		switch {
		case f.IsReply():
			c.open--
		case f.ID != 0:
			c.open++
		}
		r.steps = append(r.steps, check.FrameStep(c.number, f.At, f.From, bytes.Clone(c.raw[f.From].Next(wire.HeaderSize+int(f.Length)))))
	}
	packets, err := packet.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	count := 0
	streams := stream.New(func(initiator, responder netip.AddrPort, _ time.Time, _ bool) stream.Handler {
		count++
		return &recorded{recording: r, number: count, from: initiator, to: responder}
	})
	for {
		p, err := packets.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		streams.Add(p)
	}
	streams.Finish()
	return r.steps
}

// What real programs said to each other is right, and what is changed in it is told of, but for what is as right as before.
// Of each kind of frame one is changed.
func TestRecorded(t *testing.T) {
	steps := record(t, "../testdata/plaintext.pcapng.gz")
	frames := 0
	for _, v := range check.CheckSteps(steps, func(*check.Frame) { frames++ }) {
		t.Error(v)
	}
	if frames < 500 {
		t.Errorf("%d frames; there were more", frames)
	}
	check.ChangeSome(t, steps)
}
