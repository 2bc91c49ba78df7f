package check

import (
	"os"
	"slices"
	"testing"

	"shoal/wire/spec"
)

func loadSpec(t testing.TB) *spec.Spec {
	s, err := spec.Load(os.DirFS("../../../wire"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// breach is a script in which a rule is broken.
type breach struct {
	rule, name string
	script     func(*book)
}

// goingOn is one in which somebody goes on after another broke a rule, which is told of as well.
type goingOn struct {
	after string
	breach
}

// breaches are all of them, but for those of the vectors.
var breaches = slices.Concat(framing, handshakes, chainBreaches, toServers, toPeers)

// Every rule of PROTOCOL.md is in the table, and each that the wire can show has scripts in which it is broken, after which
// that rule is told of, and no other.
func TestRules(t *testing.T) {
	all := loadSpec(t).Rules
	var listed []string
	for _, r := range Rules {
		listed = append(listed, r.Number)
		is := func(b breach) bool { return b.rule == r.Number }
		goesOn := func(g goingOn) bool { return is(g.breach) }
		shown := slices.ContainsFunc(breaches, is) || slices.ContainsFunc(aftermath, goesOn) || byVectors[r.Number]
		if (r.Held != "") != shown || r.Held == "" && r.Unseen == "" {
			t.Errorf("%s: held to %q, not seen: %q, broken by a script: %t", r.Number, r.Held, r.Unseen, shown)
		}
	}
	if !slices.Equal(listed, all) {
		t.Errorf("the table has the rules\n%v, not\n%v", listed, all)
	}
	for _, b := range breaches {
		b.run(t, b.rule)
	}
	for _, g := range aftermath {
		g.run(t, g.after, g.rule)
	}
}

// run demands that just these rules are told of.
func (b breach) run(t *testing.T, rules ...string) {
	t.Run(b.rule+" "+b.name, func(t *testing.T) {
		script := newBook()
		b.script(script)
		found := script.check()
		slices.Sort(rules)
		if got := rulesOf(found); !slices.Equal(got, rules) {
			t.Errorf("told are %v", got)
			for _, v := range found {
				t.Log(v)
			}
		}
	})
}
