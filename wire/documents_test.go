package wire

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"shoal"
	"shoal/wire/spec"
)

// The mutations are the messages whose first member is a sequence number.
func TestMutations(t *testing.T) {
	s := loadSpec(t)
	for _, k := range s.Kinds {
		row := kinds[Kind(k.Number)]
		want := s.Types[k.Request] != nil && s.Types[k.Request].Fields[0].Name == "sequence"
		if got := Sequence(row.request()); (got != nil) != want {
			t.Errorf("%s has a sequence number: %t", k.Name, want)
		}
	}
}

func TestKindsAgreeWithDocument(t *testing.T) {
	s := loadSpec(t)
	if len(s.Kinds) != len(kinds) {
		t.Errorf("%d kinds in PROTOCOL.md, %d in the code", len(s.Kinds), len(kinds))
	}
	if s.ErrorLimit != errorLimit {
		t.Errorf("an error_reply of %d bytes in PROTOCOL.md, of %d in the code", s.ErrorLimit, errorLimit)
	}
	enum := s.Types["kind"]
	for _, row := range s.Kinds {
		k, known := kinds[Kind(row.Number)]
		if !known || k.name != row.Name || enum.Values["KIND_"+row.Name] != row.Number {
			t.Errorf("%s is %d in PROTOCOL.md, %d in shoal.x, and %d is %q in the code",
				row.Name, row.Number, enum.Values["KIND_"+row.Name], row.Number, k.name)
			continue
		}
		if k.event != row.Event() || uint64(k.requestLimit) != row.RequestLimit || uint64(k.replyLimit) != row.ReplyLimit {
			t.Errorf("%s: %+v in PROTOCOL.md, event %v, %d and %d bytes in the code", row.Name, row, k.event, k.requestLimit, k.replyLimit)
		}
		checkBody(t, s, row.Name, row.Request, row.RequestLimit, k.request)
		checkBody(t, s, row.Name, row.Reply, row.ReplyLimit, k.reply)
	}
	if len(enum.Values) != len(s.Kinds) {
		t.Errorf("%d kinds in shoal.x", len(enum.Values))
	}
}

// checkBody holds a cell of the table of kinds against the message that the code makes for it.
func checkBody(t *testing.T, s *spec.Spec, kind, typ string, limit uint64, make func() Message) {
	if (typ == "") != (make == nil) {
		t.Errorf("%s: the body %q in PROTOCOL.md, another in the code", kind, typ)
		return
	}
	if typ == "" {
		return
	}
	if isEmpty(make()) != (typ == "empty") {
		t.Errorf("%s: the body %q in PROTOCOL.md, %T in the code", kind, typ, make())
	}
	if typ == "empty" {
		if limit != 0 {
			t.Errorf("%s: %d bytes of nothing", kind, limit)
		}
		return
	}
	if s.Types[typ] == nil {
		t.Errorf("%s: shoal.x has no %s", kind, typ)
		return
	}
	if typ == "piece_head" {
		limit -= shoal.MaxBlock
	}
	most := s.Types[typ].MaxSize()
	if typ == "announce" { // who has more bitfields than go into one frame sends several
		most -= MaxOffers * maxBitfield
	}
	if most > limit {
		t.Errorf("%s: a %s has up to %d bytes, more than the %d allowed", kind, typ, most, limit)
	}
}

// isEmpty reports whether a message is one without members.
func isEmpty(m Message) bool { return reflect.TypeOf(m).Elem().NumField() == 0 }

func TestEveryStructHasItsMessage(t *testing.T) {
	s := loadSpec(t)
	elsewhere := []string{ // identity's
		"transcript", "statement", "signed_part", "server_key", "candidate", "candidates", "ticket_key", "ticket", "successor", "revoked",
	}
	parts := []string{
		"object", "facts", "entry", "source", "offer", "span", "user_entry", "device_entry", "group_entry", "member_entry", "reported",
	}
	for _, name := range s.Order {
		if s.Types[name].Class != spec.Struct || slices.Contains(elsewhere, name) || slices.Contains(parts, name) {
			continue
		}
		if name != "error_reply" && !slices.ContainsFunc(s.Kinds, func(k spec.Kind) bool { return k.Request == name || k.Reply == name }) {
			t.Errorf("no kind carries %s", name)
		}
	}
}

