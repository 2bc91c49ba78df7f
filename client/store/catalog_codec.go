package store

import (
	"bytes"

	"shoal"
	"shoal/xdr"
)

const (
	maxPath     = 4096 // bytes, PATH_MAX of Linux
	maxTail     = 1024 // bytes
	maxSiblings = 64   // more than the height of any tree
)

// An entry is stored as, in XDR:
//
//	opaque file[32]; hyper size; string path<4096>; unsigned hyper device, inode; hyper stamp_size, mtime, ctime;
func encodeEntry(e *Entry) []byte {
	b := xdr.AppendFixed(nil, e.Object.ID[:])
	b = xdr.AppendInt64(b, e.Object.Size)
	b = xdr.AppendString(b, e.Path)
	b = xdr.AppendUint64(b, e.Stamp.Device)
	b = xdr.AppendUint64(b, e.Stamp.Inode)
	b = xdr.AppendInt64(b, e.Stamp.Size)
	b = xdr.AppendInt64(b, e.Stamp.Mtime)
	return xdr.AppendInt64(b, e.Stamp.Ctime)
}

// decodeEntry reads an entry but for its manifest.
func decodeEntry(key, value []byte) (Entry, error) {
	var e Entry
	d := xdr.NewDecoder(value)
	copy(e.Object.ID[:], d.Fixed(len(e.Object.ID)))
	e.Object.Size = d.Int64()
	e.Path = d.String(maxPath)
	e.Stamp = Stamp{Device: d.Uint64(), Inode: d.Uint64(), Size: d.Int64(), Mtime: d.Int64(), Ctime: d.Int64()}
	if err := d.Finish(); err != nil {
		return e, err
	}
	if err := e.Object.Check(); err != nil {
		return e, err
	}
	group, name, _ := bytes.Cut(key, []byte{0})
	var err error
	if e.Group, err = shoal.ParseGroup(string(group)); err != nil {
		return e, err
	}
	e.Name, err = shoal.ParseName(string(name))
	return e, err
}

// A manifest is stored as, in XDR:
//
//	hyper size; hash pieces<65536>; opaque tail<1024>; hash siblings<64>;
func encodeManifest(m *shoal.Manifest) []byte {
	b := xdr.AppendInt64(nil, m.Size)
	b = appendHashes(b, m.Pieces)
	b = xdr.AppendOpaque(b, m.Tail)
	return appendHashes(b, m.Siblings)
}

// decodeManifest reads a manifest and verifies it.
func decodeManifest(b []byte, o shoal.Object) (*shoal.Manifest, error) {
	d := xdr.NewDecoder(b)
	m := &shoal.Manifest{Size: d.Int64(), Pieces: hashes(d, shoal.MaxPieces)}
	m.Tail = bytes.Clone(d.Opaque(maxTail)) // b ends with the transaction
	m.Siblings = hashes(d, maxSiblings)
	if err := d.Finish(); err != nil {
		return nil, err
	}
	if err := m.Verify(o); err != nil {
		return nil, err
	}
	return m, nil
}

func appendHashes(b []byte, values []shoal.Hash) []byte {
	b = xdr.AppendUint32(b, uint32(len(values)))
	for i := range values {
		b = xdr.AppendFixed(b, values[i][:])
	}
	return b
}

func hashes(d *xdr.Decoder, limit int) []shoal.Hash {
	values := make([]shoal.Hash, d.Count(limit, len(shoal.Hash{})))
	for i := range values {
		copy(values[i][:], d.Fixed(len(values[i])))
	}
	return values
}
