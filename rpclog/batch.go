package rpclog

import (
	"crypto/hmac"
	"crypto/sha256"

	"shoal"
	"shoal/xdr"
)

// Sender is one process of a device. Its entries are numbered from 1.
type Sender struct {
	Device  shoal.DeviceID
	Process uint64 // never used twice by a device
}

// Batch is entries of one sender, numbered from First without a gap.
type Batch struct {
	Sender  Sender
	First   uint64
	Sync    bool // the answer is to wait until the entries would survive a power cut
	Entries []Entry
}

// batchOverhead is what a batch and its MAC take beside the entries, in bytes.
const batchOverhead = 32 + 8 + 8 + 4 + 4 + 4 + sha256.Size

// MaxBatch is how many bytes the entries of a batch may take in XDR.
const MaxBatch = MaxArgs - batchOverhead

// Seal returns the arguments of APPEND: count entries, given in XDR (see AppendEntry), and the MAC, if there is a key.
// The caller keeps to MaxEntries and MaxBatch.
func Seal(s Sender, first uint64, sync bool, count int, entries []byte, key *Key) []byte {
	b := make([]byte, 0, batchOverhead+len(entries))
	b = append(b, s.Device[:]...)
	b = xdr.AppendUint64(b, s.Process)
	b = xdr.AppendUint64(b, first)
	b = xdr.AppendBool(b, sync)
	b = xdr.AppendUint32(b, uint32(count))
	b = append(b, entries...)
	if key == nil {
		return xdr.AppendOpaque(b, nil)
	}
	return xdr.AppendOpaque(b, key.mac(b))
}

// Open decodes the arguments of APPEND and tells whether their MAC is right. The error wraps xdr.ErrMalformed. The batch
// does not alias args.
func Open(args []byte, key *Key) (b *Batch, verified bool, err error) {
	if len(args) > MaxArgs {
		args = args[:0] // which is malformed
	}
	d := xdr.NewDecoder(args)
	b = new(Batch)
	copy(b.Sender.Device[:], d.Fixed(len(b.Sender.Device)))
	b.Sender.Process = d.Uint64()
	b.First = d.Uint64()
	b.Sync = d.Bool()
	b.Entries = make([]Entry, d.Count(MaxEntries, minEntry))
	for i := range b.Entries {
		decodeEntry(d, &b.Entries[i])
	}
	mac := d.Opaque(sha256.Size)
	if last := b.First + uint64(len(b.Entries)); b.First == 0 || last < b.First {
		d.Fail("a batch of numbers from %d on", b.First)
	}
	if err := d.Finish(); err != nil {
		return nil, false, err
	}
	signed := args[:len(args)-4-(len(mac)+3)/4*4]
	return b, key != nil && hmac.Equal(mac, key.mac(signed)), nil
}

// Status is how an APPEND ended.
type Status uint32

// The statuses of log.x.
const (
	OK      Status = 0
	NoSpace Status = 1
	IO      Status = 2
	Busy    Status = 3
)

func (s Status) String() string {
	switch s {
	case OK:
		return "stored"
	case NoSpace:
		return "the log service has no space left"
	case IO:
		return "the log service cannot write"
	case Busy:
		return "the log service has too many unverified senders"
	}
	return "an unknown status"
}

// Result is the answer to APPEND; all but Status holds where that is OK.
type Result struct {
	Status     Status
	Verified   bool
	Stored     uint32
	Duplicates uint32
	Mark       uint64 // the highest number stored of the sender
}

// AppendResult appends r in XDR.
func AppendResult(b []byte, r Result) []byte {
	b = xdr.AppendUint32(b, uint32(r.Status))
	if r.Status != OK {
		return b
	}
	b = xdr.AppendBool(b, r.Verified)
	b = xdr.AppendUint32(b, r.Stored)
	b = xdr.AppendUint32(b, r.Duplicates)
	return xdr.AppendUint64(b, r.Mark)
}

// DecodeResult reads what AppendResult wrote. The error wraps xdr.ErrMalformed.
func DecodeResult(b []byte) (r Result, err error) {
	d := xdr.NewDecoder(b)
	if r.Status = Status(d.Uint32()); r.Status == OK {
		r.Verified = d.Bool()
		r.Stored = d.Uint32()
		r.Duplicates = d.Uint32()
		r.Mark = d.Uint64()
	}
	return r, d.Finish()
}

// Stats are the service's counts: since it was started but for Bytes, and of verified senders where nothing else is said.
type Stats struct {
	Started    int64  // nanoseconds since 1970
	Stored     uint64 // entries
	Duplicates uint64 // entries sent again and not stored again
	Lost       uint64 // what the stored entries say was lost
	Missing    uint64 // numbers that were skipped
	Unverified uint64 // entries of unverified senders, stored apart
	Refused    uint64 // calls that were malformed or over a limit
	Bytes      uint64 // what all log files take on disk
}

func (s *Stats) fields() []*uint64 {
	return []*uint64{&s.Stored, &s.Duplicates, &s.Lost, &s.Missing, &s.Unverified, &s.Refused, &s.Bytes}
}

// AppendStats appends s in XDR.
func AppendStats(b []byte, s Stats) []byte {
	b = xdr.AppendInt64(b, s.Started)
	for _, v := range s.fields() {
		b = xdr.AppendUint64(b, *v)
	}
	return b
}

// DecodeStats reads what AppendStats wrote. The error wraps xdr.ErrMalformed.
func DecodeStats(b []byte) (s Stats, err error) {
	d := xdr.NewDecoder(b)
	s.Started = d.Int64()
	for _, v := range s.fields() {
		*v = d.Uint64()
	}
	return s, d.Finish()
}
