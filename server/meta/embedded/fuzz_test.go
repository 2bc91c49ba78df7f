package embedded

import (
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"

	"shoal/tests/bounds"
)

// FuzzChange reads what lies in the database as etcd's own decoder does.
func FuzzChange(f *testing.F) {
	written, err := proto.Marshal(&mvccpb.KeyValue{Key: []byte("k"), Value: []byte("v"), ModRevision: 7, Lease: 1 << 40})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(written)
	f.Add([]byte{0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		bounds.Hold(t, len(b), func() {
			c, err := parseChange(b)
			var want mvccpb.KeyValue
			if wantErr := proto.Unmarshal(b, &want); wantErr == nil && (err != nil || string(c.Key) != string(want.Key) || string(c.Value) != string(want.Value)) {
				t.Errorf("%x is read as %q = %q, %v, and not %q = %q", b, c.Key, c.Value, err, want.Key, want.Value)
			}
		})
	})
}
