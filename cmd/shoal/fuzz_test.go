package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"shoal"
	"shoal/client/swarm/simulation"
	"shoal/tests/bounds"
)

// FuzzShown shows people what others say, in each of the ways in which that is done: nothing that a terminal obeys, and no
// further line.
func FuzzShown(f *testing.F) {
	for _, name := range append(hostileNames, strangeNames...) {
		if len(name) < 1000 {
			f.Add(name)
		}
	}
	f.Add(`{"time":"2026-11-21T10:00:00Z","level":"\u001b[2J","message":"\u009b","duration":1e5,"fields":{"a\n":"\u202e","b":[1,"\u0007"]}}`)
	f.Add(`{"duration":"\u001b"}`)
	f.Add(`{"fields":{"x":null}}`)
	f.Fuzz(func(t *testing.T, text string) {
		bounds.Hold(t, len(text), func() {
			for how, shown := range map[string]string{
				"Printable": shoal.Printable(text), "errorText": errorText(errors.New(text)), "harmless": harmless(text), "valueText": valueText(text),
				"escaped": escaped(text), "entryText": strings.TrimSuffix(entryText([]byte(text)), "\n"),
			} {
				if strings.ContainsFunc(shown, obeyed) || !utf8.ValidString(shown) {
					t.Errorf("%s shows %q as %q", how, text, shown)
				}
			}
			var value, again any
			if json.Unmarshal([]byte(text), &value) == nil && utf8.ValidString(text) && !strings.ContainsRune(text, '\n') && !strings.ContainsRune(text, '\r') && !strings.ContainsRune(text, '\t') {
				if err := json.Unmarshal([]byte(escaped(text)), &again); err != nil {
					t.Errorf("%q becomes %q: %v", text, escaped(text), err)
				}
			}
		})
	})
}

// FuzzArguments reads what stands in command lines.
func FuzzArguments(f *testing.F) {
	for _, s := range append(append(hostileAddresses, hostileURLs...), "lab/a", "a/b/c", "90m", "2026-11-21T10:00:00Z", "500K", "none", "16GiB", "1.5M") {
		if len(s) < 1000 {
			f.Add(s)
		}
	}
	f.Fuzz(func(t *testing.T, s string) {
		bounds.Hold(t, len(s), func() {
			group, name, err := parseNamed(s)
			if err == nil && s != string(group)+"/"+string(name) && (s != string(name) || group != shoal.Public) {
				t.Errorf("%q is %q in %q", s, name, group)
			}
			var rate byteRate
			bytes, badSize := parseBytes(s)
			_, badTime := parseSince(s, time.Unix(1795255200, 0))
			for _, err := range []error{err, badSize, badTime, rate.Set(s), checkAddress(s), checkURL(s), checkPath(s), checkPattern(s)} {
				if err != nil && shoal.CodeOf(err) == shoal.Internal && !errors.Is(err, os.ErrNotExist) && len(errorText(err)) > longestError+10 {
					t.Errorf("%q: %q", s, err)
				}
			}
			if bytes < 0 || rate < 0 {
				t.Errorf("%q is %d bytes, and the rate %d", s, bytes, rate)
			}
		})
	})
}

// FuzzFiles reads the files that commands are given: passwords, and descriptions of swarms.
func FuzzFiles(f *testing.F) {
	path := filepath.Join(f.TempDir(), "file")
	for _, s := range []string{
		"", "secret\n", "\n\n", strings.Repeat("x", secretLimit), `{"size":1,"groups":[{"name":"a","count":2,"up":1,"delay":"5ms"}]}`, `{"size":-1}{}`, `{"groups":[{"count":1000000000}]}`,
		`{"limit":"99999999h"}`, "[[[[",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		bounds.Hold(t, len(content), func() {
			var c simulation.Config
			if err := readConfig(path, &c); err != nil && shoal.CodeOf(err) != shoal.BadRequest {
				t.Errorf("%q: %v has the code %v", content, err, shoal.CodeOf(err))
			}
			s := secrets{passwordFile: path}
			secrets, err := s.fromFile("one", "two")
			if err == nil && (len(secrets) != 2 || strings.ContainsAny(string(secrets[0])+string(secrets[1]), "\n")) {
				t.Errorf("%q has the secrets %q", content, secrets)
			}
			if _, err := readSecretLine(bufio.NewReaderSize(strings.NewReader(string(content)), secretLimit), "it"); err != nil && shoal.CodeOf(err) != shoal.BadRequest {
				t.Errorf("%q: %v", content, err)
			}
		})
	})
}
