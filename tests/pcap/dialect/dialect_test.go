package dialect_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"shoal/rpclog"
	"shoal/tests/pcap/check"
	"shoal/tests/pcap/dialect"
	"shoal/wire"
)

var at = time.Unix(1700000000, 0)

// notes are the calls that an Observer was told of.
type notes struct{ all []string }

func (n *notes) Called(c *dialect.Call) {
	n.all = append(n.all, fmt.Sprintf("> %s %d", c.Name, c.Size))
}

func (n *notes) Answered(c *dialect.Call) {
	failed := ""
	if c.Failed {
		failed = " failed"
	}
	n.all = append(n.all, fmt.Sprintf("< %s %d%s", c.Name, c.Back, failed))
}

func words(all ...uint32) (b []byte) {
	for _, w := range all {
		b = binary.BigEndian.AppendUint32(b, w)
	}
	return b
}

// fragments makes a record of these.
func fragments(all ...[]byte) (record []byte) {
	for i, f := range all {
		mark := uint32(len(f))
		if i == len(all)-1 {
			mark |= 1 << 31
		}
		record = append(append(record, words(mark)...), f...)
	}
	return record
}

func rpcCall(xid, procedure, flavor uint32) []byte {
	return words(xid, 0, 2, rpclog.Program, 1, procedure, flavor, 0, 0, 0)
}

func rpcReply(xid, accepted, status uint32) []byte { return words(xid, 1, accepted, 0, 0, status) }

func TestRecognise(t *testing.T) {
	hello := wire.AppendRequest(nil, wire.KindHello, 1, &wire.Hello{Version: 1, Wanted: 1, Secured: 2})
	for _, test := range []struct {
		first []byte
		want  dialect.Dialect
		at    int // bytes after which that is known
	}{
		{hello, dialect.Shoal, 12},
		{fragments(rpcCall(7, 1, 0)), dialect.RPC, 28},
		{[]byte("POST / HTTP/1.1\r\n"), dialect.HTTP, 8},
		{[]byte("GET /abcdefgh"), dialect.HTTP, 8},
		{[]byte{0x16, 3, 1, 0, 5}, dialect.TLS, 2},
		{[]byte("SSH-2.0-nothing that is known here"), dialect.Unknown, 12},
		{make([]byte, 40), dialect.Unknown, 28},
		{wire.AppendRequest(nil, wire.KindPing, 1, &wire.Empty{}), dialect.Unknown, 12},
		{slices.Concat(hello[:8], make([]byte, 20)), dialect.Unknown, 28},
	} {
		for n := range test.first {
			got, decided := dialect.Recognise(test.first[:n])
			if decided != (n >= test.at) || decided && got != test.want {
				t.Errorf("%q after %d bytes: %s, %t", test.first, n, got, decided)
			}
		}
	}
}

// A frame is found in the middle of a stream, with who sends such, and nothing is found where there is none.
func TestMidway(t *testing.T) {
	lookup := wire.AppendRequest(nil, wire.KindLookup, 9, &wire.Lookup{Group: "lab", Name: "name"})
	piece := append(wire.AppendPieceHead(nil, 9, wire.PieceHead{Piece: 3, Begin: 16384}, 5), "hello"...)
	for _, test := range []struct {
		b    []byte
		at   int
		from check.Side
	}{
		{lookup, 0, check.Initiator},
		{append([]byte("the end of something"), lookup...), 20, check.Initiator},
		{append([]byte{0, 0, 0}, piece...), 3, check.Responder},
		{lookup[:len(lookup)-1], -1, 0},
		{make([]byte, 100), -1, 0},
		{bytes.Repeat([]byte{0, 1, 0, 2, 0, 3}, 1000), -1, 0},
		{wire.AppendEvent(nil, wire.KindChoke, &wire.Choke{Handle: 1}), -1, 0},
	} {
		if at, from := dialect.Midway(test.b); at != test.at || from != test.from {
			t.Errorf("%q: at %d, from %v", test.b[:min(len(test.b), 40)], at, from)
		}
	}
}

