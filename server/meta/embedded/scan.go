package embedded

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"google.golang.org/protobuf/encoding/protowire"
)

// Change is one change of a key that the database has. Key and Value are good until the next one is asked for.
type Change struct {
	Key, Value []byte
	Deleted    bool
}

const (
	// windowKeys is how many changes are read at once, about, and windowMost how many revisions are looked through.
	windowKeys, windowMost = 4096, 1 << 40
)

// Changes yields all changes up to a revision, which there must be, that are not compacted, the oldest first: carried out
// in this order they make the state at the revision. It reads the database from its beginning to its end as it was when
// the call began, which takes a fraction of the time that reading all keys in their order does. It ends after an error.
func (s *Server) Changes(ctx context.Context, revision int64) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		tx := s.etcd.Server.Backend().ConcurrentReadTx()
		defer tx.RUnlock()
		// The database holds what is newest apart from the rest, and a limit on the number of keys would mix up the two; so
		// what is read at once is bounded by revisions, as many as hold a number of keys that fits.
		from, window := int64(1), int64(1)
		for from <= revision {
			if err := context.Cause(ctx); err != nil {
				yield(Change{}, err)
				return
			}
			end := from + min(window, revision-from+1)
			revisions, values := tx.UnsafeRange(schema.Key, revisionBytes(from), revisionBytes(end), 0)
			for i := range revisions {
				c, err := parseChange(values[i])
				c.Deleted = mvcc.IsTombstone(revisions[i])
				if !yield(c, err) || err != nil {
					return
				}
			}
			switch from = end; {
			case len(revisions) < windowKeys/2:
				window = min(2*window, windowMost)
			case len(revisions) > windowKeys:
				window = max(1, window/2)
			}
		}
	}
}

// revisionBytes is the database's key for the beginning of a revision.
func revisionBytes(main int64) []byte {
	return mvcc.RevToBytes(mvcc.Revision{Main: main}, mvcc.NewRevBytes())
}

// The fields of etcd's message KeyValue (mvccpb) that count.
const (
	keyField   protowire.Number = 1
	valueField protowire.Number = 5
)

// parseChange takes the key and the value out of a KeyValue, without copying them.
func parseChange(b []byte) (c Change, err error) {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return c, fmt.Errorf("reading the database: %w", protowire.ParseError(n))
		}
		b = b[n:]
		var content []byte
		if kind == protowire.BytesType {
			content, n = protowire.ConsumeBytes(b)
		} else {
			n = protowire.ConsumeFieldValue(field, kind, b)
		}
		if n < 0 {
			return c, fmt.Errorf("reading the database: %w", protowire.ParseError(n))
		}
		b = b[n:]
		switch {
		case kind != protowire.BytesType: // of another type a field is an unknown one
		case field == keyField:
			c.Key = content
		case field == valueField:
			c.Value = content
		}
	}
	return c, nil
}

// DatabaseSize is how large the database in the folder of an embedded etcd is, in bytes; 0 where there is none.
func DatabaseSize(dir string) int64 {
	info, err := os.Stat(filepath.Join(configure(dir).Dir, "member", "snap", "db"))
	if err != nil {
		return 0
	}
	return info.Size()
}
