package shoal

import (
	"strconv"
	"strings"
)

// Range is a part of a file: the bytes from Begin up to, but not including, End. The zero Range is all of it.
type Range struct {
	Begin int64 // bytes; negative for so many before the end
	End   int64 // bytes; 0 for the end
}

// ParseRange reads BEGIN-END, BEGIN- (to the end), or -LENGTH (the last bytes), where a number may have K, M, G or T
// behind it for KiB, MiB, GiB or TiB. So 1M-2M has 1,048,576 bytes. The error has code BadRequest.
func ParseRange(s string) (Range, error) {
	from, to, found := strings.Cut(s, "-")
	if !found || from == "" && to == "" {
		return Range{}, Errorf(BadRequest, "a range is BEGIN-END, BEGIN-, or -LENGTH, as in 1M-2M, and not %q", s)
	}
	begin, err := parseBytes(from)
	if err != nil {
		return Range{}, err
	}
	end, err := parseBytes(to)
	switch {
	case err != nil:
		return Range{}, err
	case from == "" && end > 0:
		return Range{Begin: -end}, nil
	case to != "" && end <= begin:
		return Range{}, Errorf(BadRequest, "the range %s is empty: it ends before its first byte", s)
	}
	return Range{Begin: begin, End: end}, nil
}

// parseBytes reads a number of bytes; nothing is 0.
func parseBytes(s string) (int64, error) {
	digits, shift := s, 0
	if i := strings.IndexAny(s, "kKmMgGtT"); i > 0 && (s[i+1:] == "" || s[i+1:] == "iB") {
		digits, shift = s[:i], 10*(1+strings.IndexByte("kmgt", s[i]|0x20))
	}
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	switch {
	case err != nil:
		return 0, Errorf(BadRequest, "%q is no number of bytes, like 1000, 64K, or 2M", s)
	case n > MaxSize>>shift:
		return 0, Errorf(BadRequest, "%s is more than the %d bytes that a file has at most", s, int64(MaxSize))
	}
	return int64(n) << shift, nil
}

// In is the range of o's bytes that r means, with both ends as they are in o. Where r goes on behind the end of o, it ends
// there. The error has code BadRequest where nothing of r is in o; an empty object has its whole.
func (r Range) In(o Object) (Range, error) {
	begin, end := r.Begin, r.End
	if begin < 0 {
		begin = max(0, o.Size+begin)
	}
	if end <= 0 || end > o.Size {
		end = o.Size
	}
	if begin >= end && (r != Range{} || o.Size > 0) {
		return Range{}, Errorf(BadRequest, "the range begins at byte %d, of a file of %d", begin, o.Size)
	}
	return Range{begin, end}, nil
}

// Length is how many bytes a range has that In returned.
func (r Range) Length() int64 { return r.End - r.Begin }

// PiecesOf is the pieces that a range lies in which In returned: count of them, from first on.
func (o Object) PiecesOf(r Range) (first, count int) {
	length := o.PieceLength()
	first = int(r.Begin / length)
	return first, max(1, int((r.End+length-1)/length)-first)
}
