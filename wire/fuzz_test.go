package wire

import (
	"bytes"
	"encoding/binary"
	"io"
	"runtime"
	"slices"
	"testing"

	"shoal/tests/bounds"
)

// bodies lists what a frame may be, for the fuzzer to choose from.
func bodies() (all []Header) {
	for k, row := range kinds {
		id := uint32(1)
		if row.event {
			id = 0
		} else {
			all = append(all, Header{Kind: k, Flags: FlagReply, ID: id}, Header{Kind: k, Flags: FlagReply | FlagError, ID: id})
		}
		all = append(all, Header{Kind: k, ID: id})
	}
	slices.SortFunc(all, func(a, b Header) int { return (int(a.Kind)-int(b.Kind))*8 + int(a.Flags) - int(b.Flags) })
	return all
}

// seeds are the vectors, without the very large ones.
func seeds(t testing.TB) (valid, refused [][]byte) {
	for _, v := range loadFrames(t) {
		if b := v.Frame.Expand(); len(b) < 1<<16 {
			valid = append(valid, b)
		}
	}
	for _, v := range loadRefused(t) {
		refused = append(refused, v.Frame.Expand())
	}
	return valid, refused
}

// A fuzzer without seeds hardly gets past a header, and nobody would notice.
func TestSeeds(t *testing.T) {
	valid, refused := seeds(t)
	if len(valid) < 100 || len(refused) < 500 {
		t.Errorf("%d and %d seeds; there were more", len(valid), len(refused))
	}
	seen := map[Header]bool{}
	for _, b := range valid {
		h, err := ParseHeader(b)
		if err != nil {
			t.Fatal(err)
		}
		seen[Header{Kind: h.Kind, Flags: h.Flags}] = true
	}
	for _, h := range bodies() {
		if !seen[Header{Kind: h.Kind, Flags: h.Flags}] && h.Flags&FlagError == 0 {
			t.Errorf("no seed for %v", h)
		}
	}
}

// Whatever arrives: no panic; and what is accepted is what encoding it again gives, so each message has one form.
func FuzzReadFrame(f *testing.F) {
	valid, refused := seeds(f)
	valid = slices.DeleteFunc(valid, func(b []byte) bool { return len(b) > 1<<10 }) // the fuzzer is slow with large ones
	for i, b := range valid {
		f.Add(b)
		f.Add(slices.Concat(b, valid[(i+1)%len(valid)]))
	}
	for _, b := range refused {
		if len(b) <= 1<<10 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		bounds.Hold(t, len(b), func() {
			c := NewConn(reading{Reader: bytes.NewReader(b)})
			for rest := b; ; {
				frame, m, data, err := readAll(c)
				if err != nil {
					if (err == io.EOF) != (len(rest) == 0) {
						t.Errorf("with %d bytes left: %v", len(rest), err)
					}
					return
				}
				again := encode(frame.Header, m, data)
				if !bytes.HasPrefix(rest, again) || len(again) != HeaderSize+int(frame.Length) {
					t.Fatalf("%x is read as %v %+v, which is encoded as %x", rest, frame.Header, m, again)
				}
				rest = rest[len(again):]
			}
		})
	})
}

// FuzzDecode goes straight to the decoders, each body for itself.
func FuzzDecode(f *testing.F) {
	all := bodies()
	valid, refused := seeds(f)
	for _, b := range append(valid, refused...) {
		if len(b) < HeaderSize {
			continue
		}
		kind, flags := Kind(binary.BigEndian.Uint16(b[4:])), Flags(binary.BigEndian.Uint16(b[6:]))
		i := slices.IndexFunc(all, func(h Header) bool { return h.Kind == kind && h.Flags == flags })
		if i >= 0 {
			f.Add(uint8(i), b[HeaderSize:])
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		bounds.Hold(t, len(body), func() {
			h := all[int(which)%len(all)]
			m := NewMessage(h)
			if err := Decode(body, m); err != nil {
				return
			}
			if again := m.Append(nil); !bytes.Equal(again, body) {
				t.Errorf("%x is decoded as %+v, which is encoded as %x", body, m, again)
			}
		})
	})
}

// Decoding costs at most 64 times the input and 1 MiB, whatever the lengths in it promise.
func TestCostIsBounded(t *testing.T) {
	bound := func(input int) uint64 { return 64*uint64(input) + 1<<20 }
	valid, refused := seeds(t)
	for _, b := range append(valid, refused...) {
		if cost := allocated(func() { readAll(NewConn(reading{Reader: bytes.NewReader(b)})) }); cost > bound(len(b)) {
			t.Errorf("%x: %d bytes allocated for %d", head(b), cost, len(b))
		}
	}
	for _, h := range bodies() {
		h.Length = h.Kind.row().limit(h.Flags)
		promise := h.append(nil) // of the longest body, which does not come
		if cost := allocated(func() { readAll(NewConn(reading{Reader: bytes.NewReader(promise)})) }); cost > bound(len(promise)) {
			t.Errorf("%v: %d bytes allocated for a header", h, cost)
		}
		for _, fill := range []byte{0, 1, 0xff} {
			body := bytes.Repeat([]byte{0, 0, 0, fill}, int(h.Length/4)) // full of lengths
			if cost := allocated(func() { _ = Decode(body, NewMessage(h)) }); cost > bound(len(body)) {
				t.Errorf("%v: %d bytes allocated for %d", h, cost, len(body))
			}
		}
	}
}

// allocated is the number of bytes that f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
