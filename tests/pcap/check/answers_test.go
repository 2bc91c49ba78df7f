package check

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"shoal"
	"shoal/wire"
)

// The errors that are let pass are those of PROTOCOL.md, all of them: of its two tables of errors, or of the rule that is
// named.
func TestAnswers(t *testing.T) {
	s := loadSpec(t)
	text, err := os.ReadFile("../../../wire/PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	rule := func(number string) string {
		return regexp.MustCompile(`(?m)^\| \*\*` + number + `\*\* \|.*$`).FindString(string(text))
	}
	for _, k := range s.Kinds {
		if k.Event() {
			continue
		}
		var want []string
		for _, row := range s.Access {
			for _, a := range row.Answers {
				if row.Kind == k.Name && a.Code != "" {
					want = append(want, a.Code)
				}
			}
		}
		want = append(want, s.Besides[k.Name]...)
		allowed, known := answers[wire.Kind(k.Number)]
		if !known {
			t.Errorf("%s: nothing is said of its errors", k.Name)
		}
		for _, code := range want {
			if _, is := allowed[shoal.Code(s.Codes[code])]; !is {
				t.Errorf("%s may be answered by %s", k.Name, code)
			}
		}
		for code, by := range allowed {
			inTable := slices.Contains(want, code.Error())
			if by == "A1" && !inTable || by != "A1" && !inTable && !strings.Contains(rule(by), "`"+code.Error()+"`") {
				t.Errorf("%s may not be answered by %v, by rule %s", k.Name, code, by)
			}
		}
	}
	for _, code := range slices.Concat(ofAnybody, ofServer, ofMutation) {
		_, besides, _ := strings.Cut(string(text), "\nBesides, a server answers")
		besides, _, _ = strings.Cut(besides, "\n\n")
		if !strings.Contains(besides, "`"+code.Error()+"`") {
			t.Errorf("nothing says that %v may be an answer to anything", code)
		}
	}
}
