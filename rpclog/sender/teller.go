package sender

import (
	"errors"
	"time"

	"github.com/rs/zerolog"

	"shoal"
)

// lossQuiet is how long nothing must be lost until the loss counts as over.
const lossQuiet = 10 * time.Second

// teller tells the console of troubles, each once until it is over. Not for concurrent use.
type teller struct {
	log         zerolog.Logger
	spoolFolder string
	hasKey      bool

	isAway, unverified, spoolFails bool
	losing                         uint64 // lines since the loss began; 0 when nothing is being lost
	lossEnds                       time.Time
}

func newTeller(c Config) *teller {
	return &teller{
		log:         c.Log.With().Str("service", c.Service).Logger(),
		spoolFolder: c.Spool, hasKey: c.Key != nil,
	}
}

// opened tells how opening the spool went, and returns what the Writer cannot do without.
func (t *teller) opened(torn int64, err error) error {
	if errors.Is(err, shoal.Busy) {
		t.log.Warn().Err(err).Msg("log entries that cannot be sent at once are kept in memory only")
		t.spoolFolder = ""
		return nil
	}
	if torn > 0 {
		t.log.Warn().Str("spool", t.spoolFolder).Int64("bytes", torn).Msg("cut a torn end off the spooled log entries")
	}
	return err
}

func (t *teller) away(why error) {
	if t.isAway {
		return
	}
	t.isAway = true
	e := t.log.Warn().Err(why)
	if t.spoolFolder != "" {
		e = e.Str("spool", t.spoolFolder)
	}
	e.Msg("the log service does not take entries; they are kept until it does")
}

// back is told whenever a batch is stored.
func (t *teller) back(verified bool) {
	if t.isAway {
		t.log.Info().Msg("the log service takes entries again")
	}
	t.isAway = false
	if unverified := t.hasKey && !verified; unverified != t.unverified {
		if t.unverified = unverified; unverified {
			t.log.Error().Msg("the log service has another key than this process, and keeps its entries apart as unverified; copy log.key from its state folder anew")
		} else {
			t.log.Info().Msg("the log service verifies the entries now")
		}
	}
}

func (t *teller) refused(lines uint64) {
	t.log.Error().Uint64("entries", lines).Msg("the log service calls these entries malformed, so they are lost; is it of the same version?")
}

// spool is told how each use of the spool went.
func (t *teller) spool(err error) {
	if (err != nil) == t.spoolFails {
		return
	}
	if t.spoolFails = err != nil; t.spoolFails {
		t.log.Error().Err(err).Str("spool", t.spoolFolder).Msg("log entries cannot be kept on disk until the log service takes them")
	} else {
		t.log.Info().Str("spool", t.spoolFolder).Msg("log entries are kept on disk again")
	}
}

func (t *teller) unreadable(what tally, why error) {
	if what != (tally{}) {
		t.log.Error().Err(why).Str("spool", t.spoolFolder).Uint64("entries", what.lines).Msg("spooled log entries cannot be read back and are lost")
	}
}

func (t *teller) lost(lines uint64) {
	if lines == 0 {
		return
	}
	if t.losing == 0 {
		t.log.Warn().Msg("log entries are being lost: there is no room for them")
	}
	t.losing += lines
	t.lossEnds = time.Now().Add(lossQuiet)
}

// next returns when to call tick, zero for never.
func (t *teller) next() time.Time { return t.lossEnds }

func (t *teller) tick(now time.Time) {
	if t.losing > 0 && !now.Before(t.lossEnds) {
		t.lossIsOver()
	}
}

func (t *teller) lossIsOver() {
	t.log.Warn().Uint64("entries", t.losing).Msg("log entries were lost; an entry stands in their place")
	t.losing, t.lossEnds = 0, time.Time{}
}

// end tells what is left when the Writer ends.
func (t *teller) end(untold, spooled uint64) {
	if t.losing > 0 && untold == 0 {
		t.lossIsOver()
	}
	if untold > 0 {
		t.log.Error().Uint64("entries", untold).Msg("log entries were lost at the end, and the log does not tell of it")
	}
	if spooled > 0 {
		t.log.Info().Uint64("entries", spooled).Str("spool", t.spoolFolder).Msg("log entries are kept until the next start")
	}
}
