package wire

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	oracle "github.com/vmware/go-nfs-client/nfs/xdr"

	"shoal"
)

// Every message, with random values, is encoded as by go-nfs-client's encoder, which goes by reflection, and decodes to
// itself.
func TestAgreesWithOracle(t *testing.T) {
	const seed = 20260101
	for k, row := range kinds {
		for i, fresh := range []func() Message{row.request, row.reply, func() Message { return new(ErrorReply) }} {
			if fresh == nil || row.event && i > 0 {
				continue
			}
			r := &random{rand.New(rand.NewPCG(seed, uint64(k)))}
			for range 200 {
				m := fresh()
				r.fill(reflect.ValueOf(m).Elem(), "")
				r.repair(m)
				compareWithOracle(t, m, fresh())
				if t.Failed() {
					return
				}
			}
		}
	}
}

func compareWithOracle(t *testing.T, m, decoded Message) {
	t.Helper()
	var want bytes.Buffer
	if err := oracle.Write(&want, oracleForm(m)); err != nil {
		t.Fatal(err)
	}
	got := m.Append([]byte("before"))[len("before"):]
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%T is encoded\n%x, not\n%x", m, head(got), head(want.Bytes()))
		return
	}
	if err := Decode(got, decoded); err != nil {
		t.Errorf("%T: %v\n%x", m, err, head(got))
	} else if !reflect.DeepEqual(decoded, m) {
		t.Errorf("%+v is decoded as\n%+v", m, decoded)
	}
}

// oracleForm is m as the oracle encodes it: itself, but for the union.
func oracleForm(m Message) any {
	l, ok := m.(*Lookup)
	if !ok {
		return m
	}
	type lookup struct {
		Group string
		By    uint32   `xdr:"union"`
		Name  string   `xdr:"unioncase=1"`
		File  [32]byte `xdr:"unioncase=2"`
	}
	if l.Name != "" {
		return lookup{Group: string(l.Group), By: 1, Name: string(l.Name)}
	}
	return lookup{Group: string(l.Group), By: 2, File: l.File}
}

// random fills messages with values that the rules allow.
type random struct{ *rand.Rand }

func (r *random) fill(v reflect.Value, field string) {
	switch v.Interface().(type) {
	case Service, Security:
		v.SetUint(1 + r.Uint64N(2))
		return
	case shoal.Facts:
		v.Set(reflect.ValueOf(r.facts()))
		return
	case shoal.Name:
		v.SetString(r.label(shoal.MaxName))
		return
	case shoal.Group:
		v.SetString(r.label(shoal.MaxGroup))
		return
	case shoal.Mirror:
		v.SetString(fmt.Sprintf("https://example.com:%d/a%%20b?c=%d", 1+r.IntN(65535), r.Uint64()))
		return
	}
	switch field {
	case "User", "Owner":
		v.SetString(r.label(MaxUsername))
		return
	case "Label", "After":
		v.SetString([]string{"", r.label(MaxUsername)}[r.IntN(2)])
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		r.fill(v.Elem(), field)
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(r.Uint64() >> r.IntN(64) & (1<<v.Type().Bits() - 1))
	case reflect.Int64:
		v.SetInt(int64(r.Uint64()))
		if field == "Size" {
			v.SetInt(r.Int64N(shoal.MaxSize + 1))
		}
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 1)
	case reflect.String:
		v.SetString(r.label(64)[1:])
	case reflect.Struct:
		for i := range v.NumField() {
			r.fill(v.Field(i), v.Type().Field(i).Name)
		}
	case reflect.Array:
		for i := range v.Len() {
			v.Index(i).SetUint(r.Uint64N(256))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), r.IntN(20), 20))
		for i := range v.Len() {
			if v.Type().Elem().Kind() == reflect.Uint8 {
				v.Index(i).SetUint(r.Uint64N(256))
			} else {
				r.fill(v.Index(i), "")
			}
		}
	}
}

func (r *random) facts() shoal.Facts {
	if state := shoal.FactsState(r.Uint64N(4)); state < shoal.Known {
		return shoal.Facts{State: state}
	}
	return shoal.Facts{
		State: shoal.Known + shoal.FactsState(r.Uint64N(2)), MediaType: r.label(shoal.MaxFact), Category: r.label(20)[1:],
		Encoding: r.label(20)[1:], Width: r.Uint32(), Height: r.Uint32(), Archive: r.label(20)[1:], Platform: r.label(shoal.MaxFact),
	}
}

