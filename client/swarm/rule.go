package swarm

// Rule is a set of the engine's rules.
type Rule uint32

// The rules that can be left out, to see in a simulation what each is worth.
const (
	Rarest        Rule = 1 << iota // else: a random piece
	RandomFirst                    // else: the rarest from the beginning
	PartialsFirst                  // else: a new piece before what is left of others
	Endgame                        // else: nothing is asked of two
	FittedWindow                   // else: five blocks of 16 KiB
	Scored                         // else: whoever has room
	Stalls                         // else: only silence of many seconds is noticed
	Backoff                        // else: tried again at once
	Blame                          // else: all who sent a part of a bad piece are held to be innocent
	Replaced                       // else: whoever is connected stays
)

func (e *Engine) without(r Rule) bool { return e.config.Without&r != 0 }
