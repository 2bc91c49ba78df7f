package shoal_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"shoal"
)

func TestFactsValidate(t *testing.T) {
	long := strings.Repeat("x", shoal.MaxFact)
	for name, c := range map[string]struct {
		facts shoal.Facts
		valid bool
	}{
		"none":                      {shoal.Facts{}, true},
		"pending":                   {shoal.Facts{State: shoal.Pending}, true},
		"known, nothing told":       {shoal.Facts{State: shoal.Known}, true},
		"all":                       {shoal.Facts{State: shoal.Known, MediaType: "image/png", Category: "image", Encoding: "utf-8", Width: 1, Height: 2, Archive: "zip", Platform: "linux/amd64"}, true},
		"withheld, told from name":  {shoal.Facts{State: shoal.Withheld, MediaType: "image/png"}, true},
		"longest":                   {shoal.Facts{State: shoal.Known, Platform: long}, true},
		"unknown state":             {shoal.Facts{State: shoal.Withheld + 1}, false},
		"none, and a width":         {shoal.Facts{Width: 1}, false},
		"pending, and a media type": {shoal.Facts{State: shoal.Pending, MediaType: "a/b"}, false},
		"too long":                  {shoal.Facts{State: shoal.Known, Archive: long + "x"}, false},
		"not UTF-8":                 {shoal.Facts{State: shoal.Known, Encoding: "\xff"}, false},
		"escape":                    {shoal.Facts{State: shoal.Known, Category: "\x1b[2J"}, false},
		"reversed":                  {shoal.Facts{State: shoal.Known, MediaType: "gnp\u202e/a"}, false},
		"line":                      {shoal.Facts{State: shoal.Withheld, Platform: "a\nb"}, false},
	} {
		err := c.facts.Validate()
		if c.valid != (err == nil) || (!c.valid && !errors.Is(err, shoal.BadRequest)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFactsInJSON(t *testing.T) {
	for state, text := range map[shoal.FactsState]string{
		shoal.NoFacts: "none", shoal.Pending: "pending", shoal.Known: "known", shoal.Withheld: "withheld",
	} {
		b, err := json.Marshal(shoal.Facts{State: state})
		if want := `{"state":"` + text + `"}`; err != nil || string(b) != want {
			t.Errorf("%s, want %s: %v", b, want, err)
		}
		var back shoal.Facts
		if err := json.Unmarshal(b, &back); err != nil || back.State != state {
			t.Errorf("%s read as %v: %v", b, back.State, err)
		}
	}
	if err := json.Unmarshal([]byte(`{"state":"guessed"}`), new(shoal.Facts)); !errors.Is(err, shoal.BadRequest) {
		t.Errorf("a state that there is not: %v", err)
	}
	if s := shoal.FactsState(77).String(); s != "facts-state?" {
		t.Errorf("state 77 is called %q", s)
	}
}
