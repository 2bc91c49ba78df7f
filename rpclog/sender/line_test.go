package sender

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"shoal/rpclog"
	"shoal/tests/bounds"
)

var noon = time.Date(2024, 2, 3, 12, 0, 0, 0, time.UTC)

func TestParseWhatZerologWrites(t *testing.T) {
	var w strings.Builder
	log := zerolog.New(&w)
	log.Warn().Str(rpclog.KeyUser, "ada").Str(rpclog.KeyOperation, "publish").Str(rpclog.KeyObject, `a "b" \ ü`).
		Str(rpclog.KeyOutcome, "ok").Str(rpclog.KeyRemote, "[::1]:7").Dur(rpclog.KeyDuration, 1500*time.Microsecond).
		Time("time", noon).Err(errors.New("oh\nno")).Ints("list", []int{1, 2}).Bool("b", true).
		Dict("in", zerolog.Dict().Str("x", `}],"`).Float64("f", -1.5e-9)).Uint64(rpclog.KeyLost, 9).Msg("did it\t")
	want := rpclog.Entry{
		Time: noon, Level: rpclog.Warn, Message: "did it\t", User: "ada", Operation: "publish", Object: `a "b" \ ü`,
		Outcome: "ok", Remote: "[::1]:7", Duration: 1500 * time.Microsecond,
		Fields: []rpclog.Field{
			{Name: "error", Value: `"oh\nno"`},
			{Name: "list", Value: "[1,2]"},
			{Name: "b", Value: "true"},
			{Name: "in", Value: `{"x":"}],\"","f":-1.5e-9}`},
			{Name: rpclog.KeyLost, Value: "9"}, // says nothing about the log itself
		},
	}
	var got rpclog.Entry
	parse(&got, zerolog.NoLevel, []byte(w.String()), time.Time{})
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
}

func TestParseOddLines(t *testing.T) {
	type entry = rpclog.Entry
	field := func(nameValue ...string) (list []rpclog.Field) {
		for i := 0; i < len(nameValue); i += 2 {
			list = append(list, rpclog.Field{Name: nameValue[i], Value: nameValue[i+1]})
		}
		return list
	}
	for line, want := range map[string]entry{
		"":                           {},
		"plain text\n":               {Message: "plain text"},
		`{"message":"cut`:            {Message: `{"message":"cut`},
		"bad \xff":                   {Message: "bad \uFFFD"},
		`[1]`:                        {Message: "[1]"},
		` { } `:                      {},
		`{"a":{}}`:                   {Fields: field("a", "{}")},
		`{ "a" : [ 1 ] , "b" : "" }`: {Fields: field("a", "[ 1 ]", "b", `""`)},
		`{"":null,"\u0061":1}`:       {Fields: field("", "null", "a", "1")},
		`{"user":7}`:                 {User: "7"},
		`{"user":"a","user":"b"}`:    {User: "a", Fields: field("user", `"b"`)},
		`{"message":"m","level":"loud","time":"soon"}`: {Message: "m", Fields: field("level", `"loud"`, "time", `"soon"`)},
		`{"time":1}`:                                      {Fields: field("time", "1")},
		`{"time":"9999-01-01T00:00:00Z"}`:                 {Fields: field("time", `"9999-01-01T00:00:00Z"`)},
		`{"duration":"1s","duration":1e300}`:              {Fields: field("duration", `"1s"`, "duration", "1e300")},
		`{"duration":0.25}`:                               {Duration: 250 * time.Microsecond},
		`{"level":"error"}`:                               {Level: rpclog.Error},
		`{"object":"x","nested":{"object":[{"a":"\""}]}}`: {Object: "x", Fields: field("nested", `{"object":[{"a":"\""}]}`)},
	} {
		if want.Level == 0 {
			want.Level = rpclog.Debug
		}
		want.Time = noon
		got := entry{Fields: field("left", "over")}
		parse(&got, zerolog.DebugLevel, []byte(line), noon)
		if len(got.Fields) == 0 {
			got.Fields = nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %+v\nwant %+v", line, got, want)
		}
	}
}

func TestLevels(t *testing.T) {
	for l := zerolog.TraceLevel; l <= zerolog.PanicLevel; l++ {
		if got := levelOf(l); got.String() != l.String() {
			t.Errorf("%v became %v", l, got)
		}
	}
	for _, l := range []zerolog.Level{zerolog.NoLevel, zerolog.Disabled, -2, 100} {
		if levelOf(l) != rpclog.NoLevel {
			t.Errorf("%d became %v", l, levelOf(l))
		}
	}
}

// Whatever a line is, an entry comes of it; of an object's members, as encoding/json reads them, none is left out.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"level":"info","a":[{"b":"}"}],"message":"m"}`, `{"\"":"\\"}`, "{", `{"a":1 ,"b":-1e5}`, "\xff", `{"a":""} `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		bounds.Hold(t, len(line), func() {
			var got rpclog.Entry
			parse(&got, zerolog.InfoLevel, line, noon)
			if trimmed := bytes.TrimSpace(line); len(trimmed) == 0 || trimmed[0] != '{' || !json.Valid(line) || !utf8.Valid(line) {
				return
			}
			want := rpclog.Entry{Time: noon, Level: rpclog.Info}
			d := json.NewDecoder(bytes.NewReader(line))
			for _, err := d.Token(); err == nil && d.More(); {
				var value json.RawMessage
				name, err := d.Token()
				if err = errors.Join(err, d.Decode(&value)); err != nil {
					t.Fatal(err)
				}
				if !place(&want, name.(string), string(value)) {
					want.Fields = append(want.Fields, rpclog.Field{Name: name.(string), Value: string(value)})
				}
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%q\n got %+v\nwant %+v", line, got, want)
			}
		})
	})
}
