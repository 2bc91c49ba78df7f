package audit

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/rpclog"
	"shoal/soap"
)

// The names of fields beside those of rpclog.
const (
	fieldStamp = "stamp"      // the number of the line, of the enrichment service's
	fieldTime  = "stamp_time" // the time of the batch by the enrichment service's clock; or of the event, by the server's own
	fieldZone  = "zone"       // of stamp_time
	fieldClock = "clock"      // "own" where stamp_time is the server's own
	fieldLost  = "unwritten"  // how many events are missing in this place
)

// Lines that have gathered are written a batch at a time with a pause in between: what sends the log on waits for
// nobody, and would lose some of very many that come at once.
const (
	maxBatch = 512
	pause    = 5 * time.Millisecond
)

// write stamps lines and writes them to the log.
func (l *Log) write(ctx context.Context, lines []line) {
	for len(lines) > 0 {
		batch := lines[:min(len(lines), maxBatch)]
		lines = lines[len(batch):]
		stamp := l.stamp(ctx, len(batch))
		for i := range batch {
			l.writeLine(&batch[i], stamp, uint64(i))
		}
		if len(lines) > 0 {
			time.Sleep(pause)
		}
	}
}

// writeLine writes one line, the given one of its batch.
func (l *Log) writeLine(n *line, stamp *soap.Stamp, place uint64) {
	e, level, message := &n.event, zerolog.InfoLevel, n.event.Operation
	switch {
	case n.lost > 0:
		level, message = zerolog.WarnLevel, "audit entries are missing here: more came than could be written"
	case n.omitted > 0:
		level, message = zerolog.WarnLevel, "more strangers were refused than are written down one by one"
	case refused(e.Err):
		level = zerolog.WarnLevel
	}
	out := l.log.WithLevel(level)
	if e.Device != (shoal.DeviceID{}) {
		out.Stringer(rpclog.KeyUser, e.Device)
	}
	switch {
	case n.lost > 0:
		out.Int(fieldLost, n.lost)
	case n.omitted > 0:
		out.Int(fieldLost, n.omitted)
	case n.read != nil:
		out.Str(rpclog.KeyOperation, e.Operation).Dur(rpclog.KeyDuration, e.Duration).
			Uint64("list", n.read.lists).Uint64("lookup", n.read.lookups).Uint64("log", n.read.logs).Uint64("other", n.read.others).Uint64("failed", n.read.failed)
	default:
		writeEvent(out, e)
	}
	if stamp != nil {
		out.Uint64(fieldStamp, stamp.First+place).Str(fieldTime, stamp.Time.Format(time.RFC3339Nano)).Str(fieldZone, stamp.Zone)
	} else {
		zone, _ := e.Begin.Zone()
		out.Str(fieldClock, "own").Str(fieldTime, e.Begin.Format(time.RFC3339Nano)).Str(fieldZone, zone)
	}
	out.Msg(message)
}

func writeEvent(out *zerolog.Event, e *Event) {
	out.Str(rpclog.KeyOperation, e.Operation)
	if e.Object != "" {
		out.Str(rpclog.KeyObject, e.Object)
	}
	if e.Err == nil {
		out.Str(rpclog.KeyOutcome, "ok")
	} else {
		out.Str(rpclog.KeyOutcome, shoal.CodeOf(e.Err).Error()).Str("reason", e.Err.Error())
	}
	if e.Remote != "" {
		out.Str(rpclog.KeyRemote, e.Remote)
	}
	out.Dur(rpclog.KeyDuration, e.Duration)
	if e.Content != (shoal.Object{}) {
		out.Stringer("file", e.Content.ID).Int64("size", e.Content.Size)
	}
	if e.Session != 0 {
		out.Uint64("session", e.Session)
	}
}

// refused reports whether somebody was denied something, and did not just go away.
func refused(err error) bool {
	return err != nil && !errors.Is(err, shoal.Unreachable) && !errors.Is(err, shoal.Canceled) && shoal.CodeOf(err) != shoal.Internal
}
