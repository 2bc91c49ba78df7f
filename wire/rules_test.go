package wire

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"shoal/wire/spec"
)

// The table of who may ask for what has a row for every verb of the kinds that have verbs, by the verb's name.
func TestAccessCoversVerbs(t *testing.T) {
	s := loadSpec(t)
	for kind, enum := range map[string]string{"ACCOUNT": "account_verb", "GROUP": "group_verb", "MEMBERS": "members_which"} {
		var want, got []string
		for _, name := range s.Types[enum].Names {
			_, verb, _ := strings.Cut(strings.ToLower(name), "_")
			want = append(want, verb)
		}
		for _, row := range s.Access {
			if row.Kind == kind {
				got = append(got, row.Verb)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s has the verbs %v, and rows for %v", kind, want, got)
		}
	}
	for _, row := range s.Access {
		if len(row.Answers) != len(spec.Askers) {
			t.Errorf("%s has %d answers", row.Kind, len(row.Answers))
		}
		if row.Verb != "" && row.Kind != "ACCOUNT" && row.Kind != "GROUP" && row.Kind != "MEMBERS" {
			t.Errorf("%s has no verb %s", row.Kind, row.Verb)
		}
	}
}

func TestRulesAreUnique(t *testing.T) {
	rules := slices.Clone(loadSpec(t).Rules)
	all := len(rules)
	slices.Sort(rules)
	if unique := slices.Compact(rules); len(unique) != all || all < 40 {
		t.Errorf("%d rules with %d numbers", all, len(unique))
	}
}

// Wherever a document names a rule, there is one of that number.
func TestNamedRulesExist(t *testing.T) {
	rules := loadSpec(t).Rules
	for _, file := range []string{"PROTOCOL.md", "testdata/vectors/README.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		named := regexp.MustCompile(`\b[A-Z]\d{1,2}\b`).FindAllString(string(text), -1)
		for _, rule := range named {
			if !slices.Contains(rules, rule) {
				t.Errorf("%s names %s, which is no rule", file, rule)
			}
		}
		if len(named) == 0 {
			t.Errorf("%s names no rule", file)
		}
	}
}
