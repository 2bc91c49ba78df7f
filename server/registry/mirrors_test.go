package registry

import (
	"errors"
	"slices"
	"testing"

	"shoal"
	"shoal/server/meta"
	"shoal/wire"
)

// A file's mirrors are those of the name that is asked for, or else of another one of its names.
func TestMirrors(t *testing.T) {
	r := withUser()
	put := func(name shoal.Name, o shoal.Object, mirrors ...shoal.Mirror) {
		r.Apply([]meta.Event{{Record: &meta.Object{Group: shoal.Public, Name: name, Content: o, Mirrors: mirrors}}}, r.Revision()+1)
	}
	check := func(ask wire.Lookup, at shoal.Name, want ...shoal.Mirror) {
		t.Helper()
		ask.Group = shoal.Public
		_, found, mirrors, err := r.Lookup(shoal.DeviceID{}, &ask)
		if err != nil || !slices.Equal(mirrors, want) {
			t.Errorf("got %q, %v; want %q", mirrors, err, want)
		}
		_, name, content, err := r.Mirrored(shoal.DeviceID{}, shoal.Public, found.Content.ID)
		if name != at || at != "" && content != found.Content || (at == "") != errors.Is(err, shoal.NotFound) {
			t.Errorf("got the name %q of %v, %v; want %q", name, content, err, at)
		}
	}
	put("b", objectOf(1))
	check(wire.Lookup{Name: "b"}, "")
	put("c", objectOf(1), "http://c")
	put("other", objectOf(2), "http://other")
	check(wire.Lookup{Name: "b"}, "c", "http://c")
	check(wire.Lookup{File: objectOf(1).ID}, "c", "http://c")
	put("a", objectOf(1))
	put("b", objectOf(1), "http://b", "http://b2")
	check(wire.Lookup{Name: "b"}, "b", "http://b", "http://b2")
	check(wire.Lookup{Name: "c"}, "b", "http://c")
	check(wire.Lookup{File: objectOf(1).ID}, "b", "http://b", "http://b2")
	take(r, "b")
	check(wire.Lookup{Name: "a"}, "c", "http://c")
	put("c", objectOf(2))
	check(wire.Lookup{Name: "a"}, "")
	if _, _, _, err := r.Mirrored(deviceOf(7), shoal.Public, objectOf(2).ID); !errors.Is(err, shoal.Denied) {
		t.Errorf("a stranger hears %v", err)
	}
	take(r, "other")
	if len(r.state.groups[shoal.Public].mirrors) != 0 {
		t.Error("mirrors of nothing are left")
	}
}
