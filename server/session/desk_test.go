package session

import (
	"testing"

	"shoal/wire"
)

// What was to be sent before there was a desk is sent first; a silent session has nothing of a desk, and two that speak have
// two.
func TestDesk(t *testing.T) {
	a, b := &Session{out: []byte("an event")}, new(Session)
	a.sit()
	b.sit()
	if a.desk == b.desk {
		t.Fatal("two sessions at one desk")
	}
	a.out, b.out = append(a.out, " and a reply"...), append(b.out, "another"...)
	if string(a.out) != "an event and a reply" || string(b.out) != "another" {
		t.Errorf("%q and %q are to be sent", a.out, b.out)
	}
	d := a.desk
	d.sources = append(d.sources, wire.Source{Candidates: []byte("c")})[:0]
	d.found.Name = "n"
	for _, s := range []*Session{a, b} {
		if s.rise(); s.desk != nil || s.out != nil {
			t.Error("a silent session keeps a buffer")
		}
	}
	if d.sources[:1][0].Candidates != nil || d.found.Name != "" {
		t.Error("a desk keeps what was answered")
	}
	s := &Session{out: make([]byte, keepReplies+1)}
	s.sit()
	d = s.desk
	if s.rise(); cap(d.out) > keepReplies {
		t.Errorf("a buffer of %d bytes is kept", cap(d.out))
	}
}
