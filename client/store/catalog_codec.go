package store

import (
	"bytes"

	"shoal"
	"shoal/wire"
	"shoal/xdr"
)

const maxPath = 4096 // bytes, PATH_MAX of Linux

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

// A manifest is stored as MANIFEST's reply has it (wire/shoal.x).
func encodeManifest(m *shoal.Manifest) []byte {
	return (&wire.ManifestReply{Manifest: *m}).Append(nil)
}

// decodeManifest reads a manifest and verifies it.
func decodeManifest(b []byte, o shoal.Object) (*shoal.Manifest, error) {
	var reply wire.ManifestReply
	err := wire.Decode(b, &reply)
	if err == nil {
		err = reply.Verify(o)
	}
	if err != nil {
		return nil, err
	}
	reply.Tail = bytes.Clone(reply.Tail) // b ends with the transaction
	return &reply.Manifest, nil
}
