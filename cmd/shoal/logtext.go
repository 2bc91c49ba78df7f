package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"shoal/rpclog"
)

// loggedEntry is a line of the log. All of it is from strangers, as far as a terminal is concerned.
type loggedEntry struct {
	Time      time.Time                  `json:"time"`
	Level     string                     `json:"level"`
	Device    string                     `json:"device"`
	Lost      uint64                     `json:"lost"`
	Message   string                     `json:"message"`
	User      string                     `json:"user"`
	Operation string                     `json:"op"`
	Object    string                     `json:"object"`
	Outcome   string                     `json:"outcome"`
	Remote    string                     `json:"remote"`
	Duration  json.Number                `json:"duration"`
	Fields    map[string]json.RawMessage `json:"fields"`
}

// entryText writes an entry for people, in one line: when, how much it matters, whose, what, and then whatever else there
// is by name.
func entryText(line []byte) string {
	var e loggedEntry
	if err := json.Unmarshal(line, &e); err != nil {
		return harmless(string(line)) + "\n"
	}
	const device = 8 // characters: enough to tell devices apart
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %-5s  %-*.*s  %-24s", e.Time.Local().Format("2006-01-02 15:04:05.000"), harmless(e.Level), device, device, harmless(e.Device), harmless(e.Message))
	for _, part := range []struct{ key, value string }{
		{rpclog.KeyUser, e.User},
		{rpclog.KeyOperation, e.Operation},
		{rpclog.KeyObject, e.Object},
		{rpclog.KeyOutcome, e.Outcome},
		{rpclog.KeyRemote, e.Remote},
	} {
		if part.value != "" {
			fmt.Fprintf(&b, "  %s=%s", part.key, valueText(part.value))
		}
	}
	if e.Duration != "" {
		fmt.Fprintf(&b, "  %s=%sms", rpclog.KeyDuration, valueText(e.Duration.String()))
	}
	if e.Lost > 0 {
		fmt.Fprintf(&b, "  %s=%d", rpclog.KeyLost, e.Lost)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Fields)) {
		var text string
		if json.Unmarshal(e.Fields[name], &text) != nil {
			text = string(e.Fields[name])
		}
		fmt.Fprintf(&b, "  %s=%s", valueText(name), valueText(text))
	}
	return strings.TrimRight(b.String(), " ") + "\n"
}

// valueText quotes what would not be read as one word.
func valueText(s string) string {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool {
		return r == ' ' || r == '"' || r == '=' || r == unicode.ReplacementChar || !unicode.IsPrint(r)
	}) {
		return strconv.Quote(s)
	}
	return s
}

// harmless replaces what a terminal would obey, and what would show as something else than it is.
func harmless(s string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
