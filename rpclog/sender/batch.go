package sender

import (
	"fmt"
	"time"

	"shoal/rpclog"
)

// maxBatch is how many bytes of entries make a batch full. The largest entry fits.
const maxBatch = 256 << 10

// batch is entries of one sender, in XDR, numbered from first without a gap.
type batch struct {
	sender  rpclog.Sender
	first   uint64
	count   uint32 // entries
	lines   uint64 // how many of them are lines; the others say how many were lost
	lost    uint64 // what those say
	entries []byte
}

// last is the number of the last entry.
func (b *batch) last() uint64 { return b.first + uint64(b.count) - 1 }

// add appends an entry unless the batch is full.
func (b *batch) add(e *rpclog.Entry) bool {
	if b.count >= rpclog.MaxEntries || len(b.entries) >= maxBatch {
		return false
	}
	before := len(b.entries)
	if b.entries = rpclog.AppendEntry(b.entries, e); len(b.entries) > maxBatch && before > 0 {
		b.entries = b.entries[:before]
		return false
	}
	b.count++
	if b.lost += e.Lost; e.Lost == 0 {
		b.lines++
	}
	return true
}

// join appends the entries of c if they follow, and there is room.
func (b *batch) join(c *batch) bool {
	if c.sender != b.sender || c.first != b.last()+1 || b.count+c.count > rpclog.MaxEntries || len(b.entries)+len(c.entries) > maxBatch {
		return false
	}
	b.entries = append(b.entries, c.entries...)
	b.count += c.count
	b.lines += c.lines
	b.lost += c.lost
	return true
}

// seal returns the arguments of APPEND.
func (b *batch) seal(key *rpclog.Key) []byte {
	return rpclog.Seal(b.sender, b.first, true, int(b.count), b.entries, key)
}

// gap returns the entry that stands for n lost ones.
func gap(n uint64, now time.Time) *rpclog.Entry {
	s := "entries were"
	if n == 1 {
		s = "entry was"
	}
	return &rpclog.Entry{Time: now, Level: rpclog.Warn, Lost: n, Message: fmt.Sprintf("%d %s lost here", n, s)}
}

// withoutEntries returns what takes the place of a batch that the service refuses to take: an entry with the number of
// its last one, which says how many were lost.
func (b *batch) withoutEntries(now time.Time) *batch {
	lost := b.lines + b.lost
	return &batch{
		sender: b.sender, first: b.last(), count: 1, lost: lost,
		entries: rpclog.AppendEntry(nil, gap(lost, now)),
	}
}
