package tracker

import (
	"bytes"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"shoal"
	"shoal/wire"
)

// heads are what was published by name since the last time, as the server got it.
func (s *server) heads() map[shoal.Name]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := map[shoal.Name]string{}
	for _, p := range s.published {
		got[p.Name] = string(p.Head)
	}
	s.published = nil
	return got
}

// A sample is read whenever a file is published, and only what rule S8 allows is sent of it.
func TestSample(t *testing.T) {
	within(t, func(t *testing.T, s *server) {
		tr, _ := s.track(nil)
		is := func(b string) Sample { return func() []byte { return []byte(b) } }
		var now atomic.Value
		now.Store("abc")
		long := shoal.Object{ID: shoal.FileID{9}, Size: 5000}
		full := strings.Repeat("x", shoal.MaxHead)
		for _, p := range []struct {
			name   shoal.Name
			object shoal.Object
			sample Sample
		}{
			{"changing", object(3), func() []byte { return []byte(now.Load().(string)) }},
			{"withheld", object(3), nil},
			{"unreadable", object(3), is("")},
			{"short", object(3), is("ab")},
			{"too long", object(3), is("abcd")},
			{"head", long, is(full)},
			{"more than a head", long, is(full + "x")},
			{"empty", shoal.Object{ID: shoal.FileID{8}}, is("")},
		} {
			must(t, tr.Publish(t.Context(), shoal.Public, p.name, p.object, p.sample))
		}
		want := map[shoal.Name]string{"changing": "abc", "head": full}
		check := func() {
			t.Helper()
			got := s.heads()
			if len(got) != 8 {
				t.Errorf("published %d names", len(got))
			}
			for name, head := range got {
				if head != want[name] {
					t.Errorf("%s: published with %d bytes: %.10q", name, len(head), head)
				}
			}
		}
		check()
		now.Store("xyz")
		want["changing"] = "xyz"
		s.hangUp()
		s.set(true)
		time.Sleep(time.Minute)
		s.set(false)
		must(t, tr.Ping(t.Context()))
		synctest.Wait()
		check()
	})
}

func TestLog(t *testing.T) {
	within(t, func(t *testing.T, s *server) {
		tr, _ := s.track(nil)
		answer := wire.LogReply{Lines: []byte("{}\n"), Next: "n", More: true}
		s.answerBy(func(f wire.Frame) ([]byte, bool, bool) {
			var m wire.Log
			if wire.Decode(f.Body, &m) != nil || m.Grep != "what" {
				return wire.AppendError(nil, f.Kind, f.ID, shoal.Denied), true, false
			}
			return wire.AppendReply(nil, f.Kind, f.ID, &answer), true, false
		})
		got, err := tr.Log(t.Context(), &wire.Log{Grep: "what"})
		must(t, err)
		if !bytes.Equal(got.Lines, answer.Lines) || got.Next != "n" || !got.More {
			t.Errorf("got %+v", got)
		}
		_, err = tr.Log(t.Context(), &wire.Log{})
		wantCode(t, err, shoal.Denied)
	})
}
