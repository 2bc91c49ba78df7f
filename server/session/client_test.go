package session

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"shoal"
	"shoal/identity"
	"shoal/server/meta"
	"shoal/server/registry"
	"shoal/server/swarms"
	"shoal/tests/script"
	"shoal/wire"
	"shoal/wire/wiretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var overPlaintext = identity.Transport{Security: wire.Plaintext}

func newHost(over identity.Transport) *Host {
	var sessions atomic.Uint64
	return &Host{
		Responder: identity.Responder{
			Key: identity.NewKey(), Serves: wire.ServiceServer, Transport: over,
			NextSession: func() uint64 { return sessions.Add(1) },
		},
		Registry: registry.New(), Swarms: swarms.New(), Log: zerolog.Nop(),
	}
}

// client is a scripted client, of a device.
type client struct {
	*script.Speaker
	t     testing.TB
	nc    net.Conn
	conn  *identity.Established
	key   *identity.Key
	ended <-chan error // how the server's side ended
}

// serve runs the server's side of a connection.
func serve(ctx context.Context, h *Host, nc net.Conn) <-chan error {
	ended := make(chan error, 1)
	go func() {
		s, err := h.Accept(ctx, nc)
		if err == nil {
			err = s.Run(ctx)
		}
		ended <- err
	}()
	return ended
}

// join connects a device over nc, the other end of which is served.
func join(t testing.TB, key *identity.Key, over identity.Transport, nc net.Conn, ended <-chan error) *client {
	t.Helper()
	speaker, e := script.Open(t, nc, identity.Initiator{Key: key, Wanted: wire.ServiceServer, Transport: over})
	speaker.Aside = map[wire.Kind]bool{wire.KindEpoch: true, wire.KindGone: true}
	return &client{Speaker: speaker, t: t, nc: nc, conn: e, key: key, ended: ended}
}

// connect makes a client of a device that is new and one of the user people's, or of the one given.
func connect(t testing.TB, h *Host, device ...*identity.Key) *client {
	t.Helper()
	key := identity.NewKey()
	if len(device) > 0 {
		key = device[0]
	} else {
		enrol(t, h, key)
	}
	a, b := wiretest.Pipe()
	return join(t, key, h.Responder.Transport, a, serve(t.Context(), h, b))
}

const people meta.Username = "people"

// enrol makes a device one of the user people's: in the state, or in a registry that has none behind it.
func enrol(t testing.TB, h *Host, key *identity.Key) {
	t.Helper()
	if h.Mutate == nil {
		h.Registry.Apply([]meta.Event{{Record: &meta.User{Name: people}}, {Record: &meta.Device{ID: key.Device(), User: people}}}, h.Registry.Revision())
		return
	}
	_, err := h.Mutate(t.Context(), meta.ID{Sequence: 1, Holder: true}, &meta.CreateUser{User: people, Password: "$"})
	must(t, err)
	_, err = h.Mutate(t.Context(), meta.ID{Device: key.Device()}, &meta.EnrolDevice{User: people, Password: "$"})
	must(t, err)
}

func (c *client) publish(sequence uint64, name shoal.Name, o shoal.Object) (revision uint64, err error) {
	c.t.Helper()
	var reply wire.MutationReply
	err = c.Call(wire.KindPublish, &wire.Publish{Sequence: sequence, Group: shoal.Public, Name: name, Content: o}, &reply)
	return reply.Revision, err
}

func (c *client) unpublish(sequence uint64, name shoal.Name, id shoal.FileID) (revision uint64, err error) {
	c.t.Helper()
	var reply wire.MutationReply
	err = c.Call(wire.KindUnpublish, &wire.Unpublish{Sequence: sequence, Group: shoal.Public, Name: name, File: id}, &reply)
	return reply.Revision, err
}

func (c *client) lookup(name shoal.Name, id shoal.FileID) (reply wire.LookupReply, err error) {
	c.t.Helper()
	err = c.Call(wire.KindLookup, &wire.Lookup{Group: shoal.Public, Name: name, File: id}, &reply)
	return reply, err
}

func (c *client) list(after string, limit uint32) (reply wire.ListReply, err error) {
	c.t.Helper()
	err = c.Call(wire.KindList, &wire.List{Group: shoal.Public, After: after, Limit: limit}, &reply)
	return reply, err
}

// candidates is a statement by the client's device.
func (c *client) candidates(lasts time.Duration) []byte {
	return identity.SignCandidates(c.key, []identity.Candidate{{Security: wire.Plaintext, Addr: netip.MustParseAddrPort("192.0.2.1:7401")}}, time.Now(), lasts)
}

func (c *client) announce(candidates []byte, offers ...wire.Offer) error {
	c.t.Helper()
	return c.Call(wire.KindAnnounce, &wire.Announce{Candidates: candidates, Offers: offers}, &wire.Empty{})
}

// wantBye expects BYE and then the end of the connection on both sides.
func (c *client) wantBye(code shoal.Code, text string) {
	c.t.Helper()
	c.Bye(code, text)
	c.close()
}

// wantEnd expects the end of the connection on both sides.
func (c *client) wantEnd() {
	c.t.Helper()
	c.Closed()
	c.close()
}

// close closes the connection and waits until the server's side has ended.
func (c *client) close() {
	c.t.Helper()
	c.nc.Close()
	if err := <-c.ended; err == nil {
		c.t.Error("the session ended without a reason")
	}
}

// want fails the test unless err has the code and the text.
func want(t *testing.T, err error, code shoal.Code, text string) {
	t.Helper()
	if !errors.Is(err, code) || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want %v and %q", err, code, text)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func objectOf(i byte) shoal.Object { return shoal.Object{ID: shoal.FileID{i, 1}, Size: 1 << 20} } // 4 pieces

// offerOf offers the first pieces of an object.
func offerOf(i byte, pieces uint32) wire.Offer {
	o := wire.Offer{Swarm: shoal.Swarm{Group: shoal.Public, Object: objectOf(i)}, Pieces: pieces}
	if pieces > 0 && pieces < 4 {
		o.Bitfield = shoal.Bitfield{0xf0 << (4 - pieces)}
	}
	return o
}
