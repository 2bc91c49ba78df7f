package meta

import (
	"encoding/binary"
	"sync"
	"time"

	"shoal"
	"shoal/xdr"
)

const (
	// KeptOutcomes is how many outcomes are kept of each device at least.
	KeptOutcomes = 128
	// pruneEvery is after how many mutations of a device outcomes that are no longer kept are taken away, so there can be
	// so many more.
	pruneEvery = 64
	// maxText is the longest text of an outcome in bytes: longer names than there are fit twice.
	maxText = 2048
	// countedDevices is for how many devices mutations are counted.
	countedDevices = 1 << 16
)

// Outcome is what a mutation led to.
type Outcome struct {
	Code     shoal.Code   // 0 for success
	Text     string       // of a refusal
	Revision uint64       // at which it is so; 0 where nothing was stored
	Decided  uint64       // the revision of the state that it was decided from, or later
	Epoch    uint64       // of the group, where the mutation raised it or made the group; the last one, of several
	Group    shoal.Group  // that a new user is in by an invite
	Stands   shoal.Object // what the name stood for, where that was the reason of the refusal
	Repeated bool         // it was known from before
}

// err is the refusal, if it is one.
func (o *Outcome) err() error {
	if o.Code == 0 {
		return nil
	}
	return shoal.Errorf(o.Code, "%s", o.Text)
}

// encodeOutcome returns the value that is stored. The revision is the key's own.
func encodeOutcome(o *Outcome, of digest, when time.Time) []byte {
	b := append(make([]byte, 0, 64+len(o.Text)), recordVersion)
	b = xdr.AppendFixed(appendTime(b, when), of[:])
	b = xdr.AppendUint64(xdr.AppendUint32(b, uint32(o.Code)), o.Epoch)
	b = xdr.AppendString(xdr.AppendString(b, o.Text[:min(len(o.Text), maxText)]), o.Group)
	stands := o.Stands != shoal.Object{}
	if b = xdr.AppendBool(b, stands); stands {
		b = xdr.AppendInt64(xdr.AppendFixed(b, o.Stands.ID[:]), o.Stands.Size)
	}
	return b
}

func decodeOutcome(k key, value []byte) (o Outcome, of digest, when time.Time, err error) {
	d, err := newDecoder(k, value)
	if err != nil {
		return o, of, when, err
	}
	when = d.time()
	copy(of[:], d.Fixed(len(of)))
	o.Code, o.Epoch = shoal.Code(d.Uint32()), d.Uint64()
	o.Text, o.Group = d.String(maxText), shoal.Group(d.String(shoal.MaxGroup))
	if d.Bool() {
		o.Stands = shoal.Object{ID: d.fixed(), Size: d.Int64()}
	}
	return o, of, when, d.finish(k)
}

// earlier returns the outcome in e, which must be there, to one who asks for the same.
func (s *Store) earlier(k key, e entry, asked digest) (Outcome, error) {
	o, of, _, err := decodeOutcome(k, e.value)
	if err != nil {
		return Outcome{}, err
	}
	if of != asked {
		return Outcome{}, shoal.Errorf(shoal.BadRequest,
			"this sequence number was used for another mutation by this device; use one that is higher than all before")
	}
	o.Revision, o.Repeated = s.revision(e.revision), true
	o.Decided = o.Revision
	return o, o.err()
}

func stale(id ID) error {
	return shoal.Errorf(shoal.StaleRequest, "sequence number %d is older than the last %d, whose outcomes are kept; "+
		"look whether it was done, and ask again with a new number if not", id.Sequence, KeptOutcomes)
}

// decodeFloor reads the first sequence number whose outcome is kept.
func decodeFloor(k key, value []byte) (uint64, error) {
	d, err := newDecoder(k, value)
	if err != nil {
		return 0, err
	}
	floor := d.Uint64()
	return floor, d.finish(k)
}

// prune takes outcomes of the device away that are more than are kept. It looks no further back than to the first that is:
// etcd would go through all those that were taken away and are not compacted yet.
func (t *transaction) prune() {
	prefix := key("a/" + string(t.id.Device[:]) + "/")
	from := prefix
	if value, there := t.get(floorKey(t.id.Device)); there {
		floor, err := decodeFloor(floorKey(t.id.Device), value)
		if err != nil {
			t.fail(err)
			return
		}
		from = outcomeKey(ID{Device: t.id.Device, Sequence: floor})
	}
	tooMany := t.count(from, prefix.end()) - KeptOutcomes
	if tooMany <= 0 {
		return
	}
	oldest := t.peek(from, prefix.end(), tooMany+1)
	if int64(len(oldest)) <= tooMany {
		return // some went meanwhile
	}
	last := oldest[tooMany]
	if floor := binary.BigEndian.Uint64([]byte(last[len(prefix):])); floor <= t.id.Sequence {
		t.putValue(floorKey(t.id.Device), xdr.AppendUint64([]byte{recordVersion}, floor))
		t.deleteRange(from, last)
	}
}

// turns counts mutations per device, to tell when outcomes are to be pruned.
type turns struct {
	mu    sync.Mutex // guards done
	done  map[shoal.DeviceID]uint32
	limit int
}

// due counts a mutation and reports whether it is the first of pruneEvery.
func (t *turns) due(d shoal.DeviceID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, counted := t.done[d]
	if !counted && len(t.done) >= t.limit {
		clear(t.done)
	}
	t.done[d] = n + 1
	return n%pruneEvery == 0
}
