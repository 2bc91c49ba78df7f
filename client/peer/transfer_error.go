package peer

import (
	"errors"

	"shoal"
)

// stopped is the error for a download that was ended from outside.
func (t *transfer) stopped(why error) error {
	if errors.Is(why, shoal.NotFound) { // there is nothing to go on with
		return shoal.Errorf(shoal.NotFound, "the download ends: %w", why)
	}
	return shoal.Errorf(shoal.Canceled, "the download was stopped (%w)%s", why, t.kept())
}

// kept says, for an error's text, what becomes of what has come.
func (t *transfer) kept() string {
	if t.status.Held == 0 || t.stream != nil {
		return ""
	}
	if t.Retried {
		return "; what has come is kept for the next attempt"
	}
	return "; what has come is kept, run the same command again to go on"
}

// maxAbsent is how many spans of pieces an error and a status tell of.
const maxAbsent = 256

// AbsentError ends a download of which nobody who can be reached has the rest. It has the code of what it wraps.
type AbsentError struct {
	Object shoal.Object
	Spans  []shoal.Span // the pieces that nobody has; the first 256 spans
	err    error
}

func (e *AbsentError) Unwrap() error { return e.err }

func (e *AbsentError) Error() string {
	return e.err.Error() + "\n  nobody who can be reached has " + shoal.ListSpans(e.Spans, e.Object)
}

// unfinished is noSources, with the pieces that are missing where nobody has them.
func (t *transfer) unfinished() error {
	err := t.noSources()
	if absent := t.absent(); len(absent) > 0 {
		return &AbsentError{Object: t.Swarm.Object, Spans: absent, err: err}
	}
	return err
}

// absent are the pieces that nobody has: what somebody has, by what the server knows, only cannot be had at the moment.
func (t *transfer) absent() []shoal.Span {
	if t.copies > 0 {
		return nil
	}
	return t.engine.Absent(maxAbsent)
}

func (t *transfer) noSources() error {
	switch {
	case len(t.order) > 0:
	case t.From != nil:
		return shoal.Errorf(shoal.NoSources, "%v does not serve %v at the moment; start its peer, or fetch from others without --from", *t.From, t.Swarm.Object.ID)
	default:
		return shoal.Errorf(shoal.NoSources, "nobody serves %v at the moment; start a peer that has it, or wait longer with --timeout", t.Swarm.Object.ID)
	}
	reasons := ""
	for _, s := range t.order {
		if s.status.Reason != "" {
			reasons += "\n  " + s.status.name() + ": " + s.status.Reason
		}
	}
	return shoal.Errorf(shoal.NoSources, "nothing came for %v from any of %d known sources%s%s", t.Timeout, len(t.order), t.kept(), reasons)
}

// hopeless is the error for a piece that nobody has as it should be.
func (t *transfer) hopeless(piece int) error {
	return shoal.Errorf(shoal.Corrupt, "piece %d of %v failed at three sources in a row, and no others came%s; "+
		"ask for another source, or have the file published again", piece, t.Swarm.Object.ID, t.kept())
}
