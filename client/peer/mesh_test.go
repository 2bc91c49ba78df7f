package peer

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/client/store"
	"shoal/client/swarm/upload"
	"shoal/client/tickets"
	"shoal/client/tickets/ticketstest"
	"shoal/client/tracker"
	"shoal/identity"
	"shoal/tests/pcap/tap"
	"shoal/wire"
	"shoal/wire/wiretest"
)

// mesh is a swarm of whole peers, each of which serves and fetches, and a server that knows them all.
type mesh struct {
	t     *testing.T
	ctx   context.Context
	run   sync.WaitGroup
	nodes []*node
	down  atomic.Bool // the server
	tap   *tap.Tap    // all that the nodes say is held against the protocol
}

// node is one peer: all that a process has.
type node struct {
	*mesh
	ctx      context.Context
	kill     context.CancelFunc
	server   Server
	pool     *Pool
	keeper   *tickets.Keeper
	address  netip.AddrPort
	listener *wiretest.Listener
}

func newMesh(t *testing.T, n int) *mesh { return newMeshOf(t, n, nil) }

// newMeshOf is a mesh whose nodes ask for tickets of an office, if that is not nil, and exchange records.
func newMeshOf(t *testing.T, n int, o *ticketstest.Office) *mesh {
	var except []string
	if o == nil {
		except = []string{"P14"} // nobody asks for tickets
	}
	m := &mesh{t: t, tap: tap.New(t, except...)}
	var cancel context.CancelFunc
	m.ctx, cancel = context.WithCancel(context.Background())
	for range n {
		l := wiretest.Listen()
		nd := &node{mesh: m, listener: l, address: netip.MustParseAddrPort(l.Addr().String())}
		key := identity.NewKey()
		nd.server = Server{Key: key, Transport: plaintext, Shelf: NewShelf(), Alone: nd.alone, Up: new(Limit), Log: zerolog.Nop()}
		nd.pool = NewPool(key, plaintext, m.dial, new(store.Buffers), zerolog.Nop())
		nd.ctx, nd.kill = context.WithCancel(m.ctx)
		if o != nil {
			nd.server.Realm, nd.keeper, nd.server.Exchange = ofRealm(o, key, nd.source().Addresses...)
		}
		m.run.Go(func() { must(t, nd.server.Run(nd.ctx, l)) })
		m.nodes = append(m.nodes, nd)
	}
	t.Cleanup(func() {
		cancel()
		for _, nd := range m.nodes {
			nd.pool.Wait()
		}
		m.run.Wait()
		for _, nd := range m.nodes {
			if nd.server.Exchange != nil {
				nd.server.Exchange.Close()
				nd.keeper.Wait()
			}
		}
	})
	return m
}

// ofRealm is what a process has that is of an office's realm, and serves at these addresses.
func ofRealm(o *ticketstest.Office, key *identity.Key, at ...identity.Candidate) (*tickets.Realm, *tickets.Keeper, *Exchange) {
	realm := tickets.NewRealm(tickets.Config{Now: time.Now, Reachable: o.Up.Load})
	realm.Trust(o.Authority())
	keeper := tickets.NewKeeper(realm, key.Device(), func(_ context.Context, group shoal.Group) ([]byte, error) {
		if !o.Up.Load() {
			return nil, shoal.Errorf(shoal.Unreachable, "no server")
		}
		return o.Ticket(key.Device(), func(t *identity.Ticket) { t.Group, t.Grace = group, 12*time.Hour }), nil
	}, zerolog.Nop())
	return realm, keeper, NewExchange(key.Device(), wire.Plaintext, realm, keeper, func() []byte {
		return identity.SignCandidates(key, at, time.Now(), time.Hour)
	})
}

func (m *mesh) dial(ctx context.Context, address string) (net.Conn, error) {
	for _, nd := range m.nodes {
		if nd.address.String() == address {
			nc, err := nd.listener.Dial(ctx)
			if err != nil {
				return nil, err
			}
			return m.tap.Conn(nc), nil
		}
	}
	return nil, shoal.Errorf(shoal.Unreachable, "nobody is at %s", address)
}

func (nd *node) source() tracker.Source {
	return tracker.Source{
		Device: nd.server.Key.Device(), Session: 1,
		Addresses: []identity.Candidate{{Security: wire.Plaintext, Addr: nd.address}},
	}
}

// others are all who serve a swarm but this one.
func (nd *node) others(sw shoal.Swarm) (sources []tracker.Source, whole int) {
	for _, other := range nd.nodes {
		it := other.server.Shelf.find(sw)
		if other == nd || it == nil {
			continue
		}
		sources = append(sources, other.source())
		if content, err := it.current(); err == nil && content.Whole() {
			whole++
		}
	}
	return sources, whole
}

func (nd *node) alone(_ context.Context, sw shoal.Swarm) bool {
	_, whole := nd.others(sw)
	return !nd.down.Load() && whole == 0
}

