package meta

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	clientv3 "go.etcd.io/etcd/client/v3"

	"shoal"
	"shoal/folder"
	"shoal/xdr"
)

// A backup is this line, the revision and the time (XDR, 8 bytes each), for each key a 1 and the key and its value as
// opaque data, a 0 and the number of keys, and the SHA-256 of all that.
const backupMagic = "shoal backup 1\n"

// ahead is by how much the revisions of a restored state are beyond those of the backup: more than can have been given
// out after it was made.
const ahead = 1 << 32

// Backup writes the whole state, as it is at one revision, to a new file that only its owner can read: it has the hashes
// of passwords. The file is there when it is whole and on disk. It returns the revision. The error's code is Exists where
// there is such a file.
func (s *Store) Backup(ctx context.Context, path string) (revision uint64, err error) {
	if _, err := os.Lstat(path); err == nil {
		return 0, shoal.Errorf(shoal.Exists, "%s is there already; move it away, or choose another name", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.part")
	if err != nil {
		return 0, fmt.Errorf("making the backup: %w", err)
	}
	defer os.Remove(f.Name())
	w := &backupWriter{out: bufio.NewWriterSize(f, 1<<20), sum: sha256.New()}
	revision, err = s.writeBackup(ctx, w)
	err = errors.Join(err, w.out.Flush(), f.Sync(), f.Close())
	if err == nil {
		err = os.Link(f.Name(), path) // which, unlike a renaming, does not replace anything
	}
	if err == nil {
		err = folder.Sync(filepath.Dir(path))
	}
	if err != nil {
		return 0, fmt.Errorf("making the backup: %w", err)
	}
	return revision, nil
}

func (s *Store) writeBackup(ctx context.Context, w *backupWriter) (uint64, error) {
	r, err := s.client.Get(ctx, s.full(versionKey))
	if err != nil {
		return 0, err
	}
	at := r.Header.Revision
	w.write([]byte(backupMagic))
	w.write(appendTime(xdr.AppendUint64(nil, s.revision(at)), s.now()))
	keys, from, end := uint64(0), s.prefix, clientv3.GetPrefixRangeEnd(s.prefix)
	for {
		r, err := s.client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithRev(at), clientv3.WithLimit(pageLength))
		if err != nil {
			return 0, err
		}
		for _, kv := range r.Kvs {
			w.write(xdr.AppendOpaque(xdr.AppendOpaque(xdr.AppendUint32(nil, 1), []byte(s.short(kv.Key))), kv.Value))
			from = string(kv.Key) + "\x00"
		}
		keys += uint64(len(r.Kvs))
		if !r.More {
			break
		}
	}
	w.write(xdr.AppendUint64(xdr.AppendUint32(nil, 0), keys))
	w.out.Write(w.sum.Sum(nil))
	return s.revision(at), w.err
}

// backupWriter writes and hashes. Its first error stays.
type backupWriter struct {
	out *bufio.Writer
	sum hash.Hash
	err error
}

func (w *backupWriter) write(b []byte) {
	w.sum.Write(b)
	if _, err := w.out.Write(b); w.err == nil {
		w.err = err
	}
}

// BackupInfo says what a backup has.
type BackupInfo struct {
	Revision uint64
	Keys     uint64
}

// maxEntry bounds a key and a value in a backup, in bytes.
const maxEntry = 1 << 20

// readBackup checks a backup and passes what it has to use, which may be nil. What use did counts only if there is no
// error. The error's code is Corrupt, or Unsupported.
func readBackup(in io.Reader, use func(k key, value []byte) error) (BackupInfo, error) {
	r := &backupReader{in: bufio.NewReaderSize(in, 64<<10), sum: sha256.New()}
	var info BackupInfo
	if magic := r.read(len(backupMagic)); r.err == nil && string(magic) != backupMagic {
		return info, shoal.Errorf(shoal.Unsupported, "this is not a backup that this version of shoal can read: it begins with %q, not %q", magic, backupMagic)
	}
	info.Revision = r.decoder(16).Uint64()
	for r.decoder(4).Uint32() == 1 && r.err == nil {
		k, value := key(r.opaque()), r.opaque()
		if info.Keys++; r.err == nil && use != nil {
			if err := use(k, value); err != nil {
				return info, err
			}
		}
	}
	keys := r.decoder(8).Uint64()
	sum := r.sum.Sum(nil)
	found := r.read(len(sum))
	_, more := r.in.ReadByte()
	if r.err != nil || keys != info.Keys || string(found) != string(sum) || more != io.EOF {
		return info, errors.Join(shoal.Errorf(shoal.Corrupt, "the backup is damaged or cut off: use another one"), r.err)
	}
	return info, nil
}

// backupReader reads and hashes. Its first error stays.
type backupReader struct {
	in  *bufio.Reader
	sum hash.Hash
	err error
}

// read returns the next n bytes, or fewer and an error. Memory is taken as they come: n may be a lie.
func (r *backupReader) read(n int) []byte {
	b := make([]byte, min(n, 64<<10))
	for done := 0; r.err == nil; {
		_, r.err = io.ReadFull(r.in, b[done:])
		if done = len(b); done == n {
			break
		}
		b = append(b, make([]byte, min(done, n-done))...)
	}
	r.sum.Write(b)
	return b
}

func (r *backupReader) decoder(n int) *xdr.Decoder { return xdr.NewDecoder(r.read(n)) }

func (r *backupReader) opaque() []byte {
	n := int(r.decoder(4).Uint32())
	if n > maxEntry && r.err == nil {
		r.err = fmt.Errorf("%d bytes of data where %d are allowed", n, maxEntry)
	}
	if r.err != nil {
		return nil
	}
	padded := r.read(n + (4-n%4)%4)
	if r.err != nil {
		return nil
	}
	return padded[:n]
}
