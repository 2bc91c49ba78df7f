package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/wire"
)

// raw is a device's connection, on which a test says what it likes.
type raw struct {
	h    *household
	conn *identity.Established
}

// dial connects as the device with a state folder.
func (h *household) dial(who, address string, wanted wire.Service) *raw {
	h.t.Helper()
	key, err := identity.LoadKey(filepath.Join(h.dir, who, "device.key"))
	if err != nil {
		h.t.Fatal(err)
	}
	nc, err := net.Dial("tcp", address)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { nc.Close() })
	conn, err := identity.Initiator{
		Key: key, Wanted: wanted, Transport: identity.Transport{Security: wire.TLS}, Accept: func(*wire.HelloReply) error { return nil },
	}.Open(h.t.Context(), nc)
	if err != nil {
		h.t.Fatal(err)
	}
	return &raw{h, conn}
}

// ask sends a request, and returns the error that answers it.
func (r *raw) ask(kind wire.Kind, m, reply wire.Message) error {
	r.h.t.Helper()
	if _, err := r.conn.Write(wire.AppendRequest(nil, kind, 7, m)); err != nil {
		r.h.t.Fatal(err)
	}
	for {
		f, err := r.conn.ReadFrame()
		if err != nil {
			r.h.t.Fatalf("instead of the reply to %v: %v", kind, err)
		}
		switch {
		case !f.IsReply(): // an event
			continue
		case f.Flags&wire.FlagError == 0:
			if err := wire.Decode(f.Body, reply); err != nil {
				r.h.t.Fatal(err)
			}
			return nil
		}
		var refusal wire.ErrorReply
		if err := wire.Decode(f.Body, &refusal); err != nil {
			r.h.t.Fatal(err)
		}
		return refusal.Err()
	}
}

// ticket is a device's own, of a group.
func (r *raw) ticket(group shoal.Group) []byte {
	r.h.t.Helper()
	var reply wire.TicketReply
	if err := r.ask(wire.KindTicket, &wire.TicketRequest{Group: group}, &reply); err != nil {
		r.h.t.Fatal(err)
	}
	return bytes.Clone(reply.Ticket)
}

// Bob, who is in the lab, learns the FileID of what ann has in the attic. To publish that in the lab, where nobody has it,
// brings him nowhere; and at ann's peer no ticket does but one of the attic, and that only to whom it was given.
func TestContentNeverHeld(t *testing.T) {
	h := newHousehold(t)
	h.people()
	h.must("ann", "", "group", "create", "attic")
	h.peer("ann")
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, bytes.Repeat([]byte("content "), 1<<15), 0o600); err != nil {
		t.Fatal(err)
	}
	h.must("ann", "", "publish", file, "--group", "attic")
	ann, bob := h.dial("ann", h.address, wire.ServiceServer), h.dial("bob", h.address, wire.ServiceServer)
	var found wire.LookupReply
	if err := ann.ask(wire.KindLookup, &wire.Lookup{Group: "attic", Name: "secret"}, &found); err != nil || len(found.Sources) != 1 {
		t.Fatalf("%d sources in the attic: %v", len(found.Sources), err)
	}
	at, err := identity.VerifyCandidates(found.Sources[0].Candidates, found.Sources[0].Device, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	object, host := found.Content, at[0].Addr.String()

	if err := bob.ask(wire.KindLookup, &wire.Lookup{Group: "attic", File: object.ID}, &found); shoal.CodeOf(err) != shoal.NotFound {
		t.Errorf("in a group that he is not in: %v", err)
	}
	claim := &wire.Publish{Sequence: uint64(time.Now().UnixNano()), Group: "lab", Name: "mine", Content: object}
	if err := bob.ask(wire.KindPublish, claim, &wire.MutationReply{}); err != nil {
		t.Fatal(err)
	}
	if err := bob.ask(wire.KindLookup, &wire.Lookup{Group: "lab", File: object.ID}, &found); err != nil || len(found.Sources) != 0 || found.Whole != 0 {
		t.Errorf("a claim has %d sources: %v", len(found.Sources), err)
	}
	h.fails(4, "", "bob", "", "get", "lab/mine", "-o", filepath.Join(t.TempDir(), "mine"), "--timeout", "100ms")

	ofLab, ofAttic := bob.ticket("lab"), ann.ticket("attic")
	forged := bytes.Clone(ofAttic)
	forged[len(forged)-1] ^= 1
	peer := h.dial("bob", host, wire.ServicePeer)
	var texts []string
	for _, try := range []struct {
		what   string
		group  shoal.Group
		ticket []byte
	}{
		{"his own ticket of the lab", "lab", ofLab},
		{"his own ticket of the lab, for the attic", "attic", ofLab},
		{"ann's ticket of the attic", "attic", ofAttic},
		{"ann's ticket of the attic, for the lab", "lab", ofAttic},
		{"a forged one", "attic", forged},
		{"half of one", "attic", ofAttic[:len(ofAttic)/2]},
		{"two together", "attic", append(bytes.Clone(ofLab), ofAttic...)},
		{"none", "attic", nil},
	} {
		err := peer.ask(wire.KindJoin, &wire.Join{Swarm: shoal.Swarm{Group: try.group, Object: object}, Ticket: try.ticket}, &wire.JoinReply{})
		if shoal.CodeOf(err) != shoal.NotFound {
			t.Errorf("by %s: %v", try.what, err)
			continue
		}
		if try.group == "attic" {
			texts = append(texts, err.Error())
		}
	}
	for _, text := range texts {
		if text != texts[0] {
			t.Errorf("told apart: %q, %q", text, texts[0])
		}
	}
	if err := h.dial("ann", host, wire.ServicePeer).ask(wire.KindJoin,
		&wire.Join{Swarm: shoal.Swarm{Group: "attic", Object: object}, Ticket: ofAttic}, &wire.JoinReply{}); err != nil {
		t.Errorf("to whom the ticket was given: %v", err)
	}
}
