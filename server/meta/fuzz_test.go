package meta

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"shoal"
	"shoal/tests/bounds"
	"shoal/xdr"
)

// records are one of each kind.
var records = []Record{
	&Realm{Root: shoal.RealmKey{1}, Tickets: [][]byte{{1, 2}}, Successors: [][]byte{{3}}, Settled: true},
	&User{Name: "ann", Password: "$argon2id$", Created: time.UnixMilli(5).UTC(), Admin: true, Devices: []shoal.DeviceID{{1}}},
	&Device{ID: shoal.DeviceID{1}, User: "ann", Label: "desk"}, &Group{Name: "lab", Owner: "ann", First: 3, Epoch: 4, Grace: time.Hour},
	&Member{Group: "lab", User: "ann"}, &JoinRequest{Group: "lab", User: "bob"}, &Share{Group: "lab", Name: "a", User: "bob"},
	&Object{Group: "lab", Name: "a", Content: shoal.Object{Size: 9}, Publisher: "ann", Shared: true},
	&Object{Group: "lab", Name: "b", Mirrors: []shoal.Mirror{"http://a/"}}, &Invite{Hash: [32]byte{1}, Group: "lab", By: "ann"},
	&Revocation{Key: [32]byte{2}, Chain: []byte{1}},
}

// FuzzRecord reads what an etcd elsewhere says is a record, an outcome, or what else has a value: each is what it is
// encoded as, or refused.
func FuzzRecord(f *testing.F) {
	for _, r := range records {
		f.Add(string(r.key()), encode(r))
	}
	id := ID{Device: shoal.DeviceID{1}, Sequence: 7}
	f.Add(string(outcomeKey(id)), encodeOutcome(&Outcome{Code: shoal.Exists, Text: "x", Stands: shoal.Object{Size: 1}}, digest{1}, time.UnixMilli(9)))
	f.Add(string(floorKey(id.Device)), []byte{1, 0, 0, 0, 0, 0, 0, 0, 9})
	f.Add(string(versionKey), []byte{1, 0, 0, 0, 0, 0, 0, 0, 9})
	f.Add("nonsense", []byte{3})
	f.Fuzz(func(t *testing.T, at string, value []byte) {
		bounds.Hold(t, len(at)+len(value), func() {
			k := key(at)
			r, err := decodeRecord(k, value)
			switch {
			case err != nil:
				checkDecoding(t, err)
			case r != nil:
				if again := encode(r); !bytes.Equal(again, value) || r.key() != k {
					t.Errorf("%q with %x is read as %+v, which is %q with %x", at, value, r, r.key(), again)
				}
			}
			o, of, when, err := decodeOutcome(k, value)
			checkDecoding(t, err)
			if err == nil {
				if again, ofAgain, whenAgain, err := decodeOutcome(k, encodeOutcome(&o, of, when)); err != nil || again != o || ofAgain != of || !whenAgain.Equal(when) {
					t.Errorf("%x is read as %+v, and that as %+v, %v", value, o, again, err)
				}
			}
			_, err = decodeFloor(k, value)
			checkDecoding(t, err)
			_, err = decodeDeparted(k, value)
			checkDecoding(t, err)
			_, err = decodeVersion(value)
			checkDecoding(t, err)
		})
	})
}

// checkDecoding checks the code of an error, if it is one.
func checkDecoding(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, shoal.Corrupt) && !errors.Is(err, shoal.Unsupported) {
		t.Errorf("%v has the code %v", err, shoal.CodeOf(err))
	}
}

// FuzzBackup reads backups: what is not one, or was changed, is refused.
func FuzzBackup(f *testing.F) {
	body := xdr.AppendUint64(xdr.AppendUint64([]byte(backupMagic), 7), 8)
	for _, r := range records {
		body = xdr.AppendOpaque(xdr.AppendOpaque(xdr.AppendUint32(body, 1), []byte(r.key())), encode(r))
	}
	body = xdr.AppendUint64(xdr.AppendUint32(body, 0), uint64(len(records)))
	sum := sha256.Sum256(body)
	f.Add(append(body, sum[:]...))
	f.Add(body)
	f.Add([]byte(backupMagic))
	f.Add(append([]byte(backupMagic), bytes.Repeat([]byte{0, 0, 0, 1}, 20)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		bounds.Hold(t, len(b), func() {
			keys := uint64(0)
			info, err := readBackup(bytes.NewReader(b), func(key, []byte) error { keys++; return nil })
			checkDecoding(t, err)
			if err == nil && info.Keys != keys {
				t.Errorf("%d keys, and %d are used", info.Keys, keys)
			}
		})
	})
}
