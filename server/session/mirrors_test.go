package session

import (
	"slices"
	"testing"

	"lukechampine.com/blake3"

	"shoal"
	"shoal/identity"
	"shoal/server/meta"
	"shoal/wire"
)

// small is a file of one piece and what proves it, as PUBLISH carries it.
func small(content string) (shoal.Object, []byte) {
	o := shoal.Object{ID: blake3.Sum256([]byte(content)), Size: int64(len(content))}
	return o, (&wire.ManifestReply{Manifest: shoal.Manifest{Size: o.Size, Tail: []byte(content)}}).Append(nil)
}

// What comes with mirrors is verified, kept, and told to members alone (rules W3 to W7).
func TestMirrors(t *testing.T) {
	r := newRealm(t)
	r.host.PrivateMirrors = true
	c := r.cell("owner", false)
	owner, member := connect(t, r.host, c.owner), connect(t, r.host, c.member)
	defer owner.close()
	defer member.close()
	o, proof := small("a file")
	other, _ := small("another")
	url := []shoal.Mirror{"https://example.com/a"}
	sequence := uint64(1 << 50)
	publish := func(as *client, content shoal.Object, mirrors []shoal.Mirror, proof []byte) error {
		sequence++
		return as.Call(wire.KindPublish, &wire.Publish{
			Sequence: sequence, Group: c.group, Name: "y", Content: content, Mirrors: mirrors, Manifest: proof,
		}, new(wire.MutationReply))
	}
	forged := slices.Clone(proof)
	forged[16] ^= 1
	for name, wrong := range map[string]struct {
		content shoal.Object
		mirrors []shoal.Mirror
		proof   []byte
	}{
		"no manifest": {o, url, nil}, "no XDR": {o, url, []byte{1}}, "a forged one": {o, url, forged}, "of another size": {shoal.Object{ID: o.ID, Size: 7}, url, proof},
		"of another file": {other, url, proof}, "more than it is": {o, url, append(slices.Clone(proof), 0, 0, 0, 0)},
		"of too large a file": {shoal.Object{ID: o.ID, Size: (shoal.MaxKeptPieces + 1) << 18}, url, proof}, "twice the same": {o, append(url, url...), proof},
	} {
		if err := publish(owner, wrong.content, wrong.mirrors, wrong.proof); shoal.CodeOf(err) != shoal.BadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	found := new(wire.LookupReply)
	ask := &wire.Lookup{Group: c.group, Name: "y"}
	if err := member.Call(wire.KindLookup, ask, found); shoal.CodeOf(err) != shoal.NotFound {
		t.Errorf("a publication that was refused: %v", err)
	}
	must(t, publish(owner, o, url, proof))
	must(t, member.Call(wire.KindLookup, ask, found))
	if !slices.Equal(found.Mirrors, url) || !found.PrivateMirrors {
		t.Errorf("found %+v", found)
	}
	kept := new(wire.KeptManifestReply)
	must(t, member.Call(wire.KindKeptManifest, &wire.KeptManifest{Group: c.group, File: o.ID}, kept))
	if !slices.Equal(kept.Manifest, proof) || kept.Revision == 0 {
		t.Errorf("kept is %x at %d", kept.Manifest, kept.Revision)
	}
	err := member.Call(wire.KindKeptManifest, &wire.KeptManifest{Group: c.group, File: other.ID}, kept)
	want(t, err, shoal.NotFound, "")
	want(t, publish(member, o, []shoal.Mirror{"http://example.org"}, proof), shoal.Denied, "mirrors")
	must(t, publish(member, o, nil, nil))
	// Of what is too large, no manifest comes, and none is kept.
	large := shoal.Object{ID: shoal.FileID{9}, Size: (shoal.MaxKeptPieces + 1) << 18}
	r.do(c.owner, &meta.Unpublish{Group: c.group, Name: "y", File: o.ID})
	must(t, publish(owner, large, url, nil))
	err = member.Call(wire.KindKeptManifest, &wire.KeptManifest{Group: c.group, File: large.ID}, kept)
	want(t, err, shoal.NotFound, "")
}

// LOOKUP of what has no mirrors costs no more than before there were any.
func TestLookupAllocates(t *testing.T) {
	h := newHost(overPlaintext)
	fill(h.Registry, []shoal.Name{"x"}, func(int) shoal.Object { return objectOf(1) })
	key := identity.NewKey()
	h.Registry.Apply([]meta.Event{
		{Record: &meta.User{Name: "ann", Devices: []shoal.DeviceID{key.Device()}}}, {Record: &meta.Device{ID: key.Device(), User: "ann"}},
	}, h.Registry.Revision()+1)
	m := &wire.Lookup{Group: shoal.Public, File: objectOf(1).ID}
	if n := testing.AllocsPerRun(100, func() {
		if _, _, _, err := h.Registry.Lookup(key.Device(), m); err != nil {
			t.Error(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
