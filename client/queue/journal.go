package queue

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"

	"shoal"
)

// journal keeps downloads in a bbolt file, which one process at a time has open. What its methods confirm is on disk.
//
// Its buckets: "meta" has the version of the format; "downloads" maps an ID, big endian, to a Download in JSON. Members
// may be added to that; none changes its meaning.
type journal struct {
	db   *bbolt.DB
	path string
}

const journalVersion = 1

var (
	metaBucket      = []byte("meta")
	downloadsBucket = []byte("downloads")
	versionKey      = []byte("version")
)

func openJournal(path string) (*journal, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Millisecond})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, shoal.Errorf(shoal.Busy, "the state folder %s is in use by another process; stop that one or choose another folder", filepath.Dir(path))
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return nil, shoal.Errorf(shoal.Corrupt, "%s is no queue of downloads, or damaged (%w); move it away and queue them again", path, err)
	case err != nil:
		return nil, shoal.Errorf(diskCode(err), "opening the queue of downloads %s: %w", path, err)
	}
	j := &journal{db, path}
	if err := j.update(prepare); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return j, nil
}

// prepare checks the version, and creates what a new journal needs.
func prepare(tx *bbolt.Tx) error {
	meta, err := tx.CreateBucketIfNotExists(metaBucket)
	if err != nil {
		return err
	}
	if b := meta.Get(versionKey); b != nil && (len(b) != 4 || binary.BigEndian.Uint32(b) != journalVersion) {
		return shoal.Errorf(shoal.Unsupported, "it is of another version than %d, which this program knows; use the program that wrote it", journalVersion)
	}
	if _, err := tx.CreateBucketIfNotExists(downloadsBucket); err != nil {
		return err
	}
	return meta.Put(versionKey, binary.BigEndian.AppendUint32(nil, journalVersion))
}

// add stores new downloads, and gives them their IDs.
func (j *journal) add(downloads []*Download) error {
	return j.update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(downloadsBucket)
		for _, d := range downloads {
			var err error
			if d.ID, err = b.NextSequence(); err != nil {
				return err
			}
			if err := put(b, d); err != nil {
				return err
			}
		}
		return nil
	})
}

// put stores downloads, each in the place of what had its ID.
func (j *journal) put(downloads ...*Download) error {
	return j.update(func(tx *bbolt.Tx) error {
		for _, d := range downloads {
			if err := put(tx.Bucket(downloadsBucket), d); err != nil {
				return err
			}
		}
		return nil
	})
}

// delete forgets downloads.
func (j *journal) delete(ids iter.Seq[uint64]) error {
	return j.update(func(tx *bbolt.Tx) error {
		for id := range ids {
			if err := tx.Bucket(downloadsBucket).Delete(key(id)); err != nil {
				return err
			}
		}
		return nil
	})
}

// all returns the downloads in the order of their IDs. Those that are damaged are left out, and told in the error: it may
// come along with others.
func (j *journal) all() (downloads []*Download, err error) {
	var damaged []error
	err = j.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(downloadsBucket).ForEach(func(k, v []byte) error {
			d, err := decode(k, v)
			if err != nil {
				damaged = append(damaged, err)
				return nil
			}
			downloads = append(downloads, d)
			return nil
		})
	})
	return downloads, errors.Join(append(damaged, err)...)
}

// decode reads a download as put wrote it. The error has code Corrupt.
func decode(k, v []byte) (*Download, error) {
	d := new(Download)
	err := json.Unmarshal(v, d)
	if err == nil {
		err = d.Wish.Check()
	}
	if err == nil && (len(k) != 8 || d.ID != binary.BigEndian.Uint64(k)) {
		err = shoal.Errorf(shoal.Corrupt, "its number is %d", d.ID)
	}
	if err != nil {
		return nil, shoal.Errorf(shoal.Corrupt, "the queued download %x is damaged: %w; queue it again", k, err)
	}
	return d, nil
}

func (j *journal) close() error { return j.db.Close() }

func (j *journal) update(do func(*bbolt.Tx) error) error {
	if err := j.db.Update(do); err != nil {
		return shoal.Errorf(diskCode(err), "writing to the queue of downloads %s: %w", j.path, err)
	}
	return nil
}

func put(b *bbolt.Bucket, d *Download) error {
	value, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return b.Put(key(d.ID), value)
}

func key(id uint64) []byte { return binary.BigEndian.AppendUint64(nil, id) }

// diskCode is the code of an error of the database, where it has none of its own.
func diskCode(err error) shoal.Code {
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return shoal.NoSpace
	case errors.Is(err, os.ErrPermission), errors.Is(err, unix.EROFS):
		return shoal.Denied
	}
	return shoal.CodeOf(err)
}
