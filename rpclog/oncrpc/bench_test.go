package oncrpc

import (
	"testing"

	"github.com/rs/zerolog"
)

func BenchmarkCall(b *testing.B) {
	tcp, udp := serve(b, testServer())
	for _, to := range []Target{{Network: "tcp", Address: tcp}, {Network: "udp", Address: udp}} {
		b.Run(to.Network, func(b *testing.B) {
			c := dial(b, to)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Call(b.Context(), procEcho, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("in flight", func(b *testing.B) {
		c := dial(b, Target{Network: "tcp", Address: tcp})
		b.ReportAllocs()
		b.SetParallelism(16)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := c.Call(b.Context(), procEcho, nil); err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("large", func(b *testing.B) {
		c := dial(b, Target{Network: "tcp", Address: tcp, Program: testProgram, Version: 2})
		args := make([]byte, 512<<10)
		b.SetBytes(int64(len(args)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Call(b.Context(), 0, args); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkAnswer is the server's side alone, from record to reply.
func BenchmarkAnswer(b *testing.B) {
	s := &Server{Program: testServer().Program, Log: zerolog.Nop()}
	call, out := unhex(b, callOf+echo+none+none+"01020304"), []byte(nil)
	var c Call
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if out, _, err = s.answer(b.Context(), &c, call, out[:0]); err != nil {
			b.Fatal(err)
		}
	}
}
