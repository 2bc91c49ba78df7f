package server

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/identity"
	"shoal/wire"
)

// PUBLISH by 64 clients over TLS on this machine, each one after the other, on the disk of the temporary folder.
func BenchmarkMutations(b *testing.B) {
	s, err := New(b.Context(), Config{Listen: "127.0.0.1:0", State: b.TempDir(), Transport: overTLS, Logger: zerolog.Nop()})
	must(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	people(b, s)
	clients := make(chan *identity.Established, 64)
	var all []*identity.Established
	for range cap(clients) {
		nc, err := net.Dial("tcp", s.Addr().String())
		must(b, err)
		key := identity.NewKey()
		must(b, AddDevice(b.Context(), s.state.dir, Etcd{}, "ann", key.Device(), "", zerolog.Nop()))
		c, err := identity.Initiator{
			Key: key, Wanted: wire.ServiceServer, Transport: overTLS, Accept: func(*wire.HelloReply) error { return nil },
		}.Open(b.Context(), nc)
		must(b, err)
		clients <- c
		all = append(all, c)
	}
	var next atomic.Uint64
	b.SetParallelism(cap(clients) / 2)
	b.ResetTimer()
	begin := time.Now()
	b.RunParallel(func(pb *testing.PB) {
		c := <-clients
		for pb.Next() {
			n := next.Add(1)
			m := &wire.Publish{Sequence: n, Group: shoal.Public, Name: shoal.Name(fmt.Sprint(n)), Content: shoal.Object{ID: shoal.FileID{byte(n), byte(n >> 8), byte(n >> 16)}, Size: 1}}
			_, err := c.Write(wire.AppendRequest(nil, wire.KindPublish, 9, m))
			f, readErr := c.ReadFrame()
			if err != nil || readErr != nil || f.Flags != wire.FlagReply {
				b.Errorf("%v, %v, %v %q", err, readErr, f.Header, f.Body)
				return
			}
		}
		clients <- c
	})
	b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), "mutations/s")
	b.StopTimer()
	for _, c := range all {
		c.Close()
	}
	cancel()
	must(b, <-ended)
}
