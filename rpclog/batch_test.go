package rpclog

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	oracle "github.com/vmware/go-nfs-client/nfs/xdr"

	"shoal"
	"shoal/tests/bounds"
	"shoal/xdr"
)

// The structures of log.x, for an encoder that is not ours.
type (
	xField struct{ Name, Value string }
	xEntry struct {
		Time                                              int64
		Level                                             uint32
		Lost                                              uint64
		Message, User, Operation, Object, Outcome, Remote string
		Duration                                          int64
		Fields                                            []xField
	}
	xArgs struct {
		Device  [32]byte
		Process uint64
		First   uint64
		Sync    bool
		Entries []xEntry
		MAC     []byte
	}
)

var sampleKey = &Key{1, 2, 3}

func sample() (*Batch, xArgs) {
	b := &Batch{Sender: Sender{Device: shoal.DeviceID{7, 31: 9}, Process: 1 << 63}, First: 1 << 40, Sync: true, Entries: []Entry{
		{Time: time.Unix(0, -5).UTC(), Level: Panic, Lost: 1 << 50, Message: "m", User: "us", Operation: "ope", Object: "obje", Outcome: "outco", Remote: "remote", Duration: -7, Fields: []Field{{"a", "1"}, {"", `"xyz"`}}},
		{Time: time.Unix(0, 1<<60).UTC(), Level: NoLevel},
	}}
	x := xArgs{Device: b.Sender.Device, Process: b.Sender.Process, First: b.First, Sync: b.Sync}
	for _, e := range b.Entries {
		fields := []xField{}
		for _, f := range e.Fields {
			fields = append(fields, xField(f))
		}
		x.Entries = append(x.Entries, xEntry{
			e.Time.UnixNano(), uint32(e.Level), e.Lost, e.Message, e.User, e.Operation, e.Object, e.Outcome, e.Remote, int64(e.Duration), fields,
		})
	}
	return b, x
}

func seal(b *Batch, key *Key) []byte {
	var entries []byte
	for i := range b.Entries {
		entries = AppendEntry(entries, &b.Entries[i])
	}
	return Seal(b.Sender, b.First, b.Sync, len(b.Entries), entries, key)
}

// TestAgreement encodes a batch by another encoder, byte for byte as ours, and reads it back.
func TestAgreement(t *testing.T) {
	b, x := sample()
	for _, key := range []*Key{nil, sampleKey} {
		args := seal(b, key)
		x.MAC = []byte{}
		if key != nil {
			var signed bytes.Buffer
			if err := oracle.Write(&signed, &x); err != nil {
				t.Fatal(err)
			}
			h := hmac.New(sha256.New, key[:])
			h.Write([]byte("shoal-log/1 mac"))
			h.Write(signed.Bytes()[:signed.Len()-4]) // without the length of the MAC
			x.MAC = h.Sum(nil)
		}
		var want bytes.Buffer
		if err := oracle.Write(&want, &x); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(args, want.Bytes()) {
			t.Fatalf("ours  %x\ntheirs %x", args, want.Bytes())
		}
		got, verified, err := Open(args, sampleKey)
		if err != nil || verified != (key != nil) || !reflect.DeepEqual(got, b) {
			t.Errorf("%+v, %v, %v", got, verified, err)
		}
		if _, verified, err := Open(args, &Key{9}); verified || err != nil {
			t.Errorf("with another key: %v, %v", verified, err)
		}
		if _, verified, err := Open(args, nil); verified || err != nil {
			t.Errorf("without a key: %v, %v", verified, err)
		}
	}
	// All of a batch is proven.
	args := seal(b, sampleKey)
	for i := range len(args) - sha256.Size - 4 {
		changed := bytes.Clone(args)
		changed[i] ^= 1
		if _, verified, _ := Open(changed, sampleKey); verified {
			t.Errorf("byte %d changed, and still verified", i)
		}
	}
}