// say gives each side's bytes to a reader in steps.
func say(r dialect.Reader, step int, from check.Side, b []byte) {
	for len(b) > 0 {
		n := min(step, len(b))
		r.Data(from, at, b[:n])
		b = b[n:]
	}
}

func TestRPCStream(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 5000)
	for _, step := range []int{1, 7, 100000} {
		n := new(notes)
		secured := false
		r := dialect.NewRPCStream(n, func() { secured = true })
		call := rpcCall(1, rpclog.ProcAppend, 0)
		say(r, step, check.Initiator, fragments(call[:10], call[10:], long))
		say(r, step, check.Initiator, fragments(rpcCall(2, rpclog.ProcStats, 0)))
		say(r, step, check.Responder, fragments(rpcReply(2, 0, 0)))
		say(r, step, check.Responder, fragments(rpcReply(1, 0, 4)))
		say(r, step, check.Responder, fragments(rpcReply(1, 0, 0))) // to nothing
		say(r, step, check.Initiator, fragments(rpcCall(3, 9, 0)))
		say(r, step, check.Responder, fragments(words(3, 1, 1, 0, 0)))
		want := []string{"> APPEND 5040", "> STATS 40", "< STATS 24", "< APPEND 24 failed", "> procedure 9 40", "< procedure 9 20 failed"}
		if !slices.Equal(n.all, want) || secured {
			t.Errorf("%d bytes at a time: %q", step, n.all)
		}
		say(r, step, check.Initiator, fragments(rpcCall(4, 0, 7)))
		say(r, step, check.Responder, fragments(rpcReply(4, 0, 0)))
		if !secured {
			t.Error("TLS is not seen to be agreed on")
		}
		say(r, step, check.Initiator, []byte{0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5})
	}
}

// After a gap the next record that begins a packet is read again.
func TestRPCGap(t *testing.T) {
	n := new(notes)
	r := dialect.NewRPCStream(n, func() {})
	first := fragments(append(rpcCall(1, rpclog.ProcAppend, 0), make([]byte, 3000)...))
	r.Data(check.Initiator, at, first[:2000])
	r.Lost(check.Initiator, 500) // within the record
	r.Data(check.Initiator, at, first[2500:])
	r.Lost(check.Initiator, 77)
	r.Data(check.Initiator, at, []byte("the rest of a record"))
	r.Data(check.Initiator, at, fragments(rpcCall(2, rpclog.ProcNull, 0)))
	r.Data(check.Responder, at, fragments(rpcReply(2, 0, 0)))
	if want := []string{"> APPEND 3040", "> NULL 40", "< NULL 24"}; !slices.Equal(n.all, want) {
		t.Errorf("%q", n.all)
	}
}

// A call that is sent again is one call, and what is none is nothing.
func TestRPCDatagrams(t *testing.T) {
	n := new(notes)
	r := dialect.NewRPCDatagrams(n)
	for _, b := range [][]byte{rpcCall(1, 0, 0), rpcCall(1, 0, 0), {}, []byte("nothing of the kind, or is it?")} {
		r.Data(check.Initiator, at, b)
	}
	r.Data(check.Responder, at, rpcReply(1, 0, 0))
	if want := []string{"> NULL 40", "< NULL 24"}; !slices.Equal(n.all, want) {
		t.Errorf("%q", n.all)
	}
	for xid := range uint32(5000) {
		r.Data(check.Initiator, at, rpcCall(xid+10, 0, 0))
	}
	if len(n.all) > 1100 {
		t.Errorf("%d calls wait for their answers", len(n.all))
	}
}

