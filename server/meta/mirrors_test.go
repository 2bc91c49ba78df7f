package meta

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"
	"time"

	"shoal"
)

var (
	here   = shoal.Mirror("https://example.com/a")
	yonder = shoal.Mirror("http://example.org:8080/b?c=d")
)

func publishAt(name shoal.Name, n int, mirrors ...shoal.Mirror) *Publish {
	m := &Publish{Group: "lab", Name: name, Content: file(n), Mirrors: mirrors}
	if len(mirrors) > 0 {
		m.Manifest = []byte(fmt.Sprint("what proves ", n))
	}
	return m
}

func (w *world) mirrors(name shoal.Name) []shoal.Mirror {
	w.Helper()
	o, is := w.all().at(objectKey("lab", name)).(*Object)
	if !is {
		w.Fatalf("there is no %q", name)
	}
	return o.Mirrors
}

// kept is whether the manifest of a name is kept.
func (w *world) kept(name shoal.Name, n int) bool {
	w.Helper()
	b, err := w.Manifest(w.Context(), "lab", name, file(n))
	if err != nil {
		checkRefusal(w.T, err, shoal.NotFound)
	} else if string(b) != fmt.Sprint("what proves ", n) {
		w.Errorf("%q is kept of %q", b, name)
	}
	return err == nil
}

// Mirrors are the publisher's and the owner's to say, and go with the name, as does the manifest.
func TestMirrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann", "bob", "cat")
	w.group("lab", map[int]Username{2: "bob", 3: "cat"})
	check := func(want ...shoal.Mirror) {
		t.Helper()
		if got := w.mirrors("x"); !slices.Equal(got, want) {
			t.Errorf("the mirrors are %q, not %q", got, want)
		}
		if w.kept("x", 1) != (len(want) > 0) {
			t.Error("the manifest is kept without mirrors, or they without it")
		}
	}
	w.ok(2, publishAt("x", 1))
	check()
	w.refused(3, publishAt("x", 1, here), shoal.Denied, `"bob"`, "owner")
	check()
	w.ok(2, publishAt("x", 1, here))
	check(here)
	w.ok(3, publishAt("x", 1)) // shares it
	w.ok(2, publishAt("x", 1))
	check(here)
	w.refused(3, publishAt("x", 1, here), shoal.Denied)
	w.ok(1, publishAt("x", 1, yonder, here)) // owns the group
	check(yonder, here)
	w.refused(2, publishAt("x", 2, here), shoal.NameTaken)
	check(yonder, here)
	w.ok(2, &StopShare{Group: "lab", Name: "x"})
	w.ok(3, &StopShare{Group: "lab", Name: "x"})
	check(yonder, here) // the owner, who said where mirrors are, shares it
	w.ok(1, &Unpublish{Group: "lab", Name: "x", File: file(1).ID})
	if w.kept("x", 1) {
		t.Error("the manifest stays when the name goes")
	}
	w.ok(2, publishAt("x", 1, here))
	if w.kept("x", 2) {
		t.Error("the manifest is given for other content")
	}
	w.ok(2, &StopShare{Group: "lab", Name: "x"})
	if w.kept("x", 1) {
		t.Error("the manifest stays when nobody shares the name")
	}
	w.ok(2, publishAt("x", 1, here))
	w.ok(1, &DeleteGroup{Group: "lab"})
	if w.kept("x", 1) {
		t.Error("the manifest stays when the group goes")
	}
	for name, m := range map[string]*Publish{
		"no URL": publishAt("y", 1, "a"), "twice": publishAt("y", 1, here, here), "a manifest alone": {Group: "lab", Name: "y", Content: file(1), Manifest: []byte{1}},
		"too many": publishAt("y", 1, "http://a", "http://b", "http://c", "http://d", "http://e", "http://f", "http://g", "http://h", "http://i"),
	} {
		if _, err := w.apply(2, m); shoal.CodeOf(err) != shoal.BadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A group cannot fill the disk with manifests.
func TestManifestsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann")
	w.group("lab", nil)
	for i := range maxManifests {
		if _, err := w.client.Put(t.Context(), w.full(manifestKey("lab", shoal.Name(fmt.Sprint(i)))), "\x01"); err != nil {
			t.Fatal(err)
		}
	}
	w.refused(1, publishAt("x", 1, here), shoal.Limit, "1000")
	w.ok(1, publishAt("x", 1))
	w.refused(1, publishAt("x", 1, here), shoal.Limit)
	if _, err := w.client.Delete(t.Context(), w.full(manifestKey("lab", "0"))); err != nil {
		t.Fatal(err)
	}
	w.ok(1, publishAt("x", 1, here))
	w.ok(1, publishAt("x", 1, yonder)) // replaces
}

// What was written before there were mirrors is read, and an object without is written as it was then.
func TestObjectsBeforeMirrors(t *testing.T) {
	t.Parallel()
	const before = "01" + "f101000000000000000000000000000000000000000000000000000000000000" + "0000000000000001" + "00000003616e6e00" +
		"2f010000000000000000000000000000000000000000000000000000000000ff" + "0000018bcfe56800" + "00000001"
	value, err := hex.DecodeString(before)
	if err != nil {
		t.Fatal(err)
	}
	k := objectKey("lab", "x")
	r, err := decodeRecord(k, value)
	if err != nil {
		t.Fatal(err)
	}
	o := r.(*Object)
	want := Object{Group: "lab", Name: "x", Content: file(1), Publisher: "ann", Device: device(1), Published: time.UnixMilli(1700000000000).UTC(), Shared: true}
	if o.Content != want.Content || o.Publisher != want.Publisher || o.Device != want.Device || !o.Published.Equal(want.Published) || !o.Shared || o.Mirrors != nil {
		t.Errorf("read as %+v", o)
	}
	if got := encode(o); !bytes.Equal(got, value) {
		t.Errorf("written as %x", got)
	}
	o.Mirrors = []shoal.Mirror{here, yonder}
	mirrored := encode(o)
	if mirrored[0] != mirroredVersion {
		t.Error("an earlier program would not know that this is not for it")
	}
	if r, err = decodeRecord(k, mirrored); err != nil || !slices.Equal(r.(*Object).Mirrors, o.Mirrors) {
		t.Errorf("read as %+v, %v", r, err)
	}
	if d := digestOf(&Publish{Group: "lab", Name: "x", Content: file(1)}); hex.EncodeToString(d[:]) != "7f2ceefbdeb2f08a33430d8142780923" {
		t.Errorf("the digest of a publication is %x: one that was asked for before is not known again", d)
	}
}
