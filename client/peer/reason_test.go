package peer

import (
	"testing"

	"shoal"
)

// The reason shown for a source is the one that explains the others, whatever comes first.
func TestReason(t *testing.T) {
	for _, c := range []struct{ codes, want []shoal.Code }{
		{[]shoal.Code{shoal.Changed, shoal.Corrupt, shoal.NotFound}, []shoal.Code{shoal.Changed, shoal.Changed, shoal.Changed}},
		{[]shoal.Code{shoal.Corrupt, shoal.NotFound, shoal.Changed}, []shoal.Code{shoal.Corrupt, shoal.Corrupt, shoal.Changed}},
		{[]shoal.Code{shoal.Unreachable, shoal.NotFound, shoal.Unreachable}, []shoal.Code{shoal.Unreachable, shoal.NotFound, shoal.Unreachable}},
	} {
		var s source
		for i, code := range c.codes {
			s.explain(shoal.Errorf(code, "reason %d", code))
			if s.why != c.want[i] || s.status.Reason != shoal.Errorf(c.want[i], "reason %d", c.want[i]).Error() {
				t.Errorf("after %v: %v, %q", c.codes[:i+1], s.why, s.status.Reason)
			}
		}
	}
}
