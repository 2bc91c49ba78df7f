package swarm

// Rule is a set of the engine's rules.
type Rule uint32

// The rules that can be left out, to see in a simulation what each is worth.
const (
	Rarest        Rule = 1 << iota // else: a random piece
	RandomTies                     // else: of those that equally many have all choose the same
	RandomFirst                    // else: the rarest from the beginning
	PartialsFirst                  // else: a new piece before what is left of others
	Endgame                        // else: nothing is asked of two
	Cancels                        // else: what came from one is still sent by others
	FittedWindow                   // else: five blocks of 16 KiB
	FittedBlocks                   // else: 16 KiB
	Scored                         // else: whoever has room
	Shared                         // else: the best, however much they were asked for
	Stalls                         // else: only silence of many seconds is noticed
	Deaths                         // else: one who is gone is noticed by that silence, too
	Backoff                        // else: tried again at once
	Jitter                         // else: all that failed together come back together
	ThreeSources                   // else: a piece may fail at any number of sources
	Blame                          // else: all who sent a part of a bad piece are held to be innocent
	Bans                           // else: whoever sent something false may go on
	Replaced                       // else: whoever is connected stays
)

// Rules are the names of all rules.
var Rules = map[string]Rule{
	"rarest": Rarest, "random-ties": RandomTies, "random-first": RandomFirst, "partials-first": PartialsFirst, "endgame": Endgame,
	"cancels": Cancels, "window": FittedWindow, "blocks": FittedBlocks, "score": Scored, "shared": Shared, "stalls": Stalls,
	"deaths": Deaths, "backoff": Backoff, "jitter": Jitter, "three-sources": ThreeSources, "blame": Blame, "bans": Bans,
	"replaced": Replaced,
}

func (e *Engine) without(r Rule) bool { return e.config.Without&r != 0 }
