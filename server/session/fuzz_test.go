package session

import (
	"context"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/server/meta"
	"shoal/tests/bounds"
	"shoal/tests/frames"
	"shoal/wire"
	"shoal/wire/wiretest"
)

// Whatever a client sends, the session ends in order.
func FuzzSession(f *testing.F) {
	f.Add(wire.AppendRequest(nil, wire.KindPing, 3, &wire.Empty{}))
	f.Add(wire.AppendRequest(nil, wire.KindPublish, 3, &wire.Publish{Sequence: 1, Group: shoal.Public, Name: "a", Content: objectOf(1)}))
	f.Add(wire.AppendRequest(nil, wire.KindUnpublish, 3, &wire.Unpublish{Sequence: 2, Group: shoal.Public, Name: "a", File: objectOf(1).ID}))
	f.Add(wire.AppendRequest(nil, wire.KindList, 3, &wire.List{Group: shoal.Public, Limit: 1000}))
	f.Add(wire.AppendRequest(nil, wire.KindLookup, 3, &wire.Lookup{Group: shoal.Public, Name: "a"}))
	f.Add(wire.AppendRequest(nil, wire.KindAnnounce, 3, &wire.Announce{Offers: []wire.Offer{offerOf(1, 1)}}))
	f.Add(wire.AppendEvent(nil, wire.KindBye, &wire.Bye{}))
	h, key := newState(f).serve(newHost(overPlaintext)), identity.NewKey()
	enrol(f, h, key)
	f.Fuzz(func(t *testing.T, b []byte) {
		bounds.Hold(t, len(b), func() {
			c := connect(t, h, key)
			c.Send(b)
			must(t, c.nc.(interface{ CloseWrite() error }).CloseWrite())
			if err := <-c.ended; err == nil {
				t.Error("ended without a reason")
			}
			for {
				f, err := c.conn.ReadFrame()
				if err != nil {
					if err != io.EOF {
						t.Errorf("the replies end with %v", err)
					}
					return
				}
				if err := wire.Decode(f.Body, wire.NewMessage(f.Header)); err != nil {
					t.Errorf("%v cannot be read: %v", f.Header, err)
				}
			}
		})
	})
}

// FuzzAccept begins at the first byte: HELLO, or what is none, and then AUTH, which no fuzzer can sign.
func FuzzAccept(f *testing.F) {
	hello := wire.AppendRequest(nil, wire.KindHello, 1, &wire.Hello{Version: 1, Wanted: wire.ServiceServer, Secured: wire.Plaintext, Software: "x"})
	f.Add(hello)
	f.Add(append(slices.Clone(hello), wire.AppendRequest(nil, wire.KindAuth, 2, &wire.Auth{})...))
	f.Add(append(slices.Clone(hello), hello...))
	f.Add(wire.AppendEvent(nil, wire.KindBye, &wire.Bye{Code: shoal.Busy, Text: "\x1b[2J"}))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"))
	h := newHost(overPlaintext)
	f.Fuzz(func(t *testing.T, b []byte) {
		bounds.Hold(t, len(b), func() {
			synctest.Test(t, func(t *testing.T) {
				a, served := wiretest.Pipe()
				ended := serve(t.Context(), h, served)
				_, err := a.Write(b)
				must(t, err)
				time.Sleep(identity.HandshakeTimeout + time.Second)
				synctest.Wait()
				select {
				case err := <-ended:
					if err == nil {
						t.Error("ended without a reason")
					}
				default:
					t.Error("who proves nothing is still waited for (rule H2)")
				}
				a.Close()
			})
		})
	})
}

// asked are the kinds that FuzzFrames makes requests and events of, those that break a rule last.
var asked = []wire.Kind{
	wire.KindPing, wire.KindPublish, wire.KindUnpublish, wire.KindList, wire.KindLookup, wire.KindAnnounce, wire.KindLog, wire.KindRegister,
	wire.KindLogin, wire.KindLogout, wire.KindWhoami, wire.KindUsers, wire.KindDevices, wire.KindAccount, wire.KindGroup, wire.KindGroups,
	wire.KindMembers, wire.KindInvite, wire.KindStopShare, wire.KindTicket, wire.KindPassword, wire.KindReport, wire.KindReports,
	wire.KindKeptManifest, wire.KindCancel, wire.KindAnnounce, wire.KindLookup, wire.KindList, wire.KindGroup, wire.KindPublish,
	wire.KindBye, wire.KindHello, wire.KindAuth, wire.KindJoin, wire.KindHave, wire.KindEpoch,
}

// devices of FuzzFrames: who asks, another member, and nobody's.
var (
	asker, other, stranger = identity.NewKey(), identity.NewKey(), identity.NewKey()
	published              = time.Unix(1795255200, 0)
)

