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
