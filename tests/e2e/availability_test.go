package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// info is what info --json prints, as far as it is about who has what.
type info struct {
	Sources, Partial int
	Copies           float64
	Missing          []missing
}

// missing is a part that nobody has.
type missing struct {
	Piece, Pieces int
	Begin, End    int64
}

// TestAvailability lets the only one who has everything go when somebody else has a part. What is missing is told by ls and
// info, and by a download that cannot go on.
func TestAvailability(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.leavings = true // of the downloads that cannot go on
	const pieces = 10
	content := random(pieces*256*kib, 60)
	seed := w.seeds("file", content, "seed")[0]
	told := func() (is info) {
		t.Helper()
		if err := json.Unmarshal([]byte(w.shoal("lister", "info", "--json", "file").ok().stdout), &is); err != nil {
			t.Fatal(err)
		}
		return is
	}
	if is := told(); is.Copies != 1 || is.Missing == nil || len(is.Missing) > 0 {
		t.Errorf("of what is whole: %+v", is)
	}
	island := newIsland(w)
	link := island.link(seed.address)
	link.allow(6 * 256 * kib)
	first := island.get("first", "file", "--timeout", "0", "-o", w.folder("first"))
	eventually(t, link.isSpent)
	var is info
	eventually(t, func() error {
		if is = told(); is.Sources != 1 || is.Partial != 1 || is.Copies <= 1 || len(is.Missing) > 0 {
			return fmt.Errorf("with a second source that has a part: %+v", is)
		}
		return nil
	})
	seed.kill()
	waits := first.await("waiting", func(e event) bool { return len(e.Missing) > 0 })
	lacking := 0
	eventually(t, func() error {
		is, lacking = told(), 0
		for _, m := range is.Missing {
			lacking += m.Pieces
			if m.Begin != int64(m.Piece)*256*kib || m.End != m.Begin+int64(m.Pieces)*256*kib {
				t.Errorf("a part that is missing: %+v", m)
			}
		}
		if is.Sources != 0 || is.Partial != 1 || lacking == 0 || lacking >= pieces || is.Copies != float64(pieces-lacking)/pieces ||
			!slices.Equal(is.Missing, waits.Missing) {
			return fmt.Errorf("with the whole source gone: %+v, and the download waits for %+v", is, waits.Missing)
		}
		return nil
	})
	if first.hasEnded() {
		t.Fatal("the download with a part gave up")
	}
	copies := fmt.Sprintf("  0+1  0.%d  ", pieces-lacking)
	if r := w.shoal("lister", "ls").ok(); !strings.Contains(r.stdout, copies) || !strings.Contains(r.stderr, "warning: of 1 of these files") {
		t.Errorf("ls prints %q and %q", r.stdout, r.stderr)
	}
	m := is.Missing[0]
	bytes := fmt.Sprintf("(bytes %d-%d)", m.Begin, m.End)
	if r := w.shoal("lister", "info", "file").ok(); !strings.Contains(r.stdout, bytes) || !strings.Contains(r.stderr, "nobody can fetch all of it") {
		t.Errorf("info prints %q and %q", r.stdout, r.stderr)
	}
	r := island.get("second", "file", "--timeout", "3s", "-o", w.folder("second")).wait().exit(4, "nobody who can be reached has", bytes)
	absent(t, w.path("second", "file"))
	if got := r.event("error").Missing; !slices.Equal(got, is.Missing) {
		t.Errorf("the download misses %+v, where %+v is missing", got, is.Missing)
	}
}
