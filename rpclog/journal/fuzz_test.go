package journal

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"shoal/rpclog"
	"shoal/tests/bounds"
)

// FuzzLine makes lines of what strangers say: JSON that says the same, in one line, with nothing that a terminal obeys.
func FuzzLine(f *testing.F) {
	for _, s := range []string{"", "a", `{"x":[1,"\u001b",{}]}`, "\x1b]0;x\x07", "\xff\xc2\x9b\xe2\x80\xa8", "\"\u2029\x7f\"", "[[", "-0.5e+1", "01", "nul", "{\n}", `"\\"`, `"\`} {
		f.Add(s, s, int64(1795255200000000005), int64(1500), uint64(3), uint32(2))
	}
	f.Fuzz(func(t *testing.T, text, value string, at, duration int64, lost uint64, level uint32) {
		e := rpclog.Entry{
			Time: time.Unix(0, at), Level: min(rpclog.Level(level), rpclog.NoLevel), Lost: lost, Message: text, User: text, Operation: value, Duration: time.Duration(duration),
			Fields: []rpclog.Field{{Name: "f", Value: value}},
		}
		b := &rpclog.Batch{Sender: sender(9), First: 3, Entries: []rpclog.Entry{e, {Time: time.Unix(0, at)}}}
		clean := strings.ToValidUTF8(text, "\uFFFD")
		asked := rpclog.Query{User: clean, Operation: strings.ToValidUTF8(value, "\uFFFD")}
		var stored string
		bounds.Hold(t, len(text)+len(value), func() {
			r := newRequest(b, Origin{Address: text, System: &System{Machine: text}})
			defer r.release()
			stored = string(r.lines)
			match, err := newFilter(asked)
			if err != nil || text == clean && utf8.ValidString(value) && !match.match(r.lines[:strings.Index(stored, "\n")]) {
				t.Errorf("%q does not match its own user and operation, %v", stored, err)
			}
		})
		lines := strings.Split(stored, "\n")
		if len(lines) != 3 || lines[2] != "" {
			t.Fatalf("%d lines: %q", len(lines)-1, lines)
		}
		checkLine(t, lines[0])
		l := decode(t, []byte(lines[0]))
		if strings.Count(clean, "\uFFFD") == strings.Count(text, "\uFFFD") && (l.Message != clean || l.User != clean || l.From.Address != clean || l.From.AuthSys.Machine != clean) {
			t.Errorf("%q is stored as %q", text, l.Message)
		}
		if !l.Time.Equal(e.Time) || l.Level != e.Level.String() || l.Lost != lost || l.Seq != 3 || l.Device != sender(9).Device || l.Process != 9 {
			t.Errorf("%+v is stored as %+v", e, l)
		}
		checkValue(t, value, l.Fields["f"])
		h, ok := parseHead([]byte(lines[0]))
		if !ok || h.seq != 3 || h.process != 9 || string(h.level) != e.Level.String() || string(h.time) != timeText(e.Time) {
			t.Errorf("the head of %q: %+v", lines[0], h)
		}
	})
}

// checkLine checks that a line is text, with nothing that a terminal obeys.
func checkLine(t *testing.T, line string) {
	t.Helper()
	if !utf8.ValidString(line) {
		t.Fatalf("not UTF-8: %q", line)
	}
	for _, c := range line {
		if unicode.IsControl(c) || c == 0x2028 || c == 0x2029 {
			t.Fatalf("%q in %q", c, line)
		}
	}
}

// checkValue compares a field's value, as it was sent, with what is stored of it.
func checkValue(t *testing.T, sent string, stored json.RawMessage) {
	t.Helper()
	var got, want any
	if err := json.Unmarshal(stored, &got); err != nil {
		t.Fatal(err)
	}
	if json.Unmarshal([]byte(sent), &want) != nil && !json.Valid([]byte(sent)) || tooDeep([]byte(sent)) {
		if text, ok := got.(string); !ok || utf8.ValidString(sent) && text != sent {
			t.Errorf("%q is stored as %q", sent, stored)
		}
		return
	}
	a, errA := json.Marshal(got)
	b, errB := json.Marshal(want)
	if errA == nil && errB == nil && utf8.ValidString(sent) && string(a) != string(b) {
		t.Errorf("%q is stored as %q", sent, stored)
	}
}
