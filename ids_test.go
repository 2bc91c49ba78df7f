package shoal

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestFileIDText(t *testing.T) {
	var id FileID
	for i := range id {
		id[i] = byte(i * 9)
	}
	s := id.String()
	if want := "0009121b242d363f48515a636c757e879099a2abb4bdc6cfd8e1eaf3fc050e17"; s != want {
		t.Errorf("printed as %s, not %s", s, want)
	}
	for _, spelled := range []string{s, strings.ToUpper(s)} {
		if got, err := ParseFileID(spelled); err != nil || got != id {
			t.Errorf("%s: %v, %v", spelled, got, err)
		}
	}
	for _, wrong := range []string{"", s[1:], s + "0", s[:63] + "g", s[:63] + " ", " " + s, s + "\n", "0x" + s[2:], s[:62] + "ä"} {
		if _, err := ParseFileID(wrong); !errors.Is(err, BadRequest) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

// Any 32 bytes have one text form.
func TestKeyText(t *testing.T) {
	for _, key := range [][32]byte{{}, {0: 1}, {31: 1}, {31: 0x80}, {0: 0xff, 15: 0x5a, 31: 0xff}} {
		s := DeviceID(key).String()
		if s != RealmKey(key).String() || len(s) != 52 || s != strings.ToLower(s) {
			t.Errorf("printed as %q", s)
		}
		for _, spelled := range []string{s, strings.ToUpper(s)} {
			if got, err := ParseDeviceID(spelled); err != nil || got != DeviceID(key) {
				t.Errorf("%s: %v, %v", spelled, got, err)
			}
			if got, err := ParseRealmKey(spelled); err != nil || got != RealmKey(key) {
				t.Errorf("%s: %v, %v", spelled, got, err)
			}
		}
		// The last character has 4 bits too many: 15 of 16 values of it are other spellings of the same key.
		accepted := 0
		for _, last := range "abcdefghijklmnopqrstuvwxyz234567" {
			if got, err := ParseDeviceID(s[:51] + string(last)); err == nil && got == DeviceID(key) {
				accepted++
			}
		}
		if accepted != 1 {
			t.Errorf("%s has %d spellings", s, accepted)
		}
		wrong := []string{
			"", s[1:], s + "a", s + "====", s[:51] + "1", s[:51] + "8", " " + s[1:], s + "\n", s[:26] + "\n" + s[26:],
			s[:51] + "\u017f", s[:49] + "\u212a",
		}
		for _, wrong := range wrong {
			if _, err := ParseDeviceID(wrong); !errors.Is(err, BadRequest) {
				t.Errorf("%q: %v", wrong, err)
			}
			if _, err := ParseRealmKey(wrong); !errors.Is(err, BadRequest) {
				t.Errorf("%q: %v", wrong, err)
			}
		}
	}
}

func TestIDsInJSON(t *testing.T) {
	type both struct {
		File   FileID
		Device DeviceID
		Held   map[FileID]int
	}
	want := both{FileID{1}, DeviceID{2}, map[FileID]int{{3}: 4}}
	text, err := json.Marshal(want)
	if err != nil || !strings.Contains(string(text), want.File.String()) || !strings.Contains(string(text), want.Device.String()) {
		t.Fatalf("%s, %v", text, err)
	}
	var got both
	if err := json.Unmarshal(text, &got); err != nil || got.File != want.File || got.Device != want.Device || got.Held[FileID{3}] != 4 {
		t.Errorf("%+v, %v", got, err)
	}
	for _, wrong := range []string{`{"File":"12"}`, `{"Device":"12"}`} {
		if err := json.Unmarshal([]byte(wrong), &got); !errors.Is(err, BadRequest) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}