// LookupFile and Offer make the node a Tracker.
func (nd *node) KeptManifest(context.Context, shoal.Swarm) (*shoal.Manifest, error) {
	return nil, shoal.Errorf(shoal.NotFound, "no manifest is kept")
}

func (nd *node) LookupFile(_ context.Context, _ shoal.Group, id shoal.FileID) (*tracker.Found, error) {
	if nd.down.Load() {
		return nil, shoal.Errorf(shoal.Unreachable, "no server")
	}
	for _, other := range nd.nodes {
		for sw := range other.server.Shelf.all() {
			if sw.Object.ID == id {
				sources, _ := nd.others(sw)
				return &tracker.Found{Object: sw.Object, Sources: sources}, nil
			}
		}
	}
	return nil, shoal.Errorf(shoal.NotFound, "nobody serves that")
}

func (nd *node) Offer(shoal.Swarm, shoal.Bitfield)                                       {}
func (nd *node) Report(context.Context, shoal.Group, shoal.FileID, shoal.DeviceID) error { return nil }
func (nd *node) Withdraw(shoal.Swarm)                                                    {}

// all are the swarms on the shelf.
func (s *Shelf) all() map[shoal.Swarm]bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := map[shoal.Swarm]bool{}
	for sw := range s.items {
		all[sw] = true
	}
	return all
}

// fetch downloads what the others have, from those who are known at the beginning.
func (nd *node) fetch(sw shoal.Swarm, known ...tracker.Source) {
	nd.t.Helper()
	f, err := Transfer{
		Swarm: sw, Dir: nd.t.TempDir(), Name: "got", Sources: known, Timeout: time.Minute,
		Pool: nd.pool, Tracker: nd, Tickets: nd.keeper, Exchange: nd.server.Exchange, Shelf: nd.server.Shelf, Log: zerolog.Nop(),
	}.Run(nd.ctx)
	if err != nil {
		nd.t.Error(err)
		return
	}
	nd.t.Cleanup(func() { _ = f.Close() })
}

// Many peers that start at once, and know nobody but the only seed, all get everything.
func TestCrowd(t *testing.T) {
	const peers, pieces = 12, 12
	f := place(t, random(pieces*pieceLength, 76))
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, peers+1)
		m.nodes[0].server.Shelf.Put(swarmOf(f), f)
		var run sync.WaitGroup
		for _, nd := range m.nodes[1:] {
			run.Go(func() { nd.fetch(swarmOf(f), m.nodes[0].source()) })
		}
		run.Wait()
		for _, nd := range m.nodes {
			if it := nd.server.Shelf.find(swarmOf(f)); it == nil || !it.content.Whole() {
				t.Error("a download is not served on")
			}
		}
	})
}

// A seed that more fetch from than it serves at a time chokes some of them, and says and does nothing against the protocol.
func TestCrowdOfChoked(t *testing.T) {
	const peers, pieces = upload.Slots + 1, 1
	f := place(t, random(pieces*pieceLength, 78))
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, peers+1)
		m.nodes[0].server.Shelf.Put(swarmOf(f), f)
		m.nodes[0].server.Up.Set(1 << 20)
		var run sync.WaitGroup
		for _, nd := range m.nodes[1:] {
			run.Go(func() { nd.fetch(swarmOf(f), m.nodes[0].source()) })
		}
		run.Wait()
		for _, k := range []wire.Kind{wire.KindChoke, wire.KindUnchoke, wire.KindHave, wire.KindRequest} {
			if m.tap.Seen(k) == 0 {
				t.Errorf("nobody said %v", k)
			}
		}
	})
}

// counted is content whose bytes are counted as they are read.
type counted struct {
	store.Content
	read atomic.Int64
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	c.read.Add(int64(len(p)))
	return c.Content.ReadAt(p, off)
}

// On uplinks that are all alike a crowd is done soon after one copy could have been sent, and until the first is, the only
// seed has sent little more than one: each piece to one, who passes it on.
func TestCrowdOnUplinks(t *testing.T) {
	const peers, pieces, rate = 6, 48, 1 << 20
	f := place(t, random(pieces*pieceLength, 77))
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, peers+1)
		for _, nd := range m.nodes {
			nd.server.Up.Set(rate)
		}
		seed := &counted{Content: f}
		m.nodes[0].server.Shelf.Put(swarmOf(f), seed)
		var run sync.WaitGroup
		var first sync.Once
		copies := 0.0
		for _, nd := range m.nodes[1:] {
			run.Go(func() {
				nd.fetch(swarmOf(f), m.nodes[0].source())
				first.Do(func() { copies = float64(seed.read.Load()) / float64(f.Object().Size) })
			})
		}
		began := time.Now()
		run.Wait()
		took, bound := time.Since(began), time.Duration(f.Object().Size)*time.Second/rate
		if last := float64(took) / float64(bound); last > 1.5 || copies > 1.4 {
			t.Errorf("the last was done after %.2f times the bound of %v, and the first after %.2f copies", last, bound, copies)
		}
	})
}
