package queue

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"shoal"
)

// damage makes download 2 nonsense.
func damage(t *testing.T, path string) {
	db, err := bbolt.Open(path, 0o600, nil)
	must(t, err)
	must(t, db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(downloadsBucket).Put(key(2), []byte("{\"id\":")) }))
	must(t, db.Close())
}

func TestNoJournal(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "text")
	must(t, os.WriteFile(path, make([]byte, 64<<10), 0o600))
	_, err := openJournal(path)
	wantCode(t, err, shoal.Corrupt)
	_, err = openJournal(filepath.Join(dir, "missing", "x"))
	if err == nil {
		t.Error("a journal in a folder that is not there")
	}
	path = filepath.Join(dir, "newer")
	db, err := bbolt.Open(path, 0o600, nil)
	must(t, err)
	must(t, db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket(metaBucket)
		must(t, err)
		return b.Put(versionKey, []byte{0, 0, 0, journalVersion + 1})
	}))
	must(t, db.Close())
	_, err = openJournal(path)
	wantCode(t, err, shoal.Unsupported)
}

func TestBackoff(t *testing.T) {
	for _, c := range []struct {
		attempts int
		random   float64
		want     time.Duration
	}{
		{1, 0, 1500 * time.Millisecond},
		{1, 0.5, 2 * time.Second},
		{2, 0.5, 4 * time.Second},
		{8, 0.5, 256 * time.Second},
		{9, 0.5, 5 * time.Minute},
		{1 << 40, 0.5, 5 * time.Minute},
	} {
		if got := backoff(c.attempts, c.random); got != c.want {
			t.Errorf("attempt %d: %v, want %v", c.attempts, got, c.want)
		}
	}
	if first, second := jitter(), jitter(); first == second {
		t.Error("no jitter")
	}
}
