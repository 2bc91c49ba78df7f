package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

func get(t *testing.T, b *Buffers, n int) []byte {
	t.Helper()
	buf, err := b.Get(context.Background(), n)
	if err != nil || len(buf) != n {
		t.Fatalf("%d bytes: got %d, %v", n, len(buf), err)
	}
	return buf
}

func TestBuffersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b Buffers
		var held [][]byte
		for range 8 {
			held = append(held, get(t, &b, 1<<20))
		}
		ctx, cancel := context.WithCancelCause(context.Background())
		tooLate := errors.New("too late")
		var order []int
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if _, err := b.Get(ctx, 1<<20); err != tooLate {
				t.Errorf("given up: %v", err)
			}
		})
		synctest.Wait()
		for i, n := range []int{8 << 20, 1, 9 << 20, 1 << 20} {
			waiting.Go(func() {
				buf := get(t, &b, n)
				order = append(order, i) // one at a time: the large ones keep the others out
				synctest.Wait()
				b.Put(buf)
			})
			synctest.Wait()
		}
		cancel(tooLate)
		for _, buf := range held {
			b.Put(buf)
		}
		waiting.Wait()
		for i, got := range order {
			if got != i {
				t.Errorf("served in the order %v", order)
			}
		}
	})
}

// The memory that is touched is what is in use at once: after pieces of one length, those of another find it.
func TestBuffersReuse(t *testing.T) {
	var b Buffers
	highest := 0
	for range 100 {
		for _, n := range []int{1 << 20, 256 << 10, 0, 1000, 2 << 20} {
			first, second := get(t, &b, n), get(t, &b, n/2)
			for i := range slots {
				if b.used>>i&1 == 1 {
					highest = max(highest, i)
				}
			}
			b.Put(first[:n/2]) // shortened meanwhile
			b.Put(second)
		}
	}
	if limit := 4 << 20 / slotSize; highest >= limit {
		t.Errorf("slot %d was used where %d are enough", highest, limit)
	}
	if b.used != 0 {
		t.Errorf("slots %b are not free", b.used)
	}
}

func TestBuffersMisuse(t *testing.T) {
	for what, misuse := range map[string]func(b *Buffers, buf []byte){
		"twice":   func(b *Buffers, buf []byte) { b.Put(buf); b.Put(buf) },
		"foreign": func(b *Buffers, _ []byte) { b.Put(make([]byte, 10)) },
		"inner":   func(b *Buffers, buf []byte) { b.Put(buf[1:]) },
		"nil":     func(b *Buffers, _ []byte) { b.Put(nil) },
	} {
		var b Buffers
		buf := get(t, &b, 10)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("put back %s: not noticed", what)
				}
			}()
			misuse(&b, buf)
		}()
	}
}

// Many transfers at once never have more than the limit, nor a byte in common.
func TestBuffersConcurrently(t *testing.T) {
	var b Buffers
	var out atomic.Int64
	var transfers sync.WaitGroup
	for worker := range 8 {
		transfers.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(worker)))
			for range 300 {
				n := 1 + rng.IntN(4<<20)
				ctx, cancel := context.WithCancel(context.Background())
				if rng.IntN(4) == 0 {
					cancel()
				}
				buf, err := b.Get(ctx, n)
				cancel()
				if err != nil {
					continue
				}
				if total := out.Add(int64(n)); total > assemblyLimit {
					t.Errorf("%d bytes are out", total)
				}
				buf[0], buf[n-1] = byte(worker), byte(worker)
				if buf[0] != byte(worker) || buf[n-1] != byte(worker) {
					t.Error("two have the same buffer")
				}
				out.Add(int64(-n))
				b.Put(buf)
			}
		})
	}
	transfers.Wait()
	if b.used != 0 || len(b.waiting) != 0 {
		t.Errorf("slots %b are not free, %d wait", b.used, len(b.waiting))
	}
}

func BenchmarkBuffers(b *testing.B) {
	var buffers Buffers
	b.ReportAllocs()
	for b.Loop() {
		buf, err := buffers.Get(context.Background(), 1<<20)
		if err != nil {
			b.Fatal(err)
		}
		buffers.Put(buf)
	}
}
