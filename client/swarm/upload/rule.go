package upload

// Rule is a set of the machine's rules.
type Rule uint32

// The rules that can be left out, to see in a simulation what each is worth.
const (
	Reciprocity Rule = 1 << iota // else: who gets a slot is random
	Optimistic                   // else: there is no optimistic slot
	Open                         // else: there are fewSlots, however small the swarm
	SuperSeed                    // else: the only seed reveals everything to everybody
	SpreadFirst                  // else: those who keep what they get to themselves get as much
)

// fewSlots is how many peers Cohen's choking serves at a time, without the optimistic one.
const fewSlots = 4

// Rules are the names of all rules.
var Rules = map[string]Rule{
	"reciprocity": Reciprocity, "optimistic": Optimistic, "open": Open, "super-seed": SuperSeed, "spread-first": SpreadFirst,
}
