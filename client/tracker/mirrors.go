package tracker

import (
	"bytes"
	"context"
	"crypto/sha256"

	"shoal"
	"shoal/wire"
)

// PublishAt is Publish for what mirrors have, too. They take the place of those that the name has, if there are any here;
// the server keeps them until the name goes, so that they are not sent again after a reconnection. The error has code Denied
// where that is for others to say.
func (t *Tracker) PublishAt(ctx context.Context, mirrors []shoal.Mirror, group shoal.Group, name shoal.Name, o shoal.Object, manifest *shoal.Manifest, sample Sample) error {
	m := &wire.Publish{Group: group, Name: name, Content: o, Mirrors: mirrors}
	if len(mirrors) > 0 && o.Pieces() <= shoal.MaxKeptPieces {
		m.Manifest = (&wire.ManifestReply{Manifest: *manifest}).Append(nil)
	}
	return t.publish(ctx, m, sample)
}

// KeptManifest is what proves a swarm's object, as the server keeps it for what has mirrors, verified. The error has code
// NotFound where it keeps none, and Corrupt where it does not prove that.
func (t *Tracker) KeptManifest(ctx context.Context, swarm shoal.Swarm) (*shoal.Manifest, error) {
	var reply wire.KeptManifestReply
	if err := t.call(ctx, wire.KindKeptManifest, &wire.KeptManifest{Group: swarm.Group, File: swarm.Object.ID}, &reply); err != nil {
		return nil, err
	}
	var proof wire.ManifestReply
	if err := wire.Decode(reply.Manifest, &proof); err != nil {
		return nil, err
	}
	if err := proof.Verify(swarm.Object); err != nil {
		return nil, err
	}
	proof.Tail = bytes.Clone(proof.Tail) // and let go of the rest
	return &proof.Manifest, nil
}

// mirrorSources are the mirrors of a reply as sources.
func mirrorSources(reply *wire.LookupReply) (all []Source) {
	pieces := reply.Content.Pieces()
	for _, url := range reply.Mirrors {
		stands := sha256.Sum256([]byte("shoal mirror " + string(url)))
		all = append(all, Source{Device: stands, Pieces: pieces, Mirror: url, Private: reply.PrivateMirrors})
	}
	return all
}
