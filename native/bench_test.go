package native

import (
	"fmt"
	"testing"
)

func BenchmarkSum(b *testing.B) {
	data := randomBytes(1 << 20)
	for _, level := range Levels() {
		e := mustAt(b, level)
		for n := ChunkSize; n <= len(data); n *= 8 {
			b.Run(fmt.Sprintf("%s/%dKiB", level, n>>10), func(b *testing.B) {
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for b.Loop() {
					e.Sum(data[:n])
				}
			})
		}
	}
}

// BenchmarkCall is a call that does next to nothing: what it costs to call into C.
func BenchmarkCall(b *testing.B) {
	values := make([][Size]byte, 1)
	for b.Loop() {
		Combine(values)
	}
}
