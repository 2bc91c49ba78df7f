package wire

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"

	"shoal"
	"shoal/tests/names"
)

// texts are the strings in messages that are no labels: what they may have is said beside each.
var texts = map[string]string{
	"ErrorReply.Text": "shown as printable", "Bye.Text": "shown as printable", "Withdraw.Text": "shown as printable", "Hello.Software": "UTF-8, and never shown",
	"HelloReply.Software": "UTF-8, and never shown", "AuthReply.Observed": "an address or nothing", "Log.User": "compared", "Log.Operation": "compared", "Log.Grep": "compiled",
	"Log.After": "opaque", "LogReply.Next": "opaque",
}

// stringsIn calls each with the strings in v that are not empty, of lists those of the first element.
func stringsIn(path string, v reflect.Value, each func(path string, v reflect.Value)) {
	switch v.Kind() {
	case reflect.String:
		if v.Len() > 0 {
			each(path, v)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			stringsIn(path, v.Elem(), each)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				stringsIn(path+"."+v.Type().Field(i).Name, f, each)
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Uint8 && v.Len() > 0 {
			stringsIn(path, v.Index(0), each)
		}
	}
}

// No message with a hostile name in it is read, wherever in it that is: neither side has to look again.
func TestHostileNamesInMessages(t *testing.T) {
	hostile := names.Hostile()
	hostileTexts := slices.DeleteFunc(names.Hostile(), func(name string) bool {
		_, err := shoal.ParseName(strings.NewReplacer("/", "-", `\`, "-").Replace("x" + name))
		return err == nil
	})
	places := map[string]bool{}
	valid, _ := seeds(t)
	for _, b := range valid {
		h, err := ParseHeader(b)
		if err != nil || len(b) > 4<<10 {
			continue
		}
		m := NewMessage(h)
		if err := Decode(b[HeaderSize:], m); err != nil {
			continue // a PIECE
		}
		stringsIn(strings.TrimPrefix(fmt.Sprintf("%T", m), "*wire."), reflect.ValueOf(m).Elem(), func(path string, v reflect.Value) {
			if texts[path] != "" || places[path] {
				return
			}
			places[path] = true
			was, all := v.String(), hostile
			if strings.Contains(path, ".Facts.") { // of which some have a separator
				all = hostileTexts
			}
			for _, name := range all {
				v.SetString(name)
				if err := Decode(m.Append(nil), NewMessage(h)); shoal.CodeOf(err) != shoal.BadRequest {
					t.Errorf("%s of %.100q is read: %v", path, name, err)
					break
				}
			}
			v.SetString(was)
			if err := Decode(m.Append(nil), NewMessage(h)); err != nil {
				t.Errorf("%s of %q is not read: %v", path, was, err)
			}
		})
	}
	if len(places) < 40 {
		t.Errorf("only %d places for names: %v", len(places), places)
	}
}

// What the other side says of an error, a goodbye or a withdrawal is shown without what a terminal obeys.
func TestHostileTexts(t *testing.T) {
	for _, text := range names.Hostile() {
		for _, err := range []error{
			(&ErrorReply{shoal.Busy, text}).Err(), (&Bye{shoal.Busy, text}).Err(), (&Withdraw{Code: shoal.Changed, Text: text}).Err(),
		} {
			if strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) && r != unicode.ReplacementChar }) {
				t.Errorf("%q is shown as %q", text, err)
			}
		}
	}
}
