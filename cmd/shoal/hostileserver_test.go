package main

import (
	"context"
	"encoding/binary"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/tests/names"
	"shoal/wire"
)

// lying is a server that is of the realm, and puts a name wherever it can.
type lying struct {
	t       *testing.T
	address string
	realm   shoal.RealmKey

	mu   sync.Mutex // guards the rest
	name string
	how  int
}

// The ways of lying.
const (
	inReplies = iota
	inErrors
	inBye
	lies
)

func newLying(t *testing.T) *lying {
	realm, key := identity.NewKey(), identity.NewKey()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &lying{t: t, address: l.Addr().String(), realm: realm.Public()}
	responder := identity.Responder{
		Key: key, Serves: wire.ServiceServer, Transport: identity.Transport{Security: wire.Plaintext}, NextSession: func() uint64 { return 1 },
		Certificate: func() []byte { return identity.CertifyServer(realm, key.Public(), time.Now(), time.Hour) },
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer nc.Close()
				if c, err := responder.Accept(context.Background(), nc); err == nil {
					s.serve(c)
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	return s
}

func (s *lying) lie(name string, how int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.name, s.how = name, how
}

func (s *lying) serve(c *identity.Established) {
	for {
		f, err := c.ReadFrame()
		if err != nil || f.ID == 0 {
			return
		}
		s.mu.Lock()
		name, how := s.name, s.how
		s.mu.Unlock()
		reply := wire.AppendReply(nil, f.Kind, f.ID, lyingReply(f.Kind, name))
		switch how {
		case inErrors:
			reply = wire.AppendReply(nil, f.Kind, f.ID, &wire.ErrorReply{Code: shoal.NotFound, Text: name})
			binary.BigEndian.PutUint16(reply[6:], uint16(wire.FlagReply|wire.FlagError))
		case inBye:
			reply = wire.AppendEvent(nil, wire.KindBye, &wire.Bye{Code: shoal.BadRequest, Text: name})
		}
		if _, err := c.Write(reply); err != nil {
			return
		}
	}
}

// lyingReply has the name in the place of one.
func lyingReply(kind wire.Kind, name string) wire.Message {
	switch kind {
	case wire.KindList:
		return &wire.ListReply{Entries: []wire.Entry{{Name: shoal.Name(name), Facts: &shoal.Facts{}}}}
	case wire.KindLookup:
		return &wire.LookupReply{Name: shoal.Name(name), Facts: &shoal.Facts{}}
	case wire.KindGroups:
		return &wire.GroupsReply{Entries: []wire.GroupEntry{{Group: shoal.Group(name), Owner: "ann", Role: wire.RoleMember}}}
	case wire.KindUsers:
		return &wire.UsersReply{Entries: []wire.UserEntry{{User: name}}}
	case wire.KindDevices:
		return &wire.DevicesReply{Entries: []wire.DeviceEntry{{Label: name}}}
	case wire.KindMembers:
		return &wire.MembersReply{Entries: []wire.MemberEntry{{User: name}}}
	case wire.KindWhoami:
		return &wire.WhoamiReply{User: "ann", Label: name}
	}
	return &wire.Empty{}
}

// A server that puts hostile names into what it answers gets nothing written, and nothing shown that a terminal obeys.
func TestHostileServer(t *testing.T) {
	a := newAttacker(t)
	s := newLying(t)
	lines := [][]string{
		{"ls", "lab"},
		{"get", shoal.FileID{}.String(), "-o", filepath.Join(a.dir, "got") + "/"},
		{"info", "lab/x"},
		{"group", "list"},
		{"user", "list"},
		{"device", "list"},
		{"group", "members", "lab"},
		{"whoami"},
		{"ls", "lab", "--json"},
		{"get", "lab/x", "-o", filepath.Join(a.dir, "got")},
	}
	state := filepath.Join(t.TempDir(), "state")
	to := []string{"--server", s.address, "--pin", s.realm.String(), "--state", state, "--plaintext"}
	s.lie("x", inReplies)
	for _, line := range lines {
		if r := a.run("", append(slices.Clone(line), to...)); r.code != 0 && line[0] != "get" {
			t.Errorf("shoal %q fails without a hostile name, too: %s", line, r.stderr)
		}
	}
	before := a.everything()
	for i, name := range names.Hostile() {
		if len(name) > 4096 || i%2 > 0 { // no frame takes it; and package wire's tests send all of them
			continue
		}
		s.lie(name, i/2/len(lines)%lies)
		a.refuses([]int{1, 2, 3, 5, 8, 9}, "", append(slices.Clone(lines[i/2%len(lines)]), to...))
	}
	if after := a.everything(); after != before {
		t.Errorf("there was:\n%s\nand now there is:\n%s", before, after)
	}
}
