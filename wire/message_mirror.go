package wire

import (
	"errors"

	"shoal"
	"shoal/xdr"
)

// minMirror is what a mirror takes at least, in bytes.
const minMirror = 4 + len("http://a")

// maxKept is how long a manifest is that a server keeps, at most, in bytes.
const maxKept = 65536

// KeptManifest asks a server for the manifest of a file that has mirrors.
type KeptManifest struct {
	Group shoal.Group
	File  shoal.FileID
}

// KeptManifestReply has the XDR of a ManifestReply.
type KeptManifestReply struct {
	Revision uint64
	Manifest []byte
}

func (m *KeptManifest) Append(b []byte) []byte {
	return xdr.AppendFixed(xdr.AppendString(b, m.Group), m.File[:])
}

func (m *KeptManifest) decode(d *xdr.Decoder) {
	m.Group = group(d)
	copy(m.File[:], d.Fixed(len(m.File)))
}

func (m *KeptManifestReply) Append(b []byte) []byte {
	return xdr.AppendOpaque(xdr.AppendUint64(b, m.Revision), m.Manifest)
}

func (m *KeptManifestReply) decode(d *xdr.Decoder) {
	m.Revision = d.Uint64()
	m.Manifest = d.Opaque(maxKept)
}

func appendMirrors(b []byte, all []shoal.Mirror) []byte {
	b = xdr.AppendUint32(b, uint32(len(all)))
	for _, m := range all {
		b = xdr.AppendString(b, m)
	}
	return b
}

func mirrors(d *xdr.Decoder) []shoal.Mirror {
	all := make([]shoal.Mirror, d.Count(shoal.MaxMirrors, minMirror))
	for i := range all {
		m, err := shoal.ParseMirror(d.String(shoal.MaxMirror))
		check(d, "W1", err)
		all[i] = m
	}
	return all
}

// keptManifest reads a manifest that is only of use with mirrors.
func keptManifest(d *xdr.Decoder, of []shoal.Mirror) []byte {
	b := d.Opaque(maxKept)
	if d.Err() == nil && len(b) > 0 && len(of) == 0 {
		check(d, "W2", errors.New("a manifest without mirrors"))
	}
	return b
}
