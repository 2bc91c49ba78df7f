package meta

import (
	"testing"

	"shoal"
)

// Where everybody may, strangers publish and take away, once for each sequence number, whether there is a group or not.
func TestOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	publish := &Publish{Group: "all", Name: "a", Content: file(1), Open: true}
	id := ID{Device: device(1), Sequence: 7}
	first, err := w.Apply(t.Context(), id, publish)
	if err != nil || first.Revision == 0 {
		t.Fatalf("%+v, %v", first, err)
	}
	w.refused(2, &Publish{Group: "all", Name: "a", Content: file(2), Open: true}, shoal.NameTaken, file(1).ID.String())
	w.refused(2, &Unpublish{Group: "all", Name: "a", File: file(1).ID}, shoal.Denied, "not logged in")
	w.ok(2, &Unpublish{Group: "all", Name: "a", File: file(1).ID, Open: true})
	if again, err := w.Apply(t.Context(), id, publish); err != nil || !again.Repeated || again.Revision != first.Revision {
		t.Errorf("asked again: %+v, %v", again, err)
	}
	if got := w.all().keys("o/"); len(got) > 0 {
		t.Errorf("done again: %q", got)
	}
	w.refused(2, &Unpublish{Group: "all", Name: "a", File: file(1).ID, Open: true}, shoal.NotFound)
}
