package spec

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Access is one row of the table of who may ask for what: what a request is answered by, by who asks.
type Access struct {
	Kind    string
	Verb    string // "" where the kind has none
	Answers map[Asker]Answer
}

// Asker is who asks, by the columns of the table.
type Asker string

// Askers are the columns, in order.
var Askers = []Asker{"nobody's", "user", "member", "owner", "admin"}

// Answer is one cell. Where neither Code nor Rule is set, the request is served.
type Answer struct {
	Own  bool   // it is served where it is about what is the asker's own, and refused with Code else
	Code string // the error's, such as "not-found"
	Rule string // that says what the answer is, such as "E3"
}

var (
	besidesRow = regexp.MustCompile("^\\| ([A-Z_]+) \\| (`[a-z-]+`.*) \\|$")
	codeName   = regexp.MustCompile("`([a-z-]+)`")
	accessRow  = regexp.MustCompile(`^\| ([A-Z_]+)( [a-z]+)? ((?:\| [A-Za-z0-9' -]+ ){5})\|$`)
	accessHead = "| request | " + strings.Join([]string{"nobody's", "user", "member", "owner", "admin"}, " | ") + " |"
	accessCell = regexp.MustCompile(`^(?:(yes)|(own or )?([a-z]+(?:-[a-z]+)*)|([A-Z]\d+))$`)
)

// readAccess reads a line of the table, or of the one of the errors besides these, if it is one.
func (s *Spec) readAccess(line string) error {
	if m := besidesRow.FindStringSubmatch(line); m != nil {
		for _, code := range codeName.FindAllStringSubmatch(m[2], -1) {
			s.Besides[m[1]] = append(s.Besides[m[1]], code[1])
		}
		return nil
	}
	m := accessRow.FindStringSubmatch(line)
	if m == nil {
		return nil
	}
	a := Access{Kind: m[1], Verb: strings.TrimSpace(m[2]), Answers: map[Asker]Answer{}}
	for i, cell := range strings.Split(strings.Trim(m[3], "| "), " | ") {
		parts := accessCell.FindStringSubmatch(cell)
		if parts == nil {
			return fmt.Errorf("%s: %q is no answer", m[1], cell)
		}
		a.Answers[Askers[i]] = Answer{Own: parts[2] != "", Code: parts[3], Rule: parts[4]}
	}
	s.Access = append(s.Access, a)
	return nil
}

// checkAccess holds the table against the others: every request and every verb has one row, with codes and rules that
// there are.
func (s *Spec) checkAccess() error {
	seen := map[string]bool{}
	for _, a := range s.Access {
		at := slices.IndexFunc(s.Kinds, func(k Kind) bool { return k.Name == a.Kind })
		if row := a.Kind + " " + a.Verb; at < 0 || s.Kinds[at].Event() || seen[row] {
			return fmt.Errorf("%s: no request, or a second row", row)
		} else {
			seen[row], seen[a.Kind] = true, true
		}
		for asker, answer := range a.Answers {
			if _, known := s.Codes[answer.Code]; answer.Code != "" && !known {
				return fmt.Errorf("%s by %s: there is no code %s", a.Kind, asker, answer.Code)
			}
			if answer.Rule != "" && !slices.Contains(s.Rules, answer.Rule) {
				return fmt.Errorf("%s by %s: there is no rule %s", a.Kind, asker, answer.Rule)
			}
		}
	}
	for kind, codes := range s.Besides {
		for _, code := range codes {
			if _, known := s.Codes[code]; !known || !seen[kind] {
				return fmt.Errorf("%s: no request, or no code %s", kind, code)
			}
		}
	}
	for _, k := range s.Kinds {
		if !k.Event() && !seen[k.Name] {
			return fmt.Errorf("the table does not say who may ask for %s", k.Name)
		}
	}
	return nil
}
