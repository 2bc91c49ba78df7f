package identity

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"shoal"
)

// wantRefused fails the test unless err is the refusal and has the code.
func wantRefused(t *testing.T, err error, code shoal.Code, why Refusal) {
	t.Helper()
	if shoal.CodeOf(err) != code || !errors.Is(err, why) {
		t.Errorf("got error %v (%v), want %v because %v", err, shoal.CodeOf(err), code, why)
	}
}

func TestTicketSigned(t *testing.T) {
	r := newRealm()
	device := NewKey()
	for name, change := range map[string]func(*Ticket){
		"no group":        func(t *Ticket) { t.Group = "" },
		"a group's path":  func(t *Ticket) { t.Group = "../lab" },
		"no user":         func(t *Ticket) { t.User = "" },
		"too long":        func(t *Ticket) { t.Expires = t.Expires.Add(time.Millisecond) },
		"no time":         func(t *Ticket) { t.Expires = t.Issued },
		"the wrong way":   func(t *Ticket) { t.Expires = t.Issued.Add(-time.Second) },
		"a long grace":    func(t *Ticket) { t.Grace = MaxGrace + time.Second },
		"a grace below 0": func(t *Ticket) { t.Grace = -time.Second },
	} {
		bad := ticketFor(device)
		change(&bad)
		if _, err := SignTicket(r.tickets, r.ticketsOwn, bad); shoal.CodeOf(err) != shoal.BadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	odd := ticketFor(device)
	odd.Issued = odd.Issued.Add(time.Microsecond)
	b := sign(t, r, odd)
	got, err := r.authority().VerifyTicket(b, demandOf(device))
	must(t, err)
	if !got.Issued.Equal(noon) {
		t.Errorf("issued at %v", got.Issued)
	}
}

// The rule of offline grace by itself.
func TestTicketLasts(t *testing.T) {
	ticket := Ticket{Issued: noon, Expires: noon.Add(10 * time.Minute), Grace: 12 * time.Hour}
	for _, c := range []struct {
		at        time.Duration
		reachable bool
		want      bool
	}{
		{0, true, true},
		{0, false, true},
		{10*time.Minute - 1, true, true},
		{10 * time.Minute, true, false},
		{10 * time.Minute, false, true},
		{12*time.Hour + 10*time.Minute - 1, false, true},
		{12*time.Hour + 10*time.Minute, false, false},
		{12*time.Hour + 10*time.Minute - 1, true, false},
		{1000 * time.Hour, false, false},
	} {
		if got := ticket.Lasts(noon.Add(c.at), c.reachable); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	ticket.Grace = 0
	if ticket.Lasts(noon.Add(10*time.Minute), false) {
		t.Error("a ticket without grace outlives its expiry")
	}
}

// A ticket with any bit changed, or cut anywhere, is refused.
func TestTicketFlipped(t *testing.T) {
	r := newRealm()
	device := NewKey()
	good := sign(t, r, ticketFor(device))
	a := r.authority()
	if _, err := a.VerifyTicket(good, demandOf(device)); err != nil {
		t.Fatal(err)
	}
	for i := range len(good) {
		flipped := bytes.Clone(good)
		flipped[i] ^= 1 << rand.IntN(8)
		if _, err := a.VerifyTicket(flipped, demandOf(device)); shoal.CodeOf(err) != shoal.Untrusted {
			t.Fatalf("byte %d of %d changed: %v", i, len(good), err)
		}
		if _, err := a.VerifyTicket(good[:i], demandOf(device)); shoal.CodeOf(err) != shoal.Untrusted {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
}

// What a hostile length promises costs nothing.
func TestTicketCost(t *testing.T) {
	r := newRealm()
	big := bytes.Repeat(r.ticketsOwn, 1<<20/len(r.ticketsOwn))
	a, d := r.authority(), demandOf(NewKey())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		_, _ = a.VerifyTicket(big, d)
	}
	runtime.ReadMemStats(&after)
	if cost := (after.TotalAlloc - before.TotalAlloc) / 100; cost > 8<<10 {
		t.Errorf("%d bytes allocated for what is refused by its number of statements", cost)
	}
}

func BenchmarkVerifyTicket(b *testing.B) {
	r := newRealm()
	device := NewKey()
	ticket, d := sign(b, r, ticketFor(device)), demandOf(device)
	for name, authority := range map[string]func() *Authority{
		"first": r.authority, // of a ticket key: its certificate is checked, too
		"next":  func() func() *Authority { a := r.authority(); return func() *Authority { return a } }(),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := authority().VerifyTicket(ticket, d); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSignTicket(b *testing.B) {
	r := newRealm()
	ticket := ticketFor(NewKey())
	for b.Loop() {
		if _, err := SignTicket(r.tickets, r.ticketsOwn, ticket); err != nil {
			b.Fatal(err)
		}
	}
}
