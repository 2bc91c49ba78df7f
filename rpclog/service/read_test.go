package service

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"shoal"
	"shoal/rpclog"
	"shoal/tests/bounds"
)

// TestRead pages through what is stored, and gets errors as they are.
func TestRead(t *testing.T) {
	s := start(t, Config{})
	var messages []string
	for range 200 {
		messages = append(messages, strings.Repeat("m", 2000))
	}
	if _, err := s.append(s.target("tcp"), s.key, 1, messages...); err != nil {
		t.Fatal(err)
	}
	page, err := Read(t.Context(), s.Socket(), rpclog.Query{})
	if err != nil || !page.More || len(page.Lines) >= 200 || len(page.Lines) < 100 {
		t.Errorf("%d lines, more %v, %v", len(page.Lines), page.More, err)
	}
	for q, want := range map[*rpclog.Query]int{{}: 200, {Last: 7}: 7, {Since: time.Unix(150, 0)}: 50, {Unverified: true}: 0} {
		if got := s.read(*q); len(got) != want {
			t.Errorf("%+v: %d lines, want %d", *q, len(got), want)
		}
	}
	if _, err := Read(t.Context(), s.Socket(), rpclog.Query{Grep: "("}); !errors.Is(err, shoal.BadRequest) || !strings.Contains(err.Error(), "regular expression") {
		t.Errorf("a bad query: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Read(ended, s.Socket(), rpclog.Query{}); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	if _, err := Read(t.Context(), filepath.Join(t.TempDir(), "none", "log.sock"), rpclog.Query{}); !errors.Is(err, shoal.Unreachable) {
		t.Errorf("no folder: %v", err)
	}
}

// TestHalfAnswer does not take a part of an answer for all of it.
func TestHalfAnswer(t *testing.T) {
	whole := "{\"time\":1}\n{\"time\":2}\n{\"next\":\"l1.5\",\"more\":true}\n"
	want := rpclog.Page{Lines: [][]byte{[]byte(`{"time":1}`), []byte(`{"time":2}`)}, Next: "l1.5", More: true}
	if got, err := readPage(strings.NewReader(whole)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for n := range len(whole) {
		if _, err := readPage(strings.NewReader(whole[:n])); !errors.Is(err, shoal.Unreachable) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// FuzzPage reads what is said at the socket of a log service.
func FuzzPage(f *testing.F) {
	for _, s := range []string{"", "{}\n", "{\"x\":1}\n{\"next\":\"a1.0\",\"more\":true}\n", "{\"error\":{\"code\":3,\"text\":\"\\u001b[2J\"}}\n", "\n\n{\"next\":\"x\"}\n", "{\"next\":\"x\"}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		bounds.Hold(t, len(b), func() {
			p, err := readPage(bytes.NewReader(b))
			if err == nil && (p.Next == "" || len(p.Lines) > bytes.Count(b, []byte("\n"))) {
				t.Errorf("%q is read as %+v", b, p)
			}
		})
	})
}