func TestCodesAgreeWithDocument(t *testing.T) {
	codes := loadSpec(t).Codes
	for name, number := range codes {
		if got := shoal.Code(number).Error(); got != name {
			t.Errorf("code %d is %s in PROTOCOL.md and %s in the code", number, name, got)
		}
	}
	known := 0
	for number := range shoal.Code(1000) {
		if number.Known() {
			known++
		}
	}
	if known != len(codes) {
		t.Errorf("%d codes in PROTOCOL.md, %d in the code", len(codes), known)
	}
}

func TestConstantsAgreeWithSchema(t *testing.T) {
	s := loadSpec(t)
	inCode := map[string]uint64{
		"VERSION": Version, "MAX_NAME": shoal.MaxName, "MAX_GROUP": shoal.MaxGroup, "MAX_TEXT": maxText,
		"MAX_SOFTWARE": maxSoftware, "MAX_HOST": maxHost, "MAX_STATEMENT": MaxStatement, "MAX_PIECES": shoal.MaxPieces,
		"MAX_SIBLINGS": maxSiblings, "MAX_SOURCES": MaxSources, "MAX_LIST": MaxList, "MAX_OFFERS": MaxOffers, "MAX_MISSING": MaxMissing, "MAX_HAVE": MaxHave, "MAX_RECORDS": MaxRecords,
		"MAX_VALUES": maxValues, "MAX_HEAD": shoal.MaxHead, "MAX_FACT": shoal.MaxFact, "MAX_USER": maxUser,
		"MAX_OPERATION": maxOperation, "MAX_GREP": MaxGrep, "MAX_CURSOR": MaxCursor, "MAX_LINES": MaxLines,
		"MAX_USERNAME": MaxUsername, "MAX_PASSWORD": MaxPassword, "MAX_CODE": MaxCode, "MAX_LABEL": MaxLabel, "MAX_DEVICES": MaxDevices,
		"MAX_MIRRORS": shoal.MaxMirrors, "MAX_URL": shoal.MaxMirror, "MAX_KEPT": maxKept,
	}
	for name, value := range s.Consts {
		got, ok := inCode[name]
		if name == "MAX_CANDIDATES" {
			continue // of statements, which package identity reads
		}
		if !ok || got != value {
			t.Errorf("%s is %d in shoal.x and %d in the code", name, value, got)
		}
	}
	for path, want := range map[[2]string]uint64{
		{"join_reply", "bitfield"}: maxBitfield, {"offer", "bitfield"}: maxBitfield, {"manifest_reply", "tail"}: maxTail,
		{"join", "ticket"}: MaxStatement, {"announce", "candidates"}: MaxStatement, {"renew", "ticket"}: MaxStatement, {"exchange", "record"}: MaxStatement,
		{"ticket_reply", "ticket"}: MaxStatement, {"revocation", "chain"}: MaxStatement,
		{"registration", "password"}: MaxPassword, {"login", "password"}: MaxPassword, {"password_change", "was"}: MaxPassword, {"password_change", "password"}: MaxPassword, {"registration", "code"}: MaxCode,
	} {
		fields := s.Types[path[0]].Fields
		i := slices.IndexFunc(fields, func(f spec.Field) bool { return f.Name == path[1] })
		if i < 0 || fields[i].Type.Length != want {
			t.Errorf("%v is not bounded by %d in shoal.x", path, want)
		}
	}
	for enum, ends := range map[string][2]uint64{
		"service": {1, uint64(ServicePeer)}, "security": {1, uint64(Plaintext)}, "lookup_by": {1, byFile},
		"facts_state": {0, uint64(shoal.Withheld)}, "log_level": {0, lastLevel},
		"account_verb": {1, uint64(RevokeDevice)}, "group_verb": {1, uint64(TransferGroup)}, "group_role": {0, uint64(RoleOwner)},
		"members_which": {1, uint64(MembersAsking)}, "epoch_reason": {0, uint64(EpochDeleted)}, "gone_reason": {1, uint64(GoneStopped)},
	} {
		for i, name := range s.Types[enum].Names {
			if s.Types[enum].Values[name] != uint64(i)+ends[0] || uint64(len(s.Types[enum].Names)) != ends[1]-ends[0]+1 {
				t.Errorf("%s is not %d to %d in shoal.x", enum, ends[0], ends[1])
			}
		}
	}
	for enum, value := range map[string]func(uint64) fmt.Stringer{
		"account_verb":  func(v uint64) fmt.Stringer { return AccountVerb(v) },
		"group_verb":    func(v uint64) fmt.Stringer { return GroupVerb(v) },
		"group_role":    func(v uint64) fmt.Stringer { return Role(v) },
		"members_which": func(v uint64) fmt.Stringer { return MembersWhich(v) },
		"epoch_reason":  func(v uint64) fmt.Stringer { return EpochReason(v) },
		"gone_reason":   func(v uint64) fmt.Stringer { return GoneReason(v) },
	} {
		for _, name := range s.Types[enum].Names {
			_, want, _ := strings.Cut(strings.ToLower(name), "_")
			if got := value(s.Types[enum].Values[name]).String(); got != want {
				t.Errorf("%s is %q in the code", name, got)
			}
		}
	}
	for i, name := range s.Types["facts_state"].Names {
		if state := strings.ToLower(strings.TrimPrefix(name, "FACTS_")); shoal.FactsState(i).String() != state {
			t.Errorf("facts are %v in the code and %s in shoal.x", shoal.FactsState(i), name)
		}
	}
}

