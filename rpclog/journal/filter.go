package journal

import (
	"bytes"
	"encoding/json"
	"regexp"
	"time"

	"shoal"
	"shoal/rpclog"
)

// maxPattern is how long a regular expression may be, in bytes.
const maxPattern = 1024

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
	if len(q.Grep) > maxPattern {
		return nil, shoal.Errorf(shoal.BadRequest, "the regular expression has %d bytes; %d are allowed", len(q.Grep), maxPattern)
	}
	if q.Grep != "" {
		var err error
		if f.grep, err = regexp.Compile(q.Grep); err != nil {
			return nil, shoal.Errorf(shoal.BadRequest, "the regular expression makes no sense: %w", err)
		}
	}
	return f, nil
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
