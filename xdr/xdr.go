// Package xdr encodes and decodes XDR (RFC 4506) for data from strangers: every length is checked against what is left
// and against a limit of the caller's before anything is allocated, padding must be zero, and nothing panics.
//
// Encoding appends to a byte slice. Decoding is by a Decoder whose first error sticks, so that a message reads field
// by field and checks once.
package xdr

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrMalformed is what every decoding error wraps.
var ErrMalformed = errors.New("malformed XDR")

// ErrLength is what an error about a length wraps, too: one above its limit, or of more than there is.
var ErrLength = fmt.Errorf("%w: a length", ErrMalformed)

// AppendUint32 appends an unsigned integer (RFC 4506 section 4.2).
func AppendUint32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }

// AppendUint64 appends an unsigned hyper integer (section 4.5).
func AppendUint64(b []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(b, v) }

// AppendInt64 appends a hyper integer (section 4.5).
func AppendInt64(b []byte, v int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(v)) }

// AppendBool appends a boolean (section 4.4).
func AppendBool(b []byte, v bool) []byte {
	if v {
		return AppendUint32(b, 1)
	}
	return AppendUint32(b, 0)
}

// AppendFixed appends fixed-length opaque data (section 4.9).
func AppendFixed(b, v []byte) []byte { return appendPadding(append(b, v...), len(v)) }

// AppendOpaque appends variable-length opaque data (section 4.10).
func AppendOpaque(b, v []byte) []byte { return AppendFixed(AppendUint32(b, uint32(len(v))), v) }

// AppendString appends a string (section 4.11).
func AppendString[S ~string](b []byte, v S) []byte {
	return appendPadding(append(AppendUint32(b, uint32(len(v))), v...), len(v))
}

func appendPadding(b []byte, n int) []byte {
	for ; n%4 != 0; n++ {
		b = append(b, 0)
	}
	return b
}

// Decoder reads values from one buffer, in order. After an error every method returns a zero value; Err tells what was
// wrong first. Not for concurrent use. The zero Decoder reads an empty buffer.
type Decoder struct {
	rest []byte
	err  error
}

// NewDecoder reads from b, which must not change while what Opaque and Fixed returned is in use: they alias it.
func NewDecoder(b []byte) *Decoder { return &Decoder{rest: b} }

// Err returns the first error, or nil. It wraps ErrMalformed.
func (d *Decoder) Err() error { return d.err }

// Finish returns the first error; bytes left over are one.
func (d *Decoder) Finish() error {
	if d.err == nil && len(d.rest) > 0 {
		d.Fail("%d bytes left over", len(d.rest))
	}
	return d.err
}

// Fail records an error, unless there is one already: for callers that find a decoded value unacceptable. %w in format
// wraps.
func (d *Decoder) Fail(format string, args ...any) {
	d.fail(ErrMalformed, fmt.Errorf(format, args...))
}

func (d *Decoder) fail(class, err error) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %w", class, err)
		d.rest = nil
	}
}

func (d *Decoder) take(n int) []byte {
	if d.err != nil {
		return nil
	}
	if n > len(d.rest) {
		d.Fail("%d bytes are needed where %d are left", n, len(d.rest))
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

// Uint32 reads an unsigned integer.
func (d *Decoder) Uint32() uint32 {
	if b := d.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// Uint64 reads an unsigned hyper integer.
func (d *Decoder) Uint64() uint64 {
	if b := d.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// Int64 reads a hyper integer.
func (d *Decoder) Int64() int64 { return int64(d.Uint64()) }

// Bool reads a boolean: 0 or 1, anything else is an error.
func (d *Decoder) Bool() bool {
	v := d.Uint32()
	if v > 1 {
		d.Fail("a boolean of %d", v)
	}
	return v == 1
}

// Fixed reads n bytes of fixed-length opaque data and its padding. The result aliases the buffer; it is nil after an
// error.
func (d *Decoder) Fixed(n int) []byte {
	b := d.take(n)
	for _, pad := range d.take(padding(n)) {
		if pad != 0 {
			d.Fail("padding that is not zero")
		}
	}
	if d.err != nil {
		return nil
	}
	return b
}

// Opaque reads at most limit bytes of variable-length opaque data. The result aliases the buffer.
func (d *Decoder) Opaque(limit int) []byte {
	n := d.Uint32()
	switch {
	case d.err != nil:
		return nil
	case uint64(n) > uint64(limit):
		d.fail(ErrLength, fmt.Errorf("%d bytes of data where %d are allowed", n, limit))
		return nil
	case uint64(n) > uint64(len(d.rest)):
		d.fail(ErrLength, fmt.Errorf("%d bytes of data where %d are left", n, len(d.rest)))
		return nil
	}
	return d.Fixed(int(n))
}

// String reads a string of at most limit bytes. XDR strings are bytes: whether they are UTF-8 is the caller's to check.
func (d *Decoder) String(limit int) string { return string(d.Opaque(limit)) }

// Count reads the length of a variable-length array (section 4.13) of elements that take at least elementSize bytes
// each: at most limit, and no more than what is left can hold. So it is safe to allocate for.
func (d *Decoder) Count(limit, elementSize int) int {
	n := d.Uint32()
	switch {
	case d.err != nil:
		return 0
	case uint64(n) > uint64(limit):
		d.fail(ErrLength, fmt.Errorf("%d elements where %d are allowed", n, limit))
		return 0
	case uint64(n)*uint64(elementSize) > uint64(len(d.rest)):
		d.fail(ErrLength, fmt.Errorf("%d elements do not fit in the %d bytes that are left", n, len(d.rest)))
		return 0
	}
	return int(n)
}

func padding(n int) int { return (4 - n%4) % 4 }
