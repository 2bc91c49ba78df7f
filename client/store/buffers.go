package store

import (
	"context"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	assemblyLimit = 8 << 20   // bytes that are out at most
	slotSize      = 256 << 10 // bytes: what a buffer takes is rounded up to it
	slots         = assemblyLimit / slotSize
)

// Buffers is the memory in which a process assembles pieces: at most 8 MiB are out at once, over all transfers. It is
// one arena, taken from the system as a whole by the first Get: what a process needs is the same whatever the length of
// pieces, and never grows in the middle of a download. The zero Buffers is ready. For concurrent use.
type Buffers struct {
	mu      sync.Mutex // guards all fields
	arena   []byte     // allocated by the first Get
	used    uint32     // bit i: slot i is out; slots is 32
	large   []byte     // kept between two Gets of buffers larger than the arena
	isLarge bool       // large is out, and so is nothing else
	waiting []*waiter  // in the order they came, so that large requests are not starved
}

type waiter struct {
	n     int
	ready chan []byte // has room for the one buffer it is given
}

// Get returns n bytes of arbitrary content, or waits for its turn until they are free; the error is ctx's. A buffer of
// more than 8 MiB is given when nothing else is out. It belongs to the caller until Put.
func (b *Buffers) Get(ctx context.Context, n int) ([]byte, error) {
	b.mu.Lock()
	if len(b.waiting) == 0 {
		if buf := b.take(n); buf != nil {
			b.mu.Unlock()
			return buf, nil
		}
	}
	w := &waiter{n: n, ready: make(chan []byte, 1)}
	b.waiting = append(b.waiting, w)
	b.mu.Unlock()
	select {
	case buf := <-w.ready:
		return buf, nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.waiting, w); i >= 0 {
		b.waiting = slices.Delete(b.waiting, i, i+1)
	} else {
		b.release(<-w.ready)
	}
	b.serve()
	return nil, context.Cause(ctx)
}

// Put takes back what Get returned; its length may have been changed, its start may not.
func (b *Buffers) Put(buf []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.release(buf)
	b.serve()
}

// serve gives buffers to those who wait, as far as there is room for the first of them. The caller holds mu.
func (b *Buffers) serve() {
	for len(b.waiting) > 0 {
		w := b.waiting[0]
		buf := b.take(w.n)
		if buf == nil {
			return
		}
		w.ready <- buf
		b.waiting = slices.Delete(b.waiting, 0, 1)
	}
}

// take returns a free buffer, or nil. The caller holds mu.
func (b *Buffers) take(n int) []byte {
	switch {
	case b.isLarge:
		return nil
	case n > assemblyLimit:
		if b.used != 0 {
			return nil
		}
		if cap(b.large) < n {
			b.large = make([]byte, n)
		}
		b.isLarge = true
		return b.large[:n]
	}
	b.large = nil
	if b.arena == nil {
		b.arena = newArena(b)
	}
	// Pieces are powers of two: aligned like this, they leave no gaps that the next one does not fit.
	width := max(1, (n+slotSize-1)/slotSize)
	step := 1
	for step < width {
		step *= 2
	}
	for i := 0; i+width <= slots; i += step {
		mask := slotMask(i, width)
		if b.used&mask == 0 {
			b.used |= mask
			return b.arena[i*slotSize : i*slotSize+n : (i+width)*slotSize]
		}
	}
	return nil
}

// newArena takes the memory past Go's heap, which would count it twice: once as it is, and once as room for garbage. It
// is given back when owner is no longer used.
func newArena(owner *Buffers) []byte {
	arena, err := unix.Mmap(-1, 0, assemblyLimit, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE)
	if err != nil {
		return make([]byte, assemblyLimit) // which fails louder, if it does
	}
	runtime.AddCleanup(owner, func(arena []byte) { _ = unix.Munmap(arena) }, arena)
	return arena
}

// release marks a buffer as free. The caller holds mu.
func (b *Buffers) release(buf []byte) {
	if cap(buf) == 0 {
		panic("store: a buffer is put back that Get has not given")
	}
	if b.isLarge && &buf[:1][0] == &b.large[:1][0] {
		b.isLarge = false
		return
	}
	for i := range slots {
		if len(b.arena) > 0 && &b.arena[i*slotSize] == &buf[:1][0] {
			mask := slotMask(i, cap(buf)/slotSize)
			if b.used&mask != mask {
				panic("store: a buffer is put back twice")
			}
			b.used &^= mask
			return
		}
	}
	panic("store: a buffer is put back that Get has not given")
}

func slotMask(i, width int) uint32 { return uint32((uint64(1)<<width - 1) << i) }