// The fields of every message stand in the order of shoal.x, which the vectors' test relies on; so do their names.
func TestFieldNames(t *testing.T) {
	s := loadSpec(t)
	for _, v := range loadFrames(t) {
		h := Header{Kind: kindNamed(t, v.Kind), Flags: Flags(v.Flags), ID: v.ID}
		m := reflect.TypeOf(NewMessage(h)).Elem()
		if v.Type == "empty" || v.Type == "lookup" { // a union is not one field in Go
			continue
		}
		var want []string
		for _, f := range s.Types[v.Type].Fields {
			name := strings.ReplaceAll(f.Name, "_", "")
			if name == "protocol" {
				name = "version" // which shoal.x must not say
			}
			want = append(want, name)
		}
		got := fieldNames(m)
		if v.Type == "join" { // group and object make a swarm
			want = []string{"group", "object", "ticket", "picky"}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s has %v in shoal.x and %v in the code", v.Type, want, got)
		}
	}
}

func fieldNames(t reflect.Type) (names []string) {
	for f := range t.Fields() {
		if f.Anonymous || f.Name == "Swarm" {
			names = append(names, fieldNames(f.Type)...)
		} else {
			names = append(names, strings.ToLower(f.Name))
		}
	}
	return names
}

func kindNamed(t testing.TB, name string) Kind {
	for k, row := range kinds {
		if row.name == name {
			return k
		}
	}
	t.Fatalf("no kind %s", name)
	return 0
}

// shoal.x is what it says: rpcgen, the language's own compiler, takes it, and a C compiler takes what rpcgen makes.
func TestSchemaCompiles(t *testing.T) {
	rpcgen, err := exec.LookPath("rpcgen")
	if err != nil {
		t.Skip("rpcgen is not installed")
	}
	schema, err := os.ReadFile("shoal.x")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "shoal.x"), schema, 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) {
		t.Helper()
		c := exec.Command(name, args...)
		c.Dir = dir
		if message, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", c, err, message)
		}
	}
	run(rpcgen, "-h", "-o", "shoal.h", "shoal.x")
	run(rpcgen, "-c", "-o", "shoal.c", "shoal.x")
	const headers = "/usr/include/tirpc"
	cc, err := exec.LookPath("cc")
	if _, missing := os.Stat(headers); err != nil || missing != nil {
		t.Skip("no C compiler, or no libtirpc")
	}
	run(cc, "-fsyntax-only", "-I", headers, "shoal.c")
}
