// Package journal keeps log entries on disk, as JSON lines, and reads them again.
//
// There are two series of files, each with a budget of its own: log-DAY-NUMBER.jsonl for entries of verified senders, and
// unverified-DAY-NUMBER.jsonl for the others. Numbers only grow. A file ends with its day (UTC, by this machine's clock)
// or when it is long enough; then it is compressed, and later the oldest are removed.
//
//	Append ─► encode ─► writer (one goroutine a series: file and marks) ─► answer
//	                      │ finished files                └► sync ─► answers that wait for it
//	                      ▼
//	                    keeper (one goroutine a series: compresses and removes)
//
// A file's first line says how far each sender had come when it was begun, so that only the last file has to be read at
// start. There is no other record of that: what the lines say is what is stored.
package journal

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"shoal/rpclog"
)

// Limits bound what lies on disk, in bytes, but for files' first lines. What is zero has its default.
type Limits struct {
	File       int64 // a file; default: 64 MiB, but no more than a quarter of what is kept
	Keep       int64 // all files of verified entries; default: 4 GiB
	Unverified int64 // all files of the others; default: an eighth of Keep
}

func (l Limits) withDefaults() Limits {
	if l.Keep == 0 {
		l.Keep = 4 << 30
	}
	if l.Unverified == 0 {
		l.Unverified = l.Keep / 8
	}
	if l.File == 0 {
		l.File = 64 << 20
	}
	return l
}

// Journal is the files of one folder. Its methods may be used concurrently.
type Journal struct {
	verified, unverified *series
	started              time.Time
}

// Open opens the journal in dir, which must be there and nobody else's, and repairs what a crash left. It starts
// goroutines that Close ends.
func Open(dir string, limits Limits, log zerolog.Logger) (*Journal, error) {
	limits = limits.withDefaults()
	j := &Journal{started: time.Now()}
	var err error
	if j.verified, err = openSeries(dir, "log", min(limits.File, limits.Keep/4), limits.Keep, maxSenders, log); err != nil {
		return nil, err
	}
	if j.unverified, err = openSeries(dir, "unverified", min(limits.File, limits.Unverified/4), limits.Unverified, maxUnverified, log); err != nil {
		return nil, errors.Join(err, j.verified.Close())
	}
	return j, nil
}

// Close stores what was appended, and waits for all that goes on. It is called once.
func (j *Journal) Close() error { return errors.Join(j.verified.Close(), j.unverified.Close()) }

func (j *Journal) series(verified bool) *series {
	if verified {
		return j.verified
	}
	return j.unverified
}

// Origin is from where a batch came: what is known, and what is only claimed.
type Origin struct {
	Address string  // of the connection or datagram
	System  *System // what its AUTH_SYS credential claims (RFC 5531 appendix A), if it has one
}

// System is a claim that nobody has checked.
type System struct {
	Machine  string
	UID, GID uint32
}

// Append stores those entries of a batch that are not stored yet: all of them or, with an error, none. The error's reason
// is in the result's Status, too. It returns when the entries have been written, or, if the batch says Sync, when they
// would survive a power cut; after an error in that they may be there, and sending them again is harmless. The batch is
// not kept.
func (j *Journal) Append(b *rpclog.Batch, verified bool, from Origin) (rpclog.Result, error) {
	s := j.series(verified)
	r := newRequest(b, from)
	defer r.release()
	select {
	case s.requests <- r:
		<-r.answered
	case <-s.stop:
		r.err = os.ErrClosed
	}
	if r.err != nil {
		return rpclog.Result{Status: statusOf(r.err)}, fmt.Errorf("storing entries: %w", r.err)
	}
	r.result.Verified = verified
	return r.result, nil
}

func statusOf(err error) rpclog.Status {
	// EFBIG is RLIMIT_FSIZE or what the filesystem allows: room for this file, in any case.
	for _, full := range []error{unix.ENOSPC, unix.EDQUOT, unix.EFBIG} {
		if errors.Is(err, full) {
			return rpclog.NoSpace
		}
	}
	return rpclog.IO
}

// Stats returns the counts. Refused is 0: calls are not known here.
func (j *Journal) Stats() rpclog.Stats {
	stats, bytes := j.verified.stats()
	others, more := j.unverified.stats()
	stats.Started = j.started.UnixNano()
	stats.Unverified = others.Stored
	stats.Bytes = uint64(bytes + more)
	return stats
}
