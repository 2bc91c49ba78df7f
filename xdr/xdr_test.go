package xdr

import (
	"bytes"
	"errors"
	"testing"

	oracle "github.com/vmware/go-nfs-client/nfs/xdr"

	"shoal/tests/bounds"
)

type sample struct {
	A uint32
	B uint64
	C int64
	D bool
	E [5]byte
	F []byte
	G string
	H []uint32
}

func (s sample) encode() []byte {
	b := AppendUint32(nil, s.A)
	b = AppendUint64(b, s.B)
	b = AppendInt64(b, s.C)
	b = AppendBool(b, s.D)
	b = AppendFixed(b, s.E[:])
	b = AppendOpaque(b, s.F)
	b = AppendString(b, s.G)
	b = AppendUint32(b, uint32(len(s.H)))
	for _, v := range s.H {
		b = AppendUint32(b, v)
	}
	return b
}

func decodeSample(b []byte) (s sample, err error) {
	d := NewDecoder(b)
	s.A, s.B, s.C, s.D = d.Uint32(), d.Uint64(), d.Int64(), d.Bool()
	copy(s.E[:], d.Fixed(len(s.E)))
	s.F = d.Opaque(64)
	s.G = d.String(64)
	s.H = make([]uint32, d.Count(16, 4))
	for i := range s.H {
		s.H[i] = d.Uint32()
	}
	return s, d.Finish()
}

var samples = []sample{
	{},
	{A: 1, B: 1 << 63, C: -1, D: true, E: [5]byte{1, 2, 3, 4, 5}, F: []byte{9}, G: "grüße", H: []uint32{7, 8}},
	{F: []byte{1, 2, 3, 4}, G: "abc", H: []uint32{0}},
}

// The encoder of go-nfs-client is an implementation that is not ours: both must give the same bytes.
func TestAgreesWithOracle(t *testing.T) {
	for _, s := range samples {
		var want bytes.Buffer
		if err := oracle.Write(&want, s); err != nil {
			t.Fatal(err)
		}
		if got := s.encode(); !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%+v\n got %x\nwant %x", s, got, want.Bytes())
		}
	}
}

func TestTruncated(t *testing.T) {
	whole := samples[1].encode()
	if _, err := decodeSample(whole); err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if _, err := decodeSample(whole[:n]); !errors.Is(err, ErrMalformed) {
			t.Fatalf("%d of %d bytes: %v", n, len(whole), err)
		}
	}
	if _, err := decodeSample(append(whole, 0)); !errors.Is(err, ErrMalformed) {
		t.Fatalf("a byte too many: %v", err)
	}
}

func TestRefuses(t *testing.T) {
	for name, read := range map[string]func(*Decoder){
		"a boolean of 2":           func(d *Decoder) { d.Bool() },
		"more data than allowed":   func(d *Decoder) { d.Opaque(1) },
		"more data than there is":  func(d *Decoder) { d.Opaque(1 << 30) },
		"more elements than fit":   func(d *Decoder) { d.Count(1<<30, 1<<20) },
		"more elements than asked": func(d *Decoder) { d.Count(1, 1) },
		"padding that is not zero": func(d *Decoder) { d.Fixed(3) },
	} {
		d := NewDecoder([]byte{0, 0, 0, 2})
		read(d)
		if !errors.Is(d.Err(), ErrMalformed) {
			t.Errorf("%s: %v", name, d.Err())
		}
	}
}

// A length of 4 GiB in four bytes must cost nothing.
func TestLengthBomb(t *testing.T) {
	bomb := []byte{0xff, 0xff, 0xff, 0xff}
	if n := testing.AllocsPerRun(10, func() {
		d := Decoder{rest: bomb}
		if d.Count(1<<40, 0) != 1<<32-1 {
			t.Fatal("an element of no size cannot be refused by what is left")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	d := NewDecoder(bomb)
	if b := d.Opaque(1 << 40); b != nil || d.Err() == nil {
		t.Errorf("got %d bytes, %v", len(b), d.Err())
	}
}

func FuzzDecoder(f *testing.F) {
	for _, s := range samples {
		f.Add(s.encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		bounds.Hold(t, len(b), func() {
			s, err := decodeSample(b)
			if err == nil && !bytes.Equal(s.encode(), b) {
				t.Errorf("%x decodes to %+v, which encodes to %x", b, s, s.encode())
			}
		})
	})
}

// FuzzOracle has both encoders write the same values, and ours read them again.
func FuzzOracle(f *testing.F) {
	f.Add(uint32(1), uint64(2), int64(-3), true, []byte("fixed"), []byte{4}, "grüße", []byte{5, 6})
	f.Add(uint32(0), uint64(0), int64(0), false, []byte{}, []byte{}, "", []byte{})
	f.Fuzz(func(t *testing.T, a uint32, b uint64, c int64, d bool, fixed, opaque []byte, text string, list []byte) {
		if len(opaque) > 64 || len(text) > 64 || len(list) > 16 {
			return
		}
		bounds.Hold(t, len(fixed)+len(opaque)+len(text)+len(list), func() {
			s := sample{A: a, B: b, C: c, D: d, F: opaque, G: text}
			copy(s.E[:], fixed)
			for _, v := range list {
				s.H = append(s.H, uint32(v)<<24)
			}
			var want bytes.Buffer
			if err := oracle.Write(&want, s); err != nil {
				t.Fatal(err)
			}
			got := s.encode()
			if !bytes.Equal(got, want.Bytes()) {
				t.Errorf("%+v\n got %x\nwant %x", s, got, want.Bytes())
			}
			if again, err := decodeSample(got); err != nil || !bytes.Equal(again.encode(), got) {
				t.Errorf("%+v is read as %+v, %v", s, again, err)
			}
		})
	})
}
