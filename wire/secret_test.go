package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

const canary = "sParr0w-canary"

// carriers are the messages that have secrets, each of them the canary; other fields are empty.
func carriers(t *testing.T) (all []Message) {
	for k, row := range kinds {
		for _, fresh := range []func() Message{row.request, row.reply} {
			if fresh == nil {
				continue
			}
			m := fresh()
			v, found := reflect.ValueOf(m).Elem(), false
			for i := range v.NumField() {
				f, name := v.Field(i), v.Type().Field(i).Name
				_, secret := f.Interface().(Secret)
				if (name == "Password" || name == "Was" || name == "Code" && f.Kind() != reflect.Uint32) && !secret {
					t.Errorf("%v: %s is a %v, which shows itself", k, name, f.Type())
				}
				if secret {
					f.SetBytes([]byte(canary))
					found = true
				}
			}
			if found {
				all = append(all, m)
			}
		}
	}
	if len(all) != 3 {
		t.Fatalf("%d messages with secrets, not REGISTER, LOGIN and PASSWORD", len(all))
	}
	return all
}

// shows reports whether text has the canary, or a longer part of it, in one of the forms in which bytes are printed.
func shows(text string) bool {
	b := []byte(canary)
	decimals := strings.Trim(fmt.Sprint(b), "[]")
	for _, form := range []string{
		canary, canary[:8], canary[6:], hex.EncodeToString(b), decimals, strings.ReplaceAll(decimals, " ", ","), "0x73, 0x50", "73 50",
		base64.StdEncoding.EncodeToString(b)[:12],
	} {
		if strings.Contains(strings.ToLower(text), strings.ToLower(form)) {
			return true
		}
	}
	return false
}

func TestSecretsDoNotShow(t *testing.T) {
	for _, m := range carriers(t) {
		values := []any{m, reflect.ValueOf(m).Elem().Interface(), []any{m}, map[string]any{"m": m}, fmt.Errorf("with %+v", m)}
		for _, secret := range []Secret{Secret(canary), reflect.ValueOf(m).Elem().FieldByName("Password").Interface().(Secret)} {
			values = append(values, secret, &secret, []Secret{secret}, [1]Secret{secret}, struct{ S Secret }{secret})
		}
		for _, v := range values {
			for _, verb := range strings.Fields("%v %+v %#v %s %q %+q %x %X %#x %d %c %U %t %b %o %e %20s %-3.5s") {
				if text := fmt.Sprintf(verb, v); shows(text) {
					t.Errorf("%s of %T shows it: %s", verb, v, text)
				}
			}
			if text := fmt.Sprint(v) + fmt.Sprintln(v); shows(text) {
				t.Errorf("%T is printed as %s", v, text)
			}
			if text, err := json.Marshal(v); err != nil || shows(string(text)) {
				t.Errorf("%T in JSON: %s, %v", v, text, err)
			}
			var log bytes.Buffer
			logger := zerolog.New(&log)
			logger.Info().Interface("request", v).Any("again", v).Str("text", fmt.Sprint(v)).Msgf("%v", v)
			if shows(log.String()) || log.Len() == 0 {
				t.Errorf("%T in the log: %s", v, log.Bytes())
			}
		}
		if text, err := xml.Marshal(m); err != nil || shows(string(text)) {
			t.Errorf("%T in XML: %s, %v", m, text, err)
		}
	}
	s := Secret(canary)
	if shows(s.String()) || shows(s.GoString()) || string(s) != canary {
		t.Errorf("%s, %#v", s.String(), s.GoString())
	}
}

// Why a message cannot be decoded must not say what was in it.
func TestSecretsAreNotInErrors(t *testing.T) {
	for _, m := range carriers(t) {
		if user := reflect.ValueOf(m).Elem().FieldByName("User"); user.IsValid() {
			user.SetString("anna")
		}
		body := m.Append(nil)
		failures := 0
		for i := range body {
			flipped := bytes.Clone(body)
			flipped[i] ^= 0xff
			for _, wrong := range [][]byte{body[:i], flipped} {
				fresh := reflect.New(reflect.TypeOf(m).Elem()).Interface().(Message)
				if err := Decode(wrong, fresh); err != nil {
					failures++
					if shows(err.Error()) || shows(NewErrorReply(err).Text) {
						t.Errorf("%T: %v", m, err)
					}
				}
			}
		}
		if failures < len(body) {
			t.Errorf("%T: %d of %d wrong bodies are refused", m, failures, 2*len(body))
		}
	}
}

// Clearing a secret that was decoded clears the frame's body, too.
func TestSecretsAliasTheBody(t *testing.T) {
	c := received(t, AppendRequest(nil, KindLogin, 9, &Login{User: "anna", Password: Secret(canary)}), 1<<10)
	f, err := c.ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	var m Login
	if err := Decode(f.Body, &m); err != nil || string(m.Password) != canary {
		t.Fatalf("%q, %v", []byte(m.Password), err)
	}
	clear(m.Password)
	if shows(string(f.Body)) {
		t.Errorf("the body still has it: %q", f.Body)
	}
}
