package shoal

import (
	"strings"
	"unicode/utf8"
)

// MaxFact is the longest text in Facts, in bytes: what RFC 6838 section 4.2 allows a media type's parts.
const MaxFact = 127

// MaxHead is how much of a file's beginning a publisher gives away so that Facts can be told from it, in bytes.
const MaxHead = 3072

// HeadSize is how many bytes the object's beginning has that Facts are told from.
func (o Object) HeadSize() int { return int(min(o.Size, MaxHead)) }

// FactsState says what Facts are worth.
type FactsState uint32

// The states. The zero value is NoFacts.
const (
	NoFacts  FactsState = 0 // there are none to come: nobody is asked, or has nothing to say
	Pending  FactsState = 1 // asked, and not answered yet
	Known    FactsState = 2 // told from the content's beginning
	Withheld FactsState = 3 // no sample of the content was given: told from name and size alone, and maybe not at all
)

var factsStates = [...]string{"none", "pending", "known", "withheld"}

func (s FactsState) String() string {
	if int(s) < len(factsStates) {
		return factsStates[s]
	}
	return "facts-state?"
}

// MarshalText and UnmarshalText make states readable in JSON.
func (s FactsState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what String returns. The error has code BadRequest.
func (s *FactsState) UnmarshalText(b []byte) error {
	for i, name := range factsStates {
		if name == string(b) {
			*s = FactsState(i)
			return nil
		}
	}
	return Errorf(BadRequest, "there is no state of facts %q", b)
}

// Facts is what is known of a file's content beside its bytes. What does not apply is empty or zero. They come from
// a sample that nobody has verified, so they are for people and for sorting, never for a decision that needs trust.
type Facts struct {
	State     FactsState `json:"state"`
	MediaType string     `json:"media_type,omitempty"` // RFC 6838, such as "image/png", without parameters
	Category  string     `json:"category,omitempty"`   // such as "image" or "archive"
	Encoding  string     `json:"encoding,omitempty"`   // of text, such as "utf-8"
	Width     uint32     `json:"width,omitempty"`      // of an image, in pixels
	Height    uint32     `json:"height,omitempty"`
	Archive   string     `json:"archive,omitempty"`  // the kind of archive, such as "zip"
	Platform  string     `json:"platform,omitempty"` // what an executable runs on, such as "linux/amd64"
}

// texts are the parts of f that are text, by name.
func (f *Facts) texts() [5]struct{ what, text string } {
	return [5]struct{ what, text string }{
		{"media type", f.MediaType},
		{"category", f.Category},
		{"encoding", f.Encoding},
		{"archive", f.Archive},
		{"platform", f.Platform},
	}
}

// Validate refuses a state that there is not; texts that are longer than MaxFact, not UTF-8, or have characters that
// control a terminal or the direction of text; and anything told in a state in which nothing is. The error has code
// BadRequest.
func (f *Facts) Validate() error {
	if f.State > Withheld {
		return Errorf(BadRequest, "facts in state %d, which there is not", uint32(f.State))
	}
	if f.State < Known && *f != (Facts{State: f.State}) {
		return Errorf(BadRequest, "facts are told, and called %v", f.State)
	}
	for _, t := range f.texts() {
		if len(t.text) > MaxFact {
			return Errorf(BadRequest, "a %s of %d bytes; at most %d are allowed", t.what, len(t.text), MaxFact)
		}
		if !utf8.ValidString(t.text) || strings.IndexFunc(t.text, forbiddenInText) >= 0 {
			return Errorf(BadRequest, "a %s that cannot be shown: %q", t.what, t.text)
		}
	}
	return nil
}
