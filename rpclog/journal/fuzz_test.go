package journal

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/rpclog"
	"shoal/tests/bounds"
	"shoal/tests/names"
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

// FuzzQuery asks a log whatever can be asked: where to go on, since when, and which pattern. The answer is whole lines, or an
// error that blames the question.
func FuzzQuery(f *testing.F) {
	dir := f.TempDir()
	j, err := Open(dir, Limits{}, zerolog.Nop())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { j.Close() })
	for n := range 20 {
		b := &rpclog.Batch{Sender: sender(3), First: uint64(1 + n), Entries: []rpclog.Entry{{Time: time.Unix(int64(n), 0), Message: strings.Repeat("m", n), User: "ann"}}}
		if _, err := j.Append(b, true, Origin{}); err != nil {
			f.Fatal(err)
		}
	}
	f.Add("a1.0", "", "", int64(0), 0)
	f.Add("a1.5", "m+", "ann", int64(5), 3)
	f.Add("", "(a|b)*c", "", int64(-1), -1)
	f.Add("a9223372036854775807.9223372036854775807", "", "", int64(1<<62), 1<<40)
	f.Add("", strings.Repeat(`m{0,1000}`, 110)+"x", "", int64(0), 0)
	f.Add("", strings.Repeat(`\pL{1000}`, 110), "", int64(0), 5)
	f.Add("a1.-1", "(", "\xff", int64(0), 1)
	f.Fuzz(func(t *testing.T, after, grep, user string, since int64, last int) {
		bounds.Hold(t, len(after)+len(grep)+len(user), func() {
			p, err := j.Query(t.Context(), rpclog.Query{After: after, Grep: grep, User: user, Since: time.Unix(0, since), Last: last})
			if err != nil {
				if !errors.Is(err, shoal.BadRequest) {
					t.Errorf("%v has the code %v", err, shoal.CodeOf(err))
				}
				return
			}
			for _, line := range p.Lines {
				if !json.Valid(line) {
					t.Errorf("%q", line)
				}
			}
			if _, err := j.Query(t.Context(), rpclog.Query{After: p.Next}); err != nil {
				t.Errorf("going on at %q: %v", p.Next, err)
			}
		})
	})
}

// FuzzFiles opens a folder with files that were damaged, or are no log at all, reads them from both ends, and goes on.
func FuzzFiles(f *testing.F) {
	line := `{"time":"2026-11-21T12:00:00.000000000Z","level":"info","device":"` + sender(3).Device.String() + `","process":3,"seq":7,"message":"m"}` + "\n"
	marks, err := newMarks(8).line()
	if err != nil {
		f.Fatal(err)
	}
	packed, err := newCompressor().member(block{lines: []byte(line), end: int64(len(line))})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed, append(slices.Clone(marks), line...))
	f.Add(packed[:len(packed)-3], []byte(line+line[:20]))
	f.Add(slices.Concat(packed, packed), []byte("{\n\n\x00"))
	f.Fuzz(func(t *testing.T, older, newer []byte) {
		dir := t.TempDir()
		for name, content := range map[string][]byte{"log-2026-11-20-000001.jsonl.gz": older, "log-2026-11-21-000002.jsonl": newer} {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		bounds.Hold(t, len(older)+len(newer), func() {
			j, err := Open(dir, Limits{}, zerolog.Nop())
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range []rpclog.Query{{}, {Last: 5}, {Since: time.Unix(1795255200, 0)}} {
				if _, err := j.Query(t.Context(), q); err != nil && !errors.Is(err, errDamaged) {
					t.Errorf("%+v: %v", q, err)
				}
			}
			if err := j.Close(); err != nil {
				t.Error(err)
			}
		})
	})
}

// Hostile names in each part of an entry, and of who sent it, are text of one line in the log.
func TestHostileNamesInLines(t *testing.T) {
	for _, name := range names.Hostile() {
		e := rpclog.Entry{
			Message: name, User: name, Operation: name, Object: name, Outcome: name, Remote: name,
			Fields: []rpclog.Field{{Name: name, Value: name}, {Name: "f", Value: `{"x":"` + name + `"}`}},
		}
		r := newRequest(&rpclog.Batch{Sender: sender(9), First: 3, Entries: []rpclog.Entry{e}}, Origin{Address: name, System: &System{Machine: name}})
		line, rest, _ := strings.Cut(string(r.lines), "\n")
		if rest != "" || !json.Valid([]byte(line)) {
			t.Errorf("%.100q leads to %.300q", name, r.lines)
		}
		checkLine(t, line)
		r.release()
	}
}
