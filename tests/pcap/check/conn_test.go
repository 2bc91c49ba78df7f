package check

import (
	"net/netip"
	"testing"
	"time"

	"shoal/wire"
)

// However the bytes come, every frame is told of once, and a reply with its request.
func TestFramesAreTold(t *testing.T) {
	at := time.Unix(1700000000, 0)
	for _, size := range []int{1, 5, 1000} {
		trace := New()
		var told []wire.Header
		trace.OnFrame = func(f *Frame) {
			told = append(told, f.Header)
			if f.IsReply() != (f.Request != nil) {
				t.Errorf("%v with the request %v", f.Header, f.Request)
			}
		}
		c := trace.Open(netip.AddrPort{}, netip.AddrPort{}, at, false)
		send := func(from Side, b []byte) {
			for len(b) > 0 {
				n := min(size, len(b))
				c.Data(from, at, b[:n])
				b = b[n:]
			}
		}
		send(Initiator, wire.AppendRequest(nil, wire.KindPing, 7, &wire.Empty{}))
		send(Responder, wire.AppendReply(nil, wire.KindPing, 7, &wire.Empty{}))
		send(Initiator, wire.AppendRequest(nil, wire.KindRequest, 8, &wire.Request{Length: 5}))
		send(Responder, append(wire.AppendPieceHead(nil, 8, wire.PieceHead{}, 5), "hello"...))
		trace.Finish()
		if len(told) != 4 {
			t.Errorf("%d frames by %d bytes: %v", len(told), size, told)
		}
	}
}
