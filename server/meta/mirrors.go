package meta

import (
	"context"

	"shoal"
	"shoal/xdr"
)

const (
	// maxManifests is how many names of a group have a manifest kept, at most.
	maxManifests = 1000
	// maxManifest is how long one is at most, in bytes.
	maxManifest = 64 << 10
)

func (m *Publish) checkMirrors() error {
	if err := shoal.CheckMirrors(m.Mirrors); err != nil {
		return err
	}
	for _, url := range m.Mirrors {
		if _, err := shoal.ParseMirror(string(url)); err != nil {
			return err
		}
	}
	if len(m.Manifest) > maxManifest || len(m.Manifest) > 0 && len(m.Mirrors) == 0 {
		return shoal.Errorf(shoal.BadRequest, "a manifest of %d bytes for %d mirrors", len(m.Manifest), len(m.Mirrors))
	}
	return nil
}

// mirror gives the object the mirrors that were asked for, if any were, and keeps the manifest. It is for the caller to put
// the object.
func (m *Publish) mirror(t *transaction, o *Object, user Username) error {
	if len(m.Mirrors) == 0 {
		return nil
	}
	if o.Publisher != user && !t.presides(user, m.Group) {
		return shoal.Errorf(shoal.Denied, "only its publisher, %q, and %s may say where mirrors of %q are; publish it without",
			o.Publisher, whoPresides(m.Group), m.Name)
	}
	fresh := len(o.Mirrors) == 0
	o.Mirrors = m.Mirrors
	if !fresh || len(m.Manifest) == 0 { // the content is the same, and so is its manifest
		return nil
	}
	all := manifestKey(m.Group, "")
	if t.count(all, all.end()) >= maxManifests {
		return shoal.Errorf(shoal.Limit, "the group %q has %d names with mirrors, and more are not possible; publish without a mirror, "+
			"or unpublish what is not needed any more", m.Group, maxManifests)
	}
	t.putValue(manifestKey(m.Group, m.Name), appendManifest(o.Content, m.Manifest))
	return nil
}

// whoPresides is who decides on what others publish in a group, for people.
func whoPresides(in shoal.Group) string {
	if in == shoal.Public {
		return "an admin"
	}
	return "the group's owner"
}

// Manifest returns what is kept of a name's content. The error's code is NotFound where nothing is, or the name stands for
// something else.
func (s *Store) Manifest(ctx context.Context, g shoal.Group, n shoal.Name, of shoal.Object) ([]byte, error) {
	k := manifestKey(g, n)
	e, err := s.fetch(ctx, k)
	if err != nil {
		return nil, err
	}
	if e.revision != 0 {
		d, err := newDecoder(k, e.value)
		if err != nil {
			return nil, err
		}
		content, manifest := shoal.Object{ID: d.fixed(), Size: d.Int64()}, d.Opaque(maxManifest)
		if err := d.finish(k); err != nil {
			return nil, err
		}
		if content == of {
			return manifest, nil
		}
	}
	return nil, shoal.Errorf(shoal.NotFound, "no manifest of %q is kept in the group %q", n, g)
}

func appendManifest(of shoal.Object, manifest []byte) []byte {
	b := append(make([]byte, 0, 64+len(manifest)), recordVersion)
	return xdr.AppendOpaque(xdr.AppendInt64(xdr.AppendFixed(b, of.ID[:]), of.Size), manifest)
}

func appendMirrors(b []byte, all []shoal.Mirror) []byte {
	b = xdr.AppendUint32(b, uint32(len(all)))
	for _, m := range all {
		b = xdr.AppendString(b, m)
	}
	return b
}
