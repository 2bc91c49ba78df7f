package store

import (
	"encoding/binary"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"shoal"
	"shoal/tests/bounds"
)

func openCatalog(t *testing.T, path string) *Catalog {
	t.Helper()
	c, err := OpenCatalog(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func all(t *testing.T, c *Catalog) []Entry {
	t.Helper()
	entries, err := c.All()
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// manifests is how many are stored.
func manifests(t *testing.T, c *Catalog) (n int) {
	t.Helper()
	err := c.db.View(func(tx *bbolt.Tx) error {
		n = tx.Bucket(manifestsBucket).Stats().KeyN
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func entry(t *testing.T, group shoal.Group, name shoal.Name, size int64) Entry {
	t.Helper()
	o, m := describe(t, random(size, 30))
	stamp := Stamp{Device: 1, Inode: 1 << 63, Size: size, Mtime: -5, Ctime: 1 << 62}
	return Entry{Group: group, Name: name, Object: o, Path: "/somewhere/" + string(name), Stamp: stamp, Manifest: m}
}

func TestCatalog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog")
	c := openCatalog(t, path)
	if got := all(t, c); len(got) != 0 {
		t.Fatalf("a new catalog has %v", got)
	}
	a := entry(t, "g", "a", 3*pieceLength+1000)
	sameInOther := entry(t, "h", "b", 3*pieceLength+1000)
	empty := entry(t, "g", shoal.Name(strings.Repeat("é", 127)), 0)
	if err := c.Put(a, sameInOther, empty); err != nil {
		t.Fatal(err)
	}
	closeNow(t, c)
	c = openCatalog(t, path)
	got := all(t, c)
	if want := []Entry{a, empty, sameInOther}; !reflect.DeepEqual(normal(got), normal(want)) {
		t.Fatalf("read\n%+v, want\n%+v", got, want)
	}
	if got[0].Manifest != got[2].Manifest || manifests(t, c) != 2 {
		t.Error("the same content is there twice")
	}

	replaced := entry(t, "g", "a", 1)
	if err := c.Put(replaced); err != nil {
		t.Fatal(err)
	}
	if n := manifests(t, c); n != 3 {
		t.Errorf("%d manifests, of 3 contents", n)
	}
	if err := c.Delete("h", "b"); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete("h", "b"); err != nil {
		t.Fatal(err)
	}
	if n := manifests(t, c); n != 2 {
		t.Errorf("%d manifests, of 2 contents", n)
	}
	if got := all(t, c); !reflect.DeepEqual(normal(got), normal([]Entry{replaced, empty})) {
		t.Errorf("read %+v", got)
	}
	// Whether a file's beginning is withheld belongs to a name, as long as it is there.
	for _, withheld := range []bool{true, false, true} {
		replaced.Withheld = withheld
		if err := c.Put(replaced); err != nil {
			t.Fatal(err)
		}
		if got := all(t, c); got[0].Withheld != withheld || got[1].Withheld {
			t.Errorf("withheld: %v and %v, want %v and no", got[0].Withheld, got[1].Withheld, withheld)
		}
	}
	if err := c.Delete("g", "a"); err != nil {
		t.Fatal(err)
	}
	replaced.Withheld = false
	if err := c.Put(replaced); err != nil {
		t.Fatal(err)
	}
	if got := all(t, c); got[0].Withheld {
		t.Error("it is withheld after it was deleted and put again")
	}
	wantCode(t, c.Put(Entry{Group: "g", Name: "n"}), shoal.BadRequest)
}

// normal makes no difference between no hashes and nil.
func normal(entries []Entry) []string {
	var texts []string
	for _, e := range entries {
		m := *e.Manifest
		e.Manifest = nil
		texts = append(texts, strings.Join([]string{
			string(encodeEntry(&e)), string(e.Group), string(e.Name), string(encodeManifest(&m)),
		}, "|"))
	}
	return texts
}

func TestCatalogInUse(t *testing.T) {
	dir := t.TempDir()
	openCatalog(t, filepath.Join(dir, "catalog"))
	_, err := OpenCatalog(filepath.Join(dir, "catalog"))
	wantCode(t, err, shoal.Busy)
	if !strings.Contains(err.Error(), dir) {
		t.Errorf("the error does not name the folder: %v", err)
	}
}

func TestCatalogRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog")
	_, err := OpenCatalog(filepath.Join(path, "in no folder"))
	wantCode(t, err, shoal.NotFound)
	writeFile(t, path, random(1<<16, 31))
	_, err = OpenCatalog(path)
	wantCode(t, err, shoal.Corrupt)

	path += "2"
	c := openCatalog(t, path)
	for _, version := range []uint32{0, 2, 1 << 31} {
		err = c.db.Update(func(tx *bbolt.Tx) error {
			return tx.Bucket(metaBucket).Put(versionKey, binary.BigEndian.AppendUint32(nil, version))
		})
		if err != nil {
			t.Fatal(err)
		}
		closeNow(t, c)
		_, err = OpenCatalog(path)
		wantCode(t, err, shoal.Unsupported)
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		c = &Catalog{db: db, path: path}
	}
	err = c.db.Update(func(tx *bbolt.Tx) error { return tx.DeleteBucket(metaBucket) })
	if err != nil {
		t.Fatal(err)
	}
	closeNow(t, c)
	_, err = OpenCatalog(path)
	wantCode(t, err, shoal.Corrupt)
}

// A damaged entry is told, keeps none of the others from being read, and is repaired by publishing again.
func TestCatalogDamaged(t *testing.T) {
	c := openCatalog(t, filepath.Join(t.TempDir(), "catalog"))
	good, bad, cut := entry(t, "g", "good", 5), entry(t, "g", "bad", 3*pieceLength), entry(t, "g", "cut", 7)
	same := bad
	same.Name = "same"
	if err := c.Put(good, bad, same, cut); err != nil {
		t.Fatal(err)
	}
	err := c.db.Update(func(tx *bbolt.Tx) error {
		forged := *bad.Manifest
		forged.Pieces = append([]shoal.Hash{{1}}, forged.Pieces[1:]...)
		if err := tx.Bucket(manifestsBucket).Put(bad.Object.ID[:], encodeManifest(&forged)); err != nil {
			return err
		}
		return tx.Bucket(entriesBucket).Put(entryKey("g", "cut"), encodeEntry(&cut)[:50])
	})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := c.All()
	wantCode(t, err, shoal.Corrupt)
	if len(entries) != 1 || entries[0].Name != "good" {
		t.Errorf("read %+v", entries)
	}
	if err := c.Put(bad, cut); err != nil {
		t.Fatal(err)
	}
	if got := all(t, c); len(got) != 4 {
		t.Errorf("read %+v", got)
	}
}

func FuzzEntry(f *testing.F) {
	f.Add(encodeEntry(&Entry{Path: "/x", Object: shoal.Object{Size: 9}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		bounds.Hold(t, len(b), func() {
			e, err := decodeEntry([]byte("g\x00n"), b)
			if err == nil && string(encodeEntry(&e)) != string(b) {
				t.Errorf("%x was read as %+v", b, e)
			}
		})
	})
}

func FuzzManifest(f *testing.F) {
	data := random(2*pieceLength+100, 32)
	o, m, err := hashBytes(data)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encodeManifest(m))
	f.Fuzz(func(t *testing.T, b []byte) {
		bounds.Hold(t, len(b), func() {
			m, err := decodeManifest(b, o)
			if err == nil && string(encodeManifest(m)) != string(b) {
				t.Errorf("%x was read as %+v", b, m)
			}
		})
	})
}
