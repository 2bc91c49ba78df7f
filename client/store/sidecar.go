package store

import (
	"bytes"
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"shoal"
	"shoal/native"
	"shoal/xdr"
)

// A sidecar lists the pieces of a part that are on disk, so that they need not be hashed again. In XDR:
//
//	opaque magic[8]; unsigned version; opaque file[32]; hyper size; unsigned hyper inode; opaque have<8192>;
//	opaque checksum[32];
//
// have is a bitfield, checksum the BLAKE3 of everything before. Whatever is not exactly like that, for this object and
// this inode, is ignored.
const (
	sidecarMagic   = "shoal.pt"
	sidecarVersion = 1
	maxSidecar     = 8 + 4 + 32 + 8 + 8 + 4 + shoal.MaxPieces/8 + 32
)

func encodeSidecar(o shoal.Object, inode uint64, have shoal.Bitfield) []byte {
	b := make([]byte, 0, maxSidecar-shoal.MaxPieces/8+len(have)+3)
	b = append(b, sidecarMagic...)
	b = xdr.AppendUint32(b, sidecarVersion)
	b = xdr.AppendFixed(b, o.ID[:])
	b = xdr.AppendInt64(b, o.Size)
	b = xdr.AppendUint64(b, inode)
	b = xdr.AppendOpaque(b, have)
	sum := native.Sum(b)
	return xdr.AppendFixed(b, sum[:])
}

// decodeSidecar returns the pieces that b lists, or nil if it is not an intact sidecar of o in the file inode.
func decodeSidecar(b []byte, o shoal.Object, inode uint64) shoal.Bitfield {
	body := b[:max(0, len(b)-native.Size)]
	d := xdr.NewDecoder(body)
	magic, version := d.Fixed(len(sidecarMagic)), d.Uint32()
	id, size, node := d.Fixed(len(o.ID)), d.Int64(), d.Uint64()
	have := shoal.Bitfield(d.Opaque(shoal.MaxPieces / 8))
	sum := native.Sum(body)
	switch {
	case d.Finish() != nil, !bytes.Equal(sum[:], b[len(body):]):
		return nil
	case string(magic) != sidecarMagic, version != sidecarVersion:
		return nil
	case !bytes.Equal(id, o.ID[:]), size != o.Size, node != inode, !have.Fits(o.Pieces()):
		return nil
	}
	return have
}

// readSidecar returns the pieces that may be trusted without hashing them: none, as nil, where there is any doubt.
func (p *Part) readSidecar() shoal.Bitfield {
	f, err := p.folder.open(p.sidecarName(), unix.O_RDONLY)
	if err != nil {
		return nil
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSidecar+1))
	if err != nil {
		return nil
	}
	return decodeSidecar(b, p.object, p.inode)
}

// writeSidecar puts a new sidecar in the place of the old one. The pieces it lists are on disk.
func (p *Part) writeSidecar(have shoal.Bitfield) error {
	err := p.replaceSidecar(encodeSidecar(p.object, p.inode, have))
	if err != nil {
		return diskError(err, "writing down the pieces of %s", p.path)
	}
	return nil
}

func (p *Part) replaceSidecar(b []byte) error {
	draft := p.sidecarName() + ".new"
	// What a crash left there; nobody else writes it while the part is locked.
	if err := p.folder.remove(draft); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	f, err := p.folder.open(draft, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return p.folder.replace(draft, p.sidecarName())
}
