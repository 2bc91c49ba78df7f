package queue

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"shoal"
	"shoal/tests/bounds"
)

// FuzzDownload reads what lies in a queue's file: a download that could be stored again, or an error.
func FuzzDownload(f *testing.F) {
	whole, err := json.Marshal(&Download{
		ID: 7, Wish: Wish{Group: "lab", Target: "a", Out: "/x/", Range: shoal.Range{Begin: -5}}, State: Failed, Missing: []shoal.Span{{First: 1, Count: 2}},
		Fault: &Fault{shoal.Corrupt, "x"}, Added: time.Unix(1795255200, 0), Shares: []Share{{Bytes: 5}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint64(7), whole)
	f.Add(uint64(0), []byte(`{"wish":{"group":"lab","target":"a","out":"/x"}}`))
	f.Add(uint64(0), []byte("null"))
	f.Fuzz(func(t *testing.T, id uint64, value []byte) {
		bounds.Hold(t, len(value), func() {
			d, err := decode(key(id), value)
			if err != nil {
				if !errors.Is(err, shoal.Corrupt) {
					t.Errorf("%v has the code %v", err, shoal.CodeOf(err))
				}
				return
			}
			stored, err := json.Marshal(d)
			if err != nil {
				t.Fatalf("%+v cannot be stored again: %v", d, err)
			}
			if again, err := decode(key(id), stored); err != nil || !reflect.DeepEqual(again, d) {
				t.Errorf("%q is read as %+v, and that as %+v, %v", value, d, again, err)
			}
		})
	})
}
