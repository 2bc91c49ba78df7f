package shoal

import (
	"errors"
	"strings"
	"testing"

	"shoal/tests/bounds"
)

func TestParseRange(t *testing.T) {
	const mib = 1 << 20
	for given, want := range map[string]Range{
		"1M-2M": {mib, 2 * mib}, "0-1": {0, 1}, "5-": {5, 0}, "0-": {}, "-7": {Begin: -7}, "-64k": {Begin: -64 << 10},
		"1KiB-1T": {1024, 1 << 40}, "64T-": {Begin: MaxSize}, "1023-1k": {1023, 1024},
	} {
		if got, err := ParseRange(given); err != nil || got != want {
			t.Errorf("%q is %+v, %v", given, got, err)
		}
	}
	for _, given := range []string{
		"", "-", "1", "1M", "2-1", "1-1", "0-0", "-0", "a-b", "1-b", "--1", "1--2", "+1-2", "1-2-3", "1 -2", "1.5M-2M", "M-2M", "1Mi-2M", "1MB-2MB",
		"1KM-", "65T-", "99999999999999999999-", "9223372036854775807T-", "0x10-0x20", "1_0-2_0", "٣-٤",
	} {
		if got, err := ParseRange(given); CodeOf(err) != BadRequest {
			t.Errorf("%q is %+v, %v", given, got, err)
		}
	}
}

func TestRangeInObject(t *testing.T) {
	const length = 256 << 10
	for _, c := range []struct {
		size         int64
		r, want      Range
		first, count int
	}{
		{1000, Range{}, Range{0, 1000}, 0, 1},
		{0, Range{}, Range{}, 0, 1},
		{10 * length, Range{}, Range{0, 10 * length}, 0, 10},
		{10 * length, Range{length, 2 * length}, Range{length, 2 * length}, 1, 1},
		{10 * length, Range{length - 1, 2*length + 1}, Range{length - 1, 2*length + 1}, 0, 3},
		{10*length - 5, Range{9 * length, 99 * length}, Range{9 * length, 10*length - 5}, 9, 1},
		{10*length - 5, Range{Begin: -1}, Range{10*length - 6, 10*length - 5}, 9, 1},
		{1000, Range{Begin: -5000}, Range{0, 1000}, 0, 1},
		{MaxSize, Range{Begin: -1}, Range{MaxSize - 1, MaxSize}, MaxPieces - 1, 1},
	} {
		o := Object{Size: c.size}
		got, err := c.r.In(o)
		if err != nil || got != c.want {
			t.Errorf("%+v in %d bytes is %+v, %v", c.r, c.size, got, err)
			continue
		}
		if first, count := o.PiecesOf(got); first != c.first || count != c.count {
			t.Errorf("%+v in %d bytes is %d pieces from %d on", c.r, c.size, count, first)
		}
	}
	for size, r := range map[int64]Range{1000: {Begin: 1000}, 0: {Begin: -1}, 1: {1, 2}} {
		if got, err := r.In(Object{Size: size}); CodeOf(err) != BadRequest {
			t.Errorf("%+v in %d bytes is %+v, %v", r, size, got, err)
		}
	}
}

// FuzzTyped reads what people type and paste: ranges, and the texts of keys and hashes.
func FuzzTyped(f *testing.F) {
	for _, s := range []string{
		"1M-2M", "-5", "7-", "0-0", "1kiB-2T", "65536G-", "9223372036854775807-", FileID{1}.String(), DeviceID{2}.String(), RealmKey{3}.String(), "\u0661-\u0662",
	} {
		f.Add(s, int64(1<<20))
	}
	f.Fuzz(func(t *testing.T, s string, size int64) {
		bounds.Hold(t, len(s), func() {
			if r, err := ParseRange(s); err == nil {
				o := Object{Size: size}
				is, err := r.In(o)
				if o.Check() == nil && err == nil {
					first, count := o.PiecesOf(is)
					if is.Begin < 0 || is.End < is.Begin || is.End > size || first < 0 || count < 1 || first+count > o.Pieces() {
						t.Errorf("%q of %d bytes is %+v, %d pieces from %d on", s, size, is, count, first)
					}
				}
			} else if !errors.Is(err, BadRequest) {
				t.Error(err)
			}
			if id, err := ParseFileID(s); err == nil && (id.String() != strings.ToLower(s) || len(s) != 64) {
				t.Errorf("%q is the FileID %v", s, id)
			}
			if id, err := ParseDeviceID(s); err == nil && (id.String() != strings.ToLower(s) || len(s) != 52) {
				t.Errorf("%q is the device %v", s, id)
			}
			if key, err := ParseRealmKey(s); err == nil && (key.String() != strings.ToLower(s) || len(s) != 52) {
				t.Errorf("%q is the realm %v", s, key)
			}
		})
	})
}