// peopled fills a host with two users, two groups and some names.
func peopled(h *Host) {
	var events []meta.Event
	for _, r := range []meta.Record{
		&meta.User{Name: "ann", Admin: true, Created: published}, &meta.User{Name: "bob"},
		&meta.Device{ID: asker.Device(), User: "ann", Label: "a"}, &meta.Device{ID: other.Device(), User: "bob"},
		&meta.Group{Name: "lab", Owner: "ann", First: 3, Epoch: 3}, &meta.Member{Group: "lab", User: "ann"}, &meta.Member{Group: "lab", User: "bob"},
		&meta.Group{Name: "club", Owner: "bob", First: 4, Epoch: 4}, &meta.Member{Group: "club", User: "bob"}, &meta.JoinRequest{Group: "club", User: "ann"},
		&meta.Object{Group: "lab", Name: "a", Content: objectOf(1), Publisher: "ann", Shared: true},
		&meta.Object{Group: shoal.Public, Name: "a", Content: objectOf(1), Publisher: "bob", Shared: true, Mirrors: []shoal.Mirror{"http://a/"}},
		&meta.Object{Group: shoal.Public, Name: "b", Content: objectOf(2), Publisher: "bob"},
	} {
		events = append(events, meta.Event{Record: r})
	}
	h.Registry.Apply(events, 7)
}

// mutated stands for the state behind the registry: it does what can be seen at once, and refuses the rest.
func mutated(h *Host) func(context.Context, meta.ID, meta.Mutation) (meta.Outcome, error) {
	return func(_ context.Context, id meta.ID, m meta.Mutation) (meta.Outcome, error) {
		revision := h.Registry.Revision() + 1
		e := meta.Event{Deleted: true}
		switch m := m.(type) {
		case *meta.Publish:
			e = meta.Event{Record: &meta.Object{Group: m.Group, Name: m.Name, Content: m.Content, Publisher: "ann", Device: id.Device, Shared: true, Mirrors: m.Mirrors}}
		case *meta.Unpublish:
			e.Record = &meta.Object{Group: m.Group, Name: m.Name}
		case *meta.LeaveGroup:
			e.Record = &meta.Member{Group: m.Group, User: "ann"}
		case *meta.RemoveMember:
			e.Record = &meta.Member{Group: m.Group, User: m.User}
		case *meta.DeleteGroup:
			e.Record = &meta.Group{Name: m.Group}
		case *meta.RevokeDevice:
			e.Record = &meta.Device{ID: m.Device}
		default:
			return meta.Outcome{}, shoal.Errorf(shoal.Denied, "not here")
		}
		h.Registry.Apply([]meta.Event{e}, revision)
		return meta.Outcome{Revision: revision}, nil
	}
}

// FuzzFrames holds a whole session: frames of any kind in any order, most of them good, and virtual time that passes. All
// that comes back can be read, answers something that was asked, and blames the server for nothing.
func FuzzFrames(f *testing.F) {
	for i := range asked {
		f.Add([]byte{byte(i), 1, 1, 1, 1, 0, 1, 1, 0, 1, 0, 0, 250, 40, byte(i), 2, 2, 2, 2, 0, 2, 0, 0, 0, 0, 2})
	}
	whole := identity.SignCandidates(asker, []identity.Candidate{{Security: wire.Plaintext, Addr: mustAddr("192.0.2.1:7401")}}, time.Now(), time.Hour)
	f.Fuzz(func(t *testing.T, b []byte) {
		bounds.HoldSaid(t, func() (said int) {
			synctest.Test(t, func(t *testing.T) {
				h := newHost(overPlaintext)
				h.Registry.Changed = h.Changed
				peopled(h)
				h.Mutate = mutated(h)
				h.Tickets = Tickets{Sign: func(identity.Ticket) ([]byte, error) { return []byte("ticket"), nil }, Confirmed: time.Now}
				h.Manifest = func(context.Context, shoal.Group, shoal.Name, shoal.Object) ([]byte, error) {
					return nil, shoal.NotFound
				}
				c := connect(t, h, asker)
				script := frames.New(b)
				script.Know(
					shoal.Public, shoal.Group("lab"), shoal.Group("club"), shoal.Name("a"), shoal.Name("b"), objectOf(1), objectOf(2),
					objectOf(1).ID, objectOf(2).ID, asker.Device(), other.Device(), stranger.Device(), "ann", "bob", "",
					shoal.Mirror("http://a/"), whole, []byte{},
				)
				var sent frames.Asked
				for step, more := script.Next(asked); more; step, more = script.Next(asked) {
					said += len(step.Bytes)
					sent.Sent(step.Bytes)
					if _, err := c.conn.Write(step.Bytes); err != nil {
						break // the server has hung up
					}
					time.Sleep(step.Wait)
				}
				_ = c.nc.(interface{ CloseWrite() error }).CloseWrite()
				c.checkAnswers(&sent)
				c.close()
			})
			return said
		})
	})
}

// checkAnswers reads to the end what came back for all that was asked.
func (c *client) checkAnswers(asked *frames.Asked) {
	c.t.Helper()
	for {
		f, err := c.conn.ReadFrame()
		if err != nil {
			if err != io.EOF {
				c.t.Errorf("the replies end with %v", err)
			}
			return
		}
		m := wire.NewMessage(f.Header)
		if err := wire.Decode(f.Body, m); err != nil {
			c.t.Fatalf("%v cannot be read: %v", f.Header, err)
		}
		if failed, ok := m.(*wire.ErrorReply); ok && failed.Code == shoal.Internal {
			c.t.Errorf("%v is the server's own fault: %s", f.Header, failed.Text)
		}
		if _, answers := asked.Answered(f.Header); f.IsReply() && !answers {
			c.t.Fatalf("%v answers nothing", f.Header)
		}
	}
}
