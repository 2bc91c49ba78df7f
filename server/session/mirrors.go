package session

import (
	"context"

	"shoal"
	"shoal/wire"
)

// checkKept verifies what comes with mirrors: a manifest where one is to be kept (rule W3). The error has code BadRequest.
func checkKept(m *wire.Publish) error {
	if err := shoal.CheckMirrors(m.Mirrors); err != nil {
		return err
	}
	if pieces := m.Content.Pieces(); pieces > shoal.MaxKeptPieces != (len(m.Manifest) == 0) {
		return shoal.Errorf(shoal.BadRequest, "%d bytes of a manifest, of an object of %d pieces (rule W3)", len(m.Manifest), pieces)
	}
	if len(m.Manifest) == 0 {
		return nil
	}
	var proof wire.ManifestReply
	if err := wire.Decode(m.Manifest, &proof); err != nil {
		return err
	}
	if err := proof.Verify(m.Content); err != nil {
		return shoal.Errorf(shoal.BadRequest, "%w (rule W3)", err)
	}
	return nil
}

// keptManifest answers KEPT_MANIFEST.
func (s *Session) keptManifest(ctx context.Context, m *wire.KeptManifest) (*wire.KeptManifestReply, error) {
	if err := s.upToDate(ctx); err != nil {
		return nil, err
	}
	revision, name, content, err := s.host.Registry.Mirrored(s.device, m.Group, m.File)
	if err != nil {
		return nil, err
	}
	manifest, err := s.host.Manifest(ctx, m.Group, name, content)
	if err != nil {
		return nil, err
	}
	return &wire.KeptManifestReply{Revision: revision, Manifest: manifest}, nil
}
