package registry

import (
	"cmp"
	"container/list"
	"hash/maphash"
	"slices"

	"shoal"
)

const (
	// keptOutcomes is how many outcomes are kept for each device (rule S1).
	keptOutcomes = 128
	// keptGone is how many outcomes are kept in all for devices that are not connected, so that one whose connection
	// broke before the answer came can ask again. A stranger can have any number of keys, so there must be an end.
	keptGone = 1 << 17
)

// mutation is what a sequence number was used for.
type mutation struct {
	kind    byte // 'p' or 'u'
	group   shoal.Group
	name    shoal.Name
	content shoal.Object
}

// outcome is what a mutation led to, without text, so that a device cannot fill the memory with failures.
type outcome struct {
	sequence uint64
	what     uint64 // hash of the mutation
	revision uint64
	code     shoal.Code   // 0 for success
	stands   shoal.Object // what the name stood for, when that was the reason
}

// device is what is remembered of a device.
type device struct {
	id       shoal.DeviceID
	sessions int           // connected now
	gone     *list.Element // its place among those without a session
	outcomes []outcome     // by sequence
	oldest   uint64        // of lower sequences the outcomes may have been dropped
}

// outcomes answers what was asked before. Its owner's mutex guards it.
type outcomes struct {
	seed    maphash.Seed
	devices map[shoal.DeviceID]*device
	gone    *list.List // of devices without a session but with outcomes, in the order in which they left
	stored  int        // outcomes of those in gone
	limit   int        // of stored
}

func newOutcomes(limit int) outcomes {
	return outcomes{seed: maphash.MakeSeed(), devices: make(map[shoal.DeviceID]*device), gone: list.New(), limit: limit}
}

// connect notes that a session of a device has begun.
func (o *outcomes) connect(id shoal.DeviceID) {
	d := o.devices[id]
	if d == nil {
		d = &device{id: id}
		o.devices[id] = d
	}
	if d.gone != nil {
		o.gone.Remove(d.gone)
		d.gone = nil
		o.stored -= len(d.outcomes)
	}
	d.sessions++
}

// disconnect notes that one has ended.
func (o *outcomes) disconnect(id shoal.DeviceID) {
	d := o.devices[id]
	if d.sessions--; d.sessions > 0 {
		return
	}
	if len(d.outcomes) == 0 {
		delete(o.devices, id)
		return
	}
	d.gone = o.gone.PushBack(d)
	o.stored += len(d.outcomes)
	for o.stored > o.limit {
		first := o.gone.Remove(o.gone.Front()).(*device)
		o.stored -= len(first.outcomes)
		delete(o.devices, first.id)
	}
}

// earlier returns the outcome of the mutation m with this sequence, if it was carried out before. The error has code
// StaleRequest if that is not known any more, and BadRequest if the sequence was used for something else.
func (o *outcomes) earlier(id shoal.DeviceID, sequence uint64, m mutation) (outcome, bool, error) {
	d := o.devices[id]
	at, found := d.find(sequence)
	switch {
	case found && d.outcomes[at].what != o.hash(m):
		return outcome{}, false, shoal.Errorf(shoal.BadRequest,
			"sequence number %d was used for another mutation by this device (rule S1); use one that is higher than all before", sequence)
	case found:
		return d.outcomes[at], true, nil
	case sequence < d.oldest:
		return outcome{}, false, shoal.Errorf(shoal.StaleRequest,
			"sequence number %d is older than the last %d, whose outcomes are kept; look whether it was done, and ask again with a new number if not", sequence, keptOutcomes)
	}
	return outcome{}, false, nil
}

// store keeps the outcome of a mutation that earlier did not know.
func (o *outcomes) store(id shoal.DeviceID, m mutation, out outcome) {
	d := o.devices[id]
	out.what = o.hash(m)
	if len(d.outcomes) < keptOutcomes {
		at, _ := d.find(out.sequence)
		d.outcomes = slices.Insert(d.outcomes, at, out)
		return
	}
	// The lowest goes, which may be this one.
	at, _ := d.find(out.sequence)
	if at == 0 {
		d.oldest = out.sequence + 1
		return
	}
	d.oldest = d.outcomes[0].sequence + 1
	copy(d.outcomes, d.outcomes[1:at])
	d.outcomes[at-1] = out
}

func (o *outcomes) hash(m mutation) uint64 { return maphash.Comparable(o.seed, m) }

func (d *device) find(sequence uint64) (int, bool) {
	return slices.BinarySearchFunc(d.outcomes, sequence, func(o outcome, s uint64) int { return cmp.Compare(o.sequence, s) })
}
