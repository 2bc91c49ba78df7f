package oncrpc

import (
	"bytes"
	"context"
	"io"
	"net"
	"runtime"
	"slices"
	"testing"
)

// maxCost is what a hostile connection may make the process allocate in all its life, in bytes.
const maxCost = 2 << 20

// A hostile connection costs little, ends in whatever way, and nobody else notices.
func TestHostileConnections(t *testing.T) {
	s := testServer()
	s.TLS = selfSigned(t)
	address, _ := serve(t, s)
	honest := dial(t, Target{Network: "tcp", Address: address})
	tlsBegun := fragment(unhex(t, probe), true)
	for name, attack := range map[string]struct {
		once  []byte
		train []byte // sent again and again, until the connection breaks
		held  bool   // the server waits for more
	}{
		"a length bomb":                 {once: []byte{0x7F, 0xFF, 0xFF, 0xFF, 1, 2, 3}},
		"a last length bomb":            {once: []byte{0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3}},
		"the largest length, and half":  {once: append([]byte{0x80, 0x10, 0, 0}, make([]byte, 512<<10)...), held: true},
		"the largest record":            {once: fragment(append(unhex(t, callOf+null+none+none), make([]byte, defaultRecord-40)...), true), held: true},
		"a length bomb after fragments": {once: append(fragment(make([]byte, 1000), false), 0x7F, 0xFF, 0xFF, 0xFF)},
		"empty fragments":               {train: make([]byte, 4)},
		"fragments of a byte":           {train: fragment([]byte{0}, false)},
		"fragments of 4 KiB":            {train: fragment(make([]byte, 4<<10), false)},
		"a hello of 16 MiB":             {once: slices.Concat(tlsBegun, []byte{0x16, 3, 1, 0x40, 0, 1, 0xFF, 0xFF, 0xFF}), train: append([]byte{0x16, 3, 1, 0x40, 0}, make([]byte, 1<<14)...)},
		"garbage for TLS":               {once: slices.Concat(tlsBegun, bytes.Repeat([]byte{0xFF}, 100))},
		"HTTP":                          {once: []byte("GET / HTTP/1.1\r\n\r\n")},
	} {
		// A connection of its own each time: what a test's own side allocates is in the figure, too.
		train := bytes.Repeat(attack.train, 64<<10/max(1, len(attack.train)))
		conn := rawDial(t, "tcp", address).(*net.TCPConn)
		cost := allocated(func() {
			_, err := conn.Write(attack.once)
			for sent := 0; err == nil && len(train) > 0 && sent < 4<<20; sent += len(train) {
				_, err = conn.Write(train)
			}
			if attack.held {
				if _, err := honest.Call(t.Context(), procEcho, nil); err != nil {
					t.Errorf("%s: another connection: %v", name, err)
				}
			}
			_ = conn.CloseWrite()
			_, _ = io.Copy(sink{}, conn)
		})
		t.Logf("%s: %d KiB", name, cost>>10)
		if cost > maxCost {
			t.Errorf("%s cost %d bytes", name, cost)
		}
		if _, err := honest.Call(t.Context(), procEcho, nil); err != nil {
			t.Errorf("%s: another connection: %v", name, err)
		}
	}
}

// sink swallows without a large buffer.
type sink struct{}

func (sink) Write(p []byte) (int, error) { return len(p), nil }

// A server that means ill costs its client no more.
func TestHostileServer(t *testing.T) {
	for name, train := range map[string][]byte{
		"a length bomb":    {0xFF, 0xFF, 0xFF, 0xFF},
		"empty fragments":  make([]byte, 64<<10),
		"an endless reply": fragment(make([]byte, 64<<10), false),
	} {
		near, far := net.Pipe()
		c := dial(t, Target{Dial: func(context.Context, string, string) (net.Conn, error) { return near, nil }})
		cost := allocated(func() {
			var err error
			for err == nil {
				_, err = far.Write(train)
			}
		})
		t.Logf("%s: %d KiB", name, cost>>10)
		if cost > maxCost {
			t.Errorf("%s cost %d bytes", name, cost)
		}
		if _, err := c.Call(t.Context(), procEcho, nil); err == nil {
			t.Errorf("%s: the client goes on", name)
		}
	}
}

// allocated is how many bytes the process allocates while f runs.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