// TestResults agrees with another encoder about what is answered.
func TestResults(t *testing.T) {
	type stored struct {
		Status, Verified, Stored, Duplicates uint32
		Mark                                 uint64
	}
	type stats struct {
		Started                                                       int64
		Stored, Duplicates, Lost, Missing, Unverified, Refused, Bytes uint64
	}
	encode := func(v any) []byte {
		var b bytes.Buffer
		if err := oracle.Write(&b, v); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	r := Result{Verified: true, Stored: 5, Duplicates: 6, Mark: 1 << 33}
	got := AppendResult(nil, r)
	if want := encode(&stored{0, 1, 5, 6, 1 << 33}); !bytes.Equal(got, want) {
		t.Errorf("result: %x, want %x", got, want)
	}
	if back, err := DecodeResult(got); back != r || err != nil {
		t.Errorf("%+v, %v", back, err)
	}
	for _, s := range []Status{NoSpace, IO, Busy} {
		got := AppendResult(nil, Result{Status: s, Stored: 3})
		if back, err := DecodeResult(got); back != (Result{Status: s}) || err != nil || len(got) != 4 {
			t.Errorf("%v: %+v, %v", s, back, err)
		}
	}
	s := Stats{Started: -1, Stored: 1, Duplicates: 2, Lost: 3, Missing: 4, Unverified: 5, Refused: 6, Bytes: 7}
	got = AppendStats(nil, s)
	if want := encode(&stats{-1, 1, 2, 3, 4, 5, 6, 7}); !bytes.Equal(got, want) {
		t.Errorf("stats: %x, want %x", got, want)
	}
	if back, err := DecodeStats(got); back != s || err != nil {
		t.Errorf("%+v, %v", back, err)
	}
	for n := range len(got) {
		if _, err := DecodeStats(got[:n]); !errors.Is(err, xdr.ErrMalformed) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// TestLimits compares the constants of log.x with ours.
func TestLimits(t *testing.T) {
	text, err := os.ReadFile("log.x")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, m := range regexp.MustCompile(`(?m)^(?:const|\t|})\s*(?:\S+ )?(SHOAL_LOG_\w+)(?:\(\w+\))? = (\w+)[,;]?|^} = (\w+);`).FindAllStringSubmatch(string(text), -1) {
		name, number := m[1], m[2]
		if name == "" {
			name, number = "program", m[3]
		}
		if got[name], err = strconv.ParseInt(number, 0, 64); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]int64{
		"MAX_ARGS": MaxArgs, "MAX_ENTRIES": MaxEntries, "MAX_NAME": MaxName, "MAX_USER": MaxUser, "MAX_OBJECT": MaxObject,
		"MAX_REMOTE": MaxRemote, "MAX_TEXT": MaxText, "MAX_FIELDS": MaxFields,
		"OK": int64(OK), "NO_SPACE": int64(NoSpace), "IO": int64(IO), "BUSY": int64(Busy),
		"NULL": ProcNull, "APPEND": ProcAppend, "STATS": ProcStats, "NONE": int64(NoLevel),
	}
	for l := Trace; l < NoLevel; l++ {
		want[strings.ToUpper(l.String())] = int64(l)
	}
	all := map[string]int64{"program": Program}
	for name, v := range want {
		all["SHOAL_LOG_"+name] = v
	}
	if !reflect.DeepEqual(got, all) {
		t.Errorf("log.x has %v\nwe have   %v", got, all)
	}
	if !regexp.MustCompile(`version SHOAL_LOG_V1 {[^}]*} = ` + strconv.Itoa(Version) + `;`).Match(text) {
		t.Errorf("version %d is not in log.x", Version)
	}
}

// TestFull fills a batch to its limits, and goes beyond each.
func TestFull(t *testing.T) {
	long := strings.Repeat("é", 3000) // 6000 bytes
	e := Entry{Time: time.Unix(0, 0).UTC(), Level: 99, Message: long, User: long, Operation: long, Object: long, Outcome: long, Remote: long}
	for range MaxFields + 1 {
		e.Fields = append(e.Fields, Field{long, long})
	}
	b := &Batch{First: 1, Entries: []Entry{e}}
	got, _, err := Open(seal(b, nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	g := got.Entries[0]
	for s, limit := range map[string]int{g.Message: MaxText, g.User: MaxUser - 1, g.Operation: MaxName, g.Object: MaxObject, g.Remote: MaxRemote} {
		if s != long[:limit] {
			t.Errorf("a text was cut to %d bytes, want %d", len(s), limit)
		}
	}
	if len(g.Fields) != MaxFields || g.Fields[0] != (Field{long[:MaxName], long[:MaxText]}) || g.Level != NoLevel {
		t.Errorf("%d fields, level %d", len(g.Fields), g.Level)
	}
	b.Entries = make([]Entry, MaxEntries)
	for i := range b.Entries {
		b.Entries[i] = Entry{Time: time.Unix(0, 0).UTC()}
	}
	if _, _, err := Open(seal(b, sampleKey), nil); err != nil {
		t.Errorf("as many entries as there may be: %v", err)
	}
	b.Entries = append(b.Entries, Entry{Time: time.Unix(0, 0)})
	if _, _, err := Open(seal(b, sampleKey), nil); !errors.Is(err, xdr.ErrMalformed) {
		t.Errorf("one more: %v", err)
	}
}

// TestHostile refuses what breaks a rule, however little of it.
func TestHostile(t *testing.T) {
	good, _ := sample()
	args := seal(good, sampleKey)
	for n := range args {
		if _, _, err := Open(args[:n], sampleKey); !errors.Is(err, xdr.ErrMalformed) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
	change := func(do func(b []byte)) []byte {
		b := bytes.Clone(args)
		do(b)
		return b
	}
	const first, sync, count = 40, 48, 52
	for name, b := range map[string][]byte{
		"too long":         make([]byte, MaxArgs+1),
		"longer":           append(bytes.Clone(args), 0, 0, 0, 0),
		"number 0":         change(func(b []byte) { clear(b[first : first+8]) }),
		"numbers wrap":     change(func(b []byte) { copy(b[first:], bytes.Repeat([]byte{0xFF}, 8)) }),
		"no boolean":       change(func(b []byte) { b[sync+3] = 2 }),
		"too many entries": change(func(b []byte) { b[count+2] = 0xFF }),
		"a level too high": change(func(b []byte) { b[count+4+8+3] = 8 }),
		"padding":          change(func(b []byte) { b[count+4+8+4+8+4+1] = 1 }),
		"a long MAC":       append(bytes.Clone(args[:len(args)-36]), append([]byte{0, 0, 0, 36}, make([]byte, 36)...)...),
	} {
		if _, _, err := Open(b, sampleKey); !errors.Is(err, xdr.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	short := append(bytes.Clone(args[:len(args)-36]), 0, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0)
	if _, verified, err := Open(short, sampleKey); verified || err != nil {
		t.Errorf("a short MAC: %v, %v", verified, err)
	}
}

// FuzzOpen decodes what strangers send. What is accepted is encoded again to the same bytes.
func FuzzOpen(f *testing.F) {
	b, _ := sample()
	f.Add(seal(b, nil))
	f.Add(seal(b, sampleKey))
	f.Add(seal(&Batch{First: 1}, nil))
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xFF}, 100))
	f.Fuzz(func(t *testing.T, args []byte) {
		bounds.Hold(t, len(args), func() {
			b, verified, err := Open(args, sampleKey)
			if err != nil {
				if !errors.Is(err, xdr.ErrMalformed) || b != nil || verified {
					t.Fatalf("%v, %v, %v", b, verified, err)
				}
				return
			}
			signed := seal(b, nil)
			signed = signed[:len(signed)-4]
			if !bytes.HasPrefix(args, signed) {
				t.Errorf("%x is encoded again to %x", args, signed)
			}
			if again := seal(b, sampleKey); verified != bytes.Equal(again, args) {
				t.Errorf("verified %v: %x", verified, args)
			}
		})
	})
}

// FuzzResult reads what a service answers.
func FuzzResult(f *testing.F) {
	f.Add(AppendResult(nil, Result{Status: OK, Verified: true, Stored: 3, Mark: 9}))
	f.Add(AppendResult(nil, Result{Status: Busy}))
	f.Add(AppendStats(nil, Stats{Stored: 7}))
	f.Fuzz(func(t *testing.T, b []byte) {
		bounds.Hold(t, len(b), func() {
			if r, err := DecodeResult(b); err == nil && !bytes.Equal(AppendResult(nil, r), b) {
				t.Errorf("%x is read as %+v", b, r)
			}
			if s, err := DecodeStats(b); err == nil && !bytes.Equal(AppendStats(nil, s), b) {
				t.Errorf("%x is read as %+v", b, s)
			}
		})
	})
}