// label is a valid name of at most limit bytes.
func (r *random) label(limit int) string {
	letters := []rune("abcXYZ 09._-äß€漢🐋\u200d'\"")
	var b strings.Builder
	b.WriteByte('n')
	for n := r.IntN(limit); b.Len() < n; {
		letter := string(letters[r.IntN(len(letters))])
		if b.Len()+len(letter) > limit {
			break
		}
		b.WriteString(letter)
	}
	return b.String()
}

// repair keeps the few rules that hold between the fields of a message.
func (r *random) repair(m Message) {
	switch m := m.(type) {
	case *List:
		m.Limit = 1 + m.Limit%MaxList
	case *Users:
		m.Limit = 1 + m.Limit%MaxList
	case *Groups:
		m.Limit = 1 + m.Limit%MaxList
	case *GroupsReply:
		for i := range m.Entries {
			m.Entries[i].Role %= RoleOwner + 1
		}
	case *Members:
		m.Limit = 1 + m.Limit%MaxList
		m.Which = 1 + m.Which%MembersAsking
	case *Account:
		if m.Verb = 1 + m.Verb%RevokeDevice; m.Verb == DeleteUser {
			m.Device = shoal.DeviceID{}
		} else {
			m.User = ""
		}
	case *GroupChange:
		m.Verb = 1 + m.Verb%TransferGroup
		if !m.Verb.NamesUser() {
			m.User = ""
		}
		if m.Grace %= MaxGrace + 1; m.Verb != CreateGroup {
			m.Grace = 0
		}
	case *Epoch:
		m.Reason %= EpochDeleted + 1
	case *Gone:
		m.Reason = 1 + m.Reason%GoneStopped
	case *Publish:
		m.Head = make([]byte, r.IntN(2)*m.Content.HeadSize())
		if m.Mirrors = m.Mirrors[:min(len(m.Mirrors), shoal.MaxMirrors)]; len(m.Mirrors) == 0 {
			m.Manifest = []byte{}
		}
	case *Log:
		m.Level %= lastLevel + 1
	case *Lookup:
		if r.IntN(2) == 0 {
			m.Name = ""
		} else {
			m.File = shoal.FileID{}
		}
	case *Exchange:
		m.Most %= MaxRecords + 1
	case *Announce:
		for i := range m.Offers {
			m.Offers[i].Bitfield, m.Offers[i].Pieces = r.bitfield(m.Offers[i].Swarm.Object.Pieces())
		}
	case *ListReply:
		for i := range m.Entries {
			m.Entries[i].Availability = r.availability(m.Entries[i].Content)
		}
	case *LookupReply:
		m.Mirrors = m.Mirrors[:min(len(m.Mirrors), shoal.MaxMirrors)]
		m.Missing = []shoal.Span{}
		if m.Availability = r.availability(m.Content); m.Least == 0 {
			missing := m.Content.Pieces() - int(m.Above)
			m.Missing = append(m.Missing, shoal.Span{First: r.Uint32N(m.Above + 1), Count: uint32(missing)})
		}
	case *JoinReply:
		if m.Whole {
			m.Bitfield = []byte{}
		}
	}
}

// bitfield is some of so many pieces; no bitfield for none or all of them.
func (r *random) bitfield(pieces int) (b shoal.Bitfield, has uint32) {
	b = shoal.NewBitfield(pieces)
	for range r.IntN(2 * pieces) {
		i := r.IntN(pieces)
		b.Set(i)
	}
	if has = uint32(b.Count()); has == 0 || int(has) == pieces {
		b = shoal.Bitfield{}
	}
	return b, has
}

func (r *random) availability(of shoal.Object) shoal.Availability {
	a := shoal.Availability{Whole: r.Uint32N(2), Partial: r.Uint32N(3)}
	a.Least = a.Whole
	if a.Partial > 0 {
		a.Least += r.Uint32N(a.Partial)
		a.Above = r.Uint32N(uint32(of.Pieces()))
	}
	return a
}