func TestHTTP(t *testing.T) {
	const soap = "POST /x HTTP/1.1\r\nHost: h\r\nSOAPAction: \"urn:shoal#Stamp\"\r\nContent-Length: 5\r\n\r\nhello"
	for _, step := range []int{1, 7, 100000} {
		n := new(notes)
		r := dialect.NewHTTPStream(n)
		say(r, step, check.Initiator, []byte(soap+soap))
		say(r, step, check.Responder, []byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
		say(r, step, check.Responder, []byte("HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\nA\r\n0123456789\r\n0\r\nT: x\r\n\r\n"))
		say(r, step, check.Initiator, []byte("HEAD / HTTP/1.1\r\nHost: h\r\n\r\nPOST / HTTP/1.1\r\nHost: h\r\nContent-Type: text/xml\r\nContent-Length: 0\r\n\r\n"))
		say(r, step, check.Responder, []byte("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\nHTTP/1.1 204 No\r\n\r\n"))
		all := strings.Join(n.all, ",")
		if want := "> SOAP Stamp 84,> SOAP Stamp 84,< SOAP Stamp 40,< SOAP Stamp 87 failed,> HEAD 28,> SOAP 71,< HEAD 40,< SOAP 19"; all != want {
			t.Errorf("%d bytes at a time: %s", step, all)
		}
	}
}

// What is no HTTP, or has a gap, ends the reading until a request begins a packet again.
func TestHTTPGap(t *testing.T) {
	n := new(notes)
	r := dialect.NewHTTPStream(n)
	get := []byte("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	for _, wrong := range []string{
		"nonsense\r\n\r\n", strings.Repeat("x", 70<<10), "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("0", 1000),
	} {
		r.Data(check.Initiator, at, []byte(wrong))
		r.Data(check.Initiator, at, get)
	}
	r.Data(check.Initiator, at, []byte("POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n"))
	r.Lost(check.Initiator, 600)
	r.Data(check.Initiator, at, make([]byte, 400))
	r.Lost(check.Initiator, -1)
	r.Data(check.Initiator, at, get)
	if want := "[> GET 27 > GET 27 > GET 27 > GET 27 > POST 1041 > GET 27]"; fmt.Sprint(n.all) != want {
		t.Errorf("%q", n.all)
	}
}

// clientHello is what a client says first, and nobody answers.
func clientHello(t *testing.T, config *tls.Config) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	go func() {
		_ = tls.Client(theirs, config).HandshakeContext(context.Background()) // it fails: nobody answers
		_ = theirs.Close()
	}()
	head := make([]byte, 5)
	if _, err := io.ReadFull(ours, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, binary.BigEndian.Uint16(head[3:]))
	if _, err := io.ReadFull(ours, body); err != nil {
		t.Fatal(err)
	}
	_ = ours.Close()
	return append(head, body...)
}

func TestTLS(t *testing.T) {
	hello := clientHello(t, &tls.Config{ServerName: "log.example", NextProtos: []string{"shoal/1", "h2"}})
	inParts := func(size int) (records []byte) { // the handshake message may be in several
		for message := hello[5:]; len(message) > 0; {
			n := min(size, len(message))
			records = append(records, 0x16, 3, 1, byte(n>>8), byte(n))
			records, message = append(records, message[:n]...), message[n:]
		}
		return records
	}
	for _, said := range [][]byte{hello, inParts(100), append(inParts(100), 0x14, 3, 3, 0, 1, 1)} {
		for _, step := range []int{1, 7, 100000} {
			told := ""
			r := dialect.NewTLSStream(func(name string, protocols []string) { told += fmt.Sprint(name, protocols) })
			say(r, step, check.Initiator, said)
			say(r, step, check.Responder, said)
			if told != "log.example[shoal/1 h2]" {
				t.Errorf("%d bytes at a time: %q", step, told)
			}
		}
	}
	for n := range hello { // cut short, or with any byte wrong
		wrong := bytes.Clone(hello)
		wrong[n] ^= 0xff
		for _, said := range [][]byte{hello[:n], wrong} {
			told := 0
			r := dialect.NewTLSStream(func(string, []string) { told++ })
			say(r, 100000, check.Initiator, said)
			say(r, 100000, check.Initiator, make([]byte, 40<<10))
			if told > 1 {
				t.Errorf("told of %d clients", told)
			}
		}
	}
}
