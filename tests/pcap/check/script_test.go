package check

import (
	"crypto/ed25519"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"shoal"
	"shoal/wire"
	"shoal/xdr"
)

// book is a scripted capture: what crossed the wire, in order. Everything in it is made by hand, from PROTOCOL.md.
type book struct {
	steps []step
	conns int
	now   time.Time
	nonce byte
	realm *realm
}

// step is one thing that was captured.
type step struct {
	conn  int
	at    time.Time
	open  *netip.AddrPort // a connection begins, to there
	from  Side
	frame []byte
	close bool
	lost  int64
}

// began is when every script begins, and the origin of its server's times.
var began = time.UnixMilli(1_800_000_000_000)

func newBook() *book { return &book{now: began, realm: theRealm()} }

func (b *book) add(s step) {
	s.at = b.now
	b.steps = append(b.steps, s)
}

// wait lets time go by.
func (b *book) wait(d time.Duration) { b.now = b.now.Add(d) }

// check is what the checker says of it.
func (b *book) check() (all []Violation) { return checkSteps(b.steps, nil) }

func checkSteps(steps []step, seen func(*Frame)) (all []Violation) {
	t := New()
	t.OnViolation = func(v Violation) { all = append(all, v) }
	t.OnFrame = seen
	conns := map[int]*Conn{}
	for i, s := range steps {
		switch c := conns[s.conn]; {
		case s.open != nil:
			conns[s.conn] = t.Open(netip.AddrPortFrom(netip.MustParseAddr("192.0.2.100"), uint16(40000+i)), *s.open, s.at, true)
		case s.close:
			c.Close(s.from, s.at, false)
		case s.lost != 0:
			c.Lost(s.from, s.lost)
		default:
			c.Data(s.from, s.at, s.frame)
		}
	}
	t.Finish()
	return all
}

// rulesOf are the rules that were broken, each once.
func rulesOf(all []Violation) []string {
	var rules []string
	for _, v := range all {
		rules = append(rules, v.Rule)
	}
	slices.Sort(rules)
	return slices.Compact(rules)
}

// end is one scripted connection.
type end struct {
	*book
	conn      int
	id        uint32
	initiator party
	responder party
	service   wire.Service
	hello     wire.Hello
	reply     wire.HelloReply
}

// party is who has a key and an address.
type party struct {
	key  ed25519.PrivateKey
	addr netip.AddrPort
}

func newParty(seed byte) party {
	return party{newKey(seed), netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, seed}), 4919)}
}

func newKey(seed byte) ed25519.PrivateKey {
	s := make([]byte, ed25519.SeedSize)
	s[0] = seed
	return ed25519.NewKeyFromSeed(s)
}

func (p party) public() (k [32]byte) { copy(k[:], p.key.Public().(ed25519.PublicKey)); return k }

func (p party) device() shoal.DeviceID { return p.public() }

// connect opens a connection; nothing is said yet.
func (b *book) connect(from, to party, service wire.Service) *end {
	e := &end{book: b, conn: b.conns, initiator: from, responder: to, service: service}
	b.conns++
	b.add(step{conn: e.conn, open: &to.addr})
	e.hello = wire.Hello{Version: 1, Wanted: service, Secured: wire.Plaintext, Random: b.random(), Device: from.device(), Software: "scripted"}
	e.reply = wire.HelloReply{Version: 1, Secured: wire.Plaintext, Random: b.random(), Identity: to.public(), Now: b.now.UnixMilli(), Software: "scripted"}
	if service == wire.ServiceServer {
		e.reply.Certificate = b.realm.certificate
	}
	return e
}

func (b *book) random() (n wire.Nonce) {
	b.nonce++
	n[0] = b.nonce
	return n
}

func (e *end) transcript(context string) []byte {
	t := xdr.AppendString(nil, context)
	t = xdr.AppendUint32(t, e.hello.Version)
	t = xdr.AppendUint32(t, uint32(e.hello.Wanted))
	t = xdr.AppendUint32(t, uint32(e.hello.Secured))
	t = xdr.AppendFixed(t, e.hello.Random[:])
	t = xdr.AppendFixed(t, e.reply.Random[:])
	t = xdr.AppendFixed(t, e.hello.Device[:])
	t = xdr.AppendFixed(t, e.reply.Identity[:])
	t = xdr.AppendInt64(t, e.reply.Now)
	return xdr.AppendOpaque(t, nil)
}

// greet says HELLO and answers it.
func (e *end) greet() *end {
	id := e.ask(wire.KindHello, &e.hello)
	copy(e.reply.Proof[:], ed25519.Sign(e.responder.key, e.transcript("shoal/1 hello responder")))
	e.answer(wire.KindHello, id, &e.reply)
	return e
}

func (e *end) auth() *wire.Auth {
	var a wire.Auth
	copy(a.Proof[:], ed25519.Sign(e.initiator.key, e.transcript("shoal/1 hello initiator")))
	return &a
}

// session is the number of the connection at a server.
func (e *end) session() uint64 {
	if e.service == wire.ServicePeer {
		return 0
	}
	return uint64(100 + e.conn)
}

// shake does the whole handshake.
func (e *end) shake() *end {
	e.greet()
	e.call(wire.KindAuth, e.auth(), &wire.AuthReply{Session: e.session(), Observed: "192.0.2.100"})
	return e
}

func (e *end) send(from Side, h wire.Header, m wire.Message) {
	e.raw(from, wire.AppendFrame(nil, h, m))
}

func (e *end) raw(from Side, b []byte) { e.add(step{conn: e.conn, from: from, frame: b}) }

// ask sends a request, and returns its id.
func (e *end) ask(k wire.Kind, m wire.Message) uint32 {
	e.id++
	e.send(Initiator, wire.Header{Kind: k, ID: e.id}, m)
	return e.id
}

func (e *end) answer(k wire.Kind, id uint32, m wire.Message) {
	e.send(Responder, wire.Header{Kind: k, Flags: wire.FlagReply, ID: id}, m)
}

func (e *end) fail(k wire.Kind, id uint32, code shoal.Code, text string) {
	e.send(Responder, wire.Header{Kind: k, Flags: wire.FlagReply | wire.FlagError, ID: id}, &wire.ErrorReply{Code: code, Text: text})
}

// call is a request and its reply.
func (e *end) call(k wire.Kind, m, reply wire.Message) {
	id := e.ask(k, m)
	e.wait(time.Millisecond)
	e.answer(k, id, reply)
}

// refused is a request and the error that answers it.
func (e *end) refused(k wire.Kind, m wire.Message, code shoal.Code) {
	e.fail(k, e.ask(k, m), code, "because")
}

func (e *end) event(from Side, k wire.Kind, m wire.Message) { e.send(from, wire.Header{Kind: k}, m) }

func (e *end) ping() { e.call(wire.KindPing, &wire.Empty{}, &wire.Empty{}) }

// close ends both directions.
func (e *end) close() {
	e.add(step{conn: e.conn, from: Initiator, close: true})
	e.add(step{conn: e.conn, from: Responder, close: true})
}

// memory makes the same signature not be verified again and again.
func TestMain(m *testing.M) {
	var known sync.Map
	once := verifySignature
	verifySignature = func(key [32]byte, message, proof []byte) bool {
		k := string(key[:]) + string(message) + string(proof)
		right, is := known.Load(k)
		if !is {
			right = once(key, message, proof)
			known.Store(k, right)
		}
		return right.(bool)
	}
	os.Exit(m.Run())
}
