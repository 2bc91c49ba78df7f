package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"shoal"
)

// Entry is one name under which this device serves a file.
type Entry struct {
	Group    shoal.Group
	Name     shoal.Name
	Object   shoal.Object
	Path     string // absolute
	Stamp    Stamp  // what the file had when it was hashed
	Manifest *shoal.Manifest
	Withheld bool // the file's beginning is not to be given away
}

// Catalog is what this device serves, kept over restarts: a bbolt file that one process at a time has open. What it
// confirms is on disk. For concurrent use.
//
// Its buckets: "meta" has the version of the format; "entries" maps group, a zero byte and name to an entry; "manifests"
// maps a FileID to its manifest, once however many names it has; "names" has a FileID and an entry's key for each name,
// which tells when a manifest is not needed any more; "withheld" has the key of each entry that is.
type Catalog struct {
	db   *bbolt.DB
	path string
}

const catalogVersion = 1

var (
	metaBucket      = []byte("meta")
	entriesBucket   = []byte("entries")
	manifestsBucket = []byte("manifests")
	namesBucket     = []byte("names")
	withheldBucket  = []byte("withheld")
	versionKey      = []byte("version")
)

// OpenCatalog opens the catalog at path, or creates it in a folder that is there. Errors have the code Busy when
// another process has it open, Unsupported when a newer program wrote it, Corrupt when it is no catalog.
func OpenCatalog(path string) (*Catalog, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Millisecond})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, shoal.Errorf(shoal.Busy, "the state folder %s is in use by another process; stop that one or choose another folder", filepath.Dir(path))
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return nil, shoal.Errorf(shoal.Corrupt, "%s is not a catalog, or damaged (%w); move it away and publish again", path, err)
	case err != nil:
		return nil, diskError(err, "opening the catalog %s", path)
	}
	c := &Catalog{db: db, path: path}
	if err := db.Update(c.prepare); err != nil {
		return nil, errors.Join(c.failed("opening", err), db.Close())
	}
	return c, nil
}

// prepare checks the version, and creates what a new catalog needs.
func (c *Catalog) prepare(tx *bbolt.Tx) error {
	if first, _ := tx.Cursor().First(); first != nil {
		var b []byte
		if meta := tx.Bucket(metaBucket); meta != nil {
			b = meta.Get(versionKey)
		}
		if len(b) != 4 {
			return shoal.Errorf(shoal.Corrupt, "%s is a database, but not a catalog; choose another folder", c.path)
		}
		if v := binary.BigEndian.Uint32(b); v != catalogVersion {
			return shoal.Errorf(shoal.Unsupported, "%s is a catalog of version %d, and this program knows version %d; use the program that wrote it", c.path, v, catalogVersion)
		}
	}
	for _, name := range [][]byte{metaBucket, entriesBucket, manifestsBucket, namesBucket, withheldBucket} {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return tx.Bucket(metaBucket).Put(versionKey, binary.BigEndian.AppendUint32(nil, catalogVersion))
}

// Put stores entries, in one transaction, each in the place of what had its group and name.
func (c *Catalog) Put(entries ...Entry) error {
	err := c.db.Update(func(tx *bbolt.Tx) error {
		for i := range entries {
			if err := put(tx, &entries[i]); err != nil {
				return fmt.Errorf("%s: %w", entries[i].Name, err)
			}
		}
		return nil
	})
	return c.failed("writing to", err)
}

// Delete takes a name away. It is no error if it is not there.
func (c *Catalog) Delete(group shoal.Group, name shoal.Name) error {
	return c.failed("writing to", c.db.Update(func(tx *bbolt.Tx) error { return remove(tx, entryKey(group, name)) }))
}

// All returns the entries, in the order of their groups and names. Those of the same content share the Manifest, which
// has been verified. Entries that are damaged are left out, and told in the error: it may come along with others.
func (c *Catalog) All() ([]Entry, error) {
	var entries []Entry
	var damaged []error
	manifests := make(map[shoal.Object]*shoal.Manifest)
	err := c.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(entriesBucket).ForEach(func(key, value []byte) error {
			e, err := decodeEntry(key, value)
			if err == nil && manifests[e.Object] == nil {
				manifests[e.Object], err = decodeManifest(tx.Bucket(manifestsBucket).Get(e.Object.ID[:]), e.Object)
			}
			if err != nil {
				damaged = append(damaged, shoal.Errorf(shoal.Corrupt, "the entry %q is damaged: %w; publish it again", key, err))
				return nil
			}
			e.Manifest = manifests[e.Object]
			e.Withheld = tx.Bucket(withheldBucket).Get(key) != nil
			entries = append(entries, e)
			return nil
		})
	})
	return entries, c.failed("reading", errors.Join(append(damaged, err)...))
}

// Close lets other processes open the catalog.
func (c *Catalog) Close() error { return c.db.Close() }

func (c *Catalog) failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	return diskError(err, "%s the catalog %s", doing, c.path)
}

func put(tx *bbolt.Tx, e *Entry) error {
	if e.Manifest == nil || len(e.Path) > maxPath {
		return shoal.Errorf(shoal.BadRequest, "the entry has no manifest, or a path of more than %d bytes", maxPath)
	}
	key := entryKey(e.Group, e.Name)
	if err := remove(tx, key); err != nil {
		return err
	}
	manifests, m := tx.Bucket(manifestsBucket), encodeManifest(e.Manifest)
	if !bytes.Equal(manifests.Get(e.Object.ID[:]), m) {
		if err := manifests.Put(e.Object.ID[:], m); err != nil {
			return err
		}
	}
	if err := tx.Bucket(namesBucket).Put(nameKey(e.Object.ID, key), nil); err != nil {
		return err
	}
	if e.Withheld {
		if err := tx.Bucket(withheldBucket).Put(key, []byte{1}); err != nil {
			return err
		}
	}
	return tx.Bucket(entriesBucket).Put(key, encodeEntry(e))
}

// remove takes an entry away, and its manifest if no other entry has it.
func remove(tx *bbolt.Tx, key []byte) error {
	entries, names := tx.Bucket(entriesBucket), tx.Bucket(namesBucket)
	value := entries.Get(key)
	if value == nil {
		return nil
	}
	if err := tx.Bucket(withheldBucket).Delete(key); err != nil {
		return err
	}
	e, err := decodeEntry(key, value)
	if err != nil { // whose manifest it was cannot be told
		return entries.Delete(key)
	}
	id := e.Object.ID
	if err := errors.Join(entries.Delete(key), names.Delete(nameKey(id, key))); err != nil {
		return err
	}
	if next, _ := names.Cursor().Seek(id[:]); bytes.HasPrefix(next, id[:]) {
		return nil
	}
	return tx.Bucket(manifestsBucket).Delete(id[:])
}

// entryKey orders by group, then name; neither has a zero byte.
func entryKey(group shoal.Group, name shoal.Name) []byte {
	return append(append([]byte(group), 0), name...)
}

func nameKey(id shoal.FileID, key []byte) []byte { return append(id[:], key...) }
