package journal

import (
	"bytes"
	"encoding/json"
	"regexp"
	"regexp/syntax"
	"strings"
	"time"

	"shoal"
	"shoal/rpclog"
)

const (
	maxPattern = 1024 // bytes of a regular expression
	// maxSteps is how many instructions it may become: so many steps, at most, each byte of the log takes.
	maxSteps = 1000
	// maxScripts is how many classes of Unicode it may have: each is a table of some kilobytes.
	maxScripts = 32
)

// filter decides which lines a query wants. Safe for concurrent use.
type filter struct {
	user, operation           string
	userBytes, operationBytes []byte // as they are in a line
	level                     rpclog.Level
	since                     string // as timeLayout; "" for all
	grep                      *regexp.Regexp
}

func newFilter(q rpclog.Query) (*filter, error) {
	f := &filter{user: q.User, operation: q.Operation, level: q.Level}
	f.userBytes = appendNamed(nil, `,"user":`, q.User)
	f.operationBytes = appendNamed(nil, `,"op":`, q.Operation)
	if !q.Since.IsZero() {
		f.since = timeText(q.Since)
	}
	if q.Grep != "" {
		var err error
		if f.grep, err = compile(q.Grep); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// compile makes a regular expression of a stranger's. Few bytes can make a large one, by counted repetitions, which would
// take minutes for a page: such a one is refused before it is made.
func compile(pattern string) (*regexp.Regexp, error) {
	if len(pattern) > maxPattern {
		return nil, shoal.Errorf(shoal.BadRequest, "the regular expression has %d bytes; %d are allowed", len(pattern), maxPattern)
	}
	if strings.Count(strings.ToLower(pattern), `\p`) > maxScripts {
		return nil, shoal.Errorf(shoal.BadRequest, "the regular expression has more than %d classes of Unicode, as in \\pL", maxScripts)
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err == nil && steps(parsed) > maxSteps {
		return nil, shoal.Errorf(shoal.BadRequest, "the regular expression becomes too large by its counted repetitions, as in x{1000}; repeat less")
	}
	var compiled *regexp.Regexp
	if err == nil {
		compiled, err = regexp.Compile(pattern)
	}
	if err != nil {
		return nil, shoal.Errorf(shoal.BadRequest, "the regular expression makes no sense: %w", err)
	}
	return compiled, nil
}

// steps is about how many instructions a regular expression becomes: package syntax writes a repetition out.
func steps(re *syntax.Regexp) int {
	n := 1 + len(re.Rune)
	if re.Op == syntax.OpCharClass {
		n = 1
	}
	for _, sub := range re.Sub {
		n += steps(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min, re.Max, 1)
	}
	return n
}

// timeText writes t as lines have it; what is earlier or later than they can have is the earliest or latest.
func timeText(t time.Time) string {
	if t.Before(time.Unix(0, -1<<63)) {
		return minTime
	}
	if latest := time.Unix(0, 1<<63-1); t.After(latest) {
		t = latest
	}
	return t.UTC().Format(timeLayout)
}

// match tells whether line is an entry's and wanted. It looks at bytes first, and decodes only what may be wanted.
func (f *filter) match(line []byte) bool {
	h, ok := parseHead(line)
	switch {
	case !ok,
		string(h.time) < f.since,
		f.level > 0 && h.rank() < f.level,
		!bytes.Contains(line, f.userBytes),
		!bytes.Contains(line, f.operationBytes),
		f.grep != nil && !f.grep.Match(line):
		return false
	case f.user == "" && f.operation == "":
		return true
	}
	// A field may hold an object that has such a key, too.
	var who struct {
		User      string `json:"user"`
		Operation string `json:"op"`
	}
	return json.Unmarshal(line, &who) == nil &&
		(f.user == "" || who.User == f.user) && (f.operation == "" || who.Operation == f.operation)
}
