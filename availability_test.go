package shoal

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestBitfield(t *testing.T) {
	for _, c := range []struct {
		set    Bitfield
		pieces int
		fits   bool
		count  int
	}{
		{nil, 1, false, 0},
		{Bitfield{0x80}, 1, true, 1},
		{Bitfield{0x81}, 1, false, 2},
		{Bitfield{0x01}, 8, true, 1},
		{Bitfield{0xff}, 9, false, 8},
		{Bitfield{0xff, 0x80}, 9, true, 9},
		{Bitfield{0xff, 0x40}, 9, false, 9},
		{Bitfield{0, 0, 0}, 9, false, 0},
		{Bitfield{0, 0}, 16, true, 0},
	} {
		if c.set.Fits(c.pieces) != c.fits || c.set.Count() != c.count {
			t.Errorf("%x has %d pieces, and fits %d: %v", c.set, c.set.Count(), c.pieces, c.set.Fits(c.pieces))
		}
	}
	set := NewBitfield(16)
	for _, i := range []int{7, 0, 9, 7} {
		set.Set(i)
	}
	if !bytes.Equal(set, []byte{0x81, 0x40}) {
		t.Errorf("set are %x", set)
	}
	for i := -2; i < 20; i++ {
		if set.Has(i) != slices.Contains([]int{0, 7, 9}, i) {
			t.Errorf("piece %d: %v", i, set.Has(i))
		}
	}
}

func TestCopies(t *testing.T) {
	o := Object{Size: 10 * minPieceLength}
	for _, c := range []struct {
		is     Availability
		copies float64
		wrong  bool
	}{
		{Availability{}, 0, false},
		{Availability{Whole: 2, Least: 2}, 2, false},
		{Availability{Whole: 1, Partial: 3, Least: 2, Above: 4}, 2.4, false},
		{Availability{Partial: 1, Above: 6}, 0.6, false},
		{Availability{Partial: 1, Above: 10}, 1, true},
		{Availability{Whole: 1, Partial: 1}, 0, true},
		{Availability{Whole: 1, Partial: 1, Least: 3}, 3, true},
		{Availability{Whole: 1, Least: 1, Above: 1}, 1.1, true},
		{Availability{Whole: 1<<32 - 1, Partial: 1<<32 - 1, Least: 1<<32 - 1}, 1<<32 - 1, false},
	} {
		if err := c.is.Check(o); c.is.Copies(o) != c.copies || (err != nil) != c.wrong {
			t.Errorf("%+v are %v copies: %v", c.is, c.is.Copies(o), err)
		}
	}
}

func TestSpans(t *testing.T) {
	o := Object{Size: 9*minPieceLength + 5}
	set := Bitfield{0b11001110, 0b01000000}
	spans := []Span{{0, 2}, {4, 3}, {9, 1}}
	if got := SpansOf(10, 9, set.Has); !reflect.DeepEqual(got, spans) {
		t.Errorf("got %v", got)
	}
	if got := SpansOf(10, 2, set.Has); !reflect.DeepEqual(got, spans[:2]) {
		t.Errorf("the first two: %v", got)
	}
	if all, err := CheckSpans(spans, o); all != 6 || err != nil {
		t.Errorf("%d pieces: %v", all, err)
	}
	if got := spans[1].Bytes(o); got != (Range{4 * minPieceLength, 7 * minPieceLength}) {
		t.Errorf("bytes %v", got)
	}
	if got := spans[2].Bytes(o); got != (Range{9 * minPieceLength, o.Size}) {
		t.Errorf("the last bytes %v", got)
	}
	if got := ListSpans(spans[1:], o); got != "pieces 4 to 6 (bytes 1048576-1835008), piece 9 (bytes 2359296-2359301)" {
		t.Error(got)
	}
	if got := ListSpans([]Span{{0, 1}, {2, 1}, {4, 1}, {6, 1}, {8, 1}}, o); strings.Count(got, "piece ") != 4 || !strings.HasSuffix(got, ") and more") {
		t.Error(got)
	}
	for _, wrong := range [][]Span{{{0, 0}}, {{10, 1}}, {{9, 2}}, {{4, 1}, {2, 1}}, {{4, 1}, {5, 1}}, {{1<<32 - 1, 2}}, {{1, 1<<32 - 1}}} {
		if _, err := CheckSpans(wrong, o); err == nil {
			t.Errorf("%v is accepted", wrong)
		}
	}
}
