package store

import (
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// BenchmarkWritePieces writes an object of 1 GiB by as many writers as a download has, and finishes it; "plain" is the
// same bytes by pwrite and fsync alone, "unverified" what a Part costs besides the hashing.
func BenchmarkWritePieces(b *testing.B) {
	const size = 1 << 30
	data := random(size, 1)
	o, m := describe(b, data)
	write := func(b *testing.B, one func(i int, data []byte) error) {
		var next atomic.Int64
		var writers sync.WaitGroup
		for range 3 {
			writers.Go(func() {
				for i := int(next.Add(1)) - 1; i < o.Pieces(); i = int(next.Add(1)) - 1 {
					if err := one(i, piece(o, data, i)); err != nil {
						b.Error(err)
					}
				}
			})
		}
		writers.Wait()
	}
	b.Run("plain", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			f, err := os.Create(filepath.Join(b.TempDir(), "plain"))
			if err != nil {
				b.Fatal(err)
			}
			write(b, func(i int, data []byte) error {
				offset, _ := o.PieceRange(i)
				_, err := f.WriteAt(data, offset)
				return err
			})
			if err := f.Sync(); err != nil {
				b.Fatal(err)
			}
			closeNow(b, f)
			removeNow(b, f.Name())
		}
	})
	part := func(b *testing.B, one func(p *Part, i int, data []byte) error) {
		b.SetBytes(size)
		for b.Loop() {
			p := openPart(b, b.TempDir(), "final", o, m)
			write(b, func(i int, data []byte) error { return one(p, i, data) })
			f, err := p.Finish()
			if err != nil {
				b.Fatal(err)
			}
			closeNow(b, f)
			closeNow(b, p)
			removeNow(b, f.Path())
		}
	}
	b.Run("unverified", func(b *testing.B) { part(b, (*Part).write) })
	b.Run("verified", func(b *testing.B) { part(b, (*Part).WritePiece) })
}

func removeNow(b *testing.B, path string) {
	b.Helper()
	if err := os.Remove(path); err != nil {
		b.Fatal(err)
	}
}
