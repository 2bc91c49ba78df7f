package shoal

import (
	"errors"
	"fmt"
	"strings"
)

// Availability is how many copies of an object there are, by what its sources say that they have.
type Availability struct {
	Whole   uint32 // sources that have all of it
	Partial uint32 // sources that have a part
	Least   uint32 // how many sources have the piece that fewest have
	Above   uint32 // how many pieces more sources have than that
}

// Copies is the number of distributed copies of o: how often the whole of it could be put together from the sources, and
// of the next time, which part of the pieces. Below 1 nobody can get all of it.
func (a Availability) Copies(o Object) float64 {
	return float64(a.Least) + float64(a.Above)/float64(o.Pieces())
}

// Check refuses what no sources of o can amount to (PROTOCOL.md rule S12).
func (a Availability) Check(o Object) error {
	switch {
	case int64(a.Above) >= int64(o.Pieces()):
		return fmt.Errorf("%d of %d pieces that more sources have than the least", a.Above, o.Pieces())
	case a.Least < a.Whole || uint64(a.Least) > uint64(a.Whole)+uint64(a.Partial):
		return fmt.Errorf("%d whole and %d partial sources, and %d of a piece", a.Whole, a.Partial, a.Least)
	case a.Partial == 0 && a.Above > 0:
		return errors.New("more sources of some pieces than of others, where all sources are whole")
	}
	return nil
}

// Span is Count pieces of an object from First on.
type Span struct{ First, Count uint32 }

// Bytes is the range of o's bytes that the pieces hold: without the one at its end, as every Range. They must lie in o.
func (s Span) Bytes(o Object) Range {
	begin, _ := o.PieceRange(int(s.First))
	last, length := o.PieceRange(int(s.First + s.Count - 1))
	return Range{begin, last + length}
}

// In tells of the pieces of o, for people.
func (s Span) In(o Object) string {
	bytes := s.Bytes(o)
	if s.Count == 1 {
		return fmt.Sprintf("piece %d (bytes %d-%d)", s.First, bytes.Begin, bytes.End)
	}
	return fmt.Sprintf("pieces %d to %d (bytes %d-%d)", s.First, s.First+s.Count-1, bytes.Begin, bytes.End)
}

// ListSpans tells of the pieces of o, for people: of the first few spans.
func ListSpans(spans []Span, o Object) string {
	const shown = 4
	var told []string
	for _, s := range spans[:min(len(spans), shown)] {
		told = append(told, s.In(o))
	}
	text := strings.Join(told, ", ")
	if len(spans) > shown {
		text += " and more"
	}
	return text
}

// SpansOf puts the pieces 0 to pieces-1 that are in a set together to spans, as few as there can be, in order; the first
// most of them where there are more.
func SpansOf(pieces, most int, in func(piece int) bool) (spans []Span) {
	for i := range uint32(pieces) {
		if !in(int(i)) {
			continue
		}
		if last := len(spans) - 1; last >= 0 && spans[last].First+spans[last].Count == i {
			spans[last].Count++
			continue
		}
		if len(spans) == most {
			break
		}
		spans = append(spans, Span{i, 1})
	}
	return spans
}

// CheckSpans refuses spans that are not pieces of o in order, each apart from the one before, and returns how many pieces
// they are.
func CheckSpans(spans []Span, o Object) (all int, err error) {
	next := int64(0) // the first piece that the next span may begin with
	for _, s := range spans {
		if s.Count < 1 || int64(s.First) < next || int64(s.First)+int64(s.Count) > int64(o.Pieces()) {
			return 0, fmt.Errorf("%d pieces from %d on, of %d, where %d is the first that can follow", s.Count, s.First, o.Pieces(), next)
		}
		next = int64(s.First) + int64(s.Count) + 1
		all += int(s.Count)
	}
	return all, nil
}
