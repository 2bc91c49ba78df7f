package oncrpc

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmware/go-nfs-client/nfs/rpc"

	"shoal/tests/bounds"
	"shoal/wire/wiretest"
	"shoal/xdr"
)

// stream is a connection from which a test's bytes come.
type stream struct {
	net.Conn
	io.Reader
}

func (s stream) Read(b []byte) (int, error) { return s.Reader.Read(b) }

// specRecord reads a record as section 11 of RFC 5531 says, from memory and without any care.
func specRecord(b []byte) (record, rest []byte, whole bool) {
	for len(b) >= 4 {
		head := binary.BigEndian.Uint32(b)
		size := head &^ (1 << 31)
		if b = b[4:]; int(size) > len(b) {
			break
		}
		record, b = append(record, b[:size]...), b[size:]
		if head>>31 == 1 {
			return record, b, true
		}
	}
	return nil, nil, false
}

func FuzzRecords(f *testing.F) {
	call := unhex(f, callOf+echo+none+none+"01020304")
	f.Add(fragment(call, true))
	f.Add(append(fragment(call[:5], false), fragment(call[5:], true)...))
	f.Add(append(bytes.Repeat([]byte{0, 0, 0, 0}, 20), fragment(call, true)...))
	f.Add(append(fragment(call, true), fragment(nil, true)...))
	f.Add([]byte{0x7F, 0xFF, 0xFF, 0xFF})
	f.Add([]byte{0xFF, 0xFF, 0xFF, 0xFF, 1})
	f.Add([]byte{0x80, 0, 4, 1})
	const limit = 1 << 10
	f.Fuzz(func(t *testing.T, b []byte) {
		bounds.Hold(t, len(b), func() {
			in := newRecordReader(&source{conn: stream{Reader: bytes.NewReader(b)}}, limit)
			var buf []byte
			for {
				var err error
				buf, err = in.next(buf)
				want, rest, whole := specRecord(b)
				switch {
				case err == nil && (!whole || !bytes.Equal(buf, want)):
					t.Fatalf("%x instead of %x, %v", buf, want, whole)
				case err == io.EOF && len(b) > 0, err == io.ErrUnexpectedEOF && whole:
					t.Fatalf("%v with %d bytes left", err, len(b))
				case errors.Is(err, ErrRecord) && whole && len(want) <= limit && len(b) < 4*maxFragments:
					t.Fatalf("%v: %d bytes", err, len(want))
				case len(buf) > limit:
					t.Fatalf("a record of %d bytes", len(buf))
				}
				if err != nil {
					return
				}
				b = rest
			}
		})
	})
}

// Whatever is called: no panic; what is understood is what was said; and the transport's own replies are no longer than
// the call, and such as the client's side understands.
func FuzzCall(f *testing.F) {
	for _, v := range append(vectors, tlsVectors...) {
		f.Add(unhex(f, v.call))
	}
	f.Add(unhex(f, probe))
	secure := testServer()
	secure.TLS, secure.RequireTLS = selfSigned(f), true
	s := testServer()
	s.Program.Handle = func(context.Context, *Call, []byte) ([]byte, error) { return nil, ErrGarbageArgs }
	f.Fuzz(func(t *testing.T, b []byte) {
		bounds.Hold(t, len(b), func() {
			call := Call{Remote: &net.TCPAddr{}}
			if parseCall(b, &call) == nil && call.Credential.Flavor == AuthNone {
				head, err := appendCall(nil, call.XID, rpc.Header{Prog: call.Program, Vers: call.Version, Proc: call.Procedure})
				if err != nil || !bytes.HasPrefix(b, head[:len(head)-12]) || !bytes.HasSuffix(b, call.Args) {
					t.Errorf("%x was read as %+v, which is %x", b, call, head)
				}
			}
			if sys := call.Credential.Sys; sys != nil {
				if body, err := sys.encode(); err != nil || !bytes.Contains(b, body) {
					t.Errorf("%x was read as %+v, %v", b, sys, err)
				}
			}
			for _, s := range []*Server{s, secure} {
				out, upgrade, err := s.answer(t.Context(), &call, b, nil)
				if err != nil {
					if len(out) > 0 || !errors.Is(err, errNotCall) {
						t.Errorf("%x, %v", out, err)
					}
					continue
				}
				if len(out) > len(b) {
					t.Errorf("%d bytes in reply to %d", len(out), len(b))
				}
				r, err := parseReply(out)
				if err != nil || r.xid != binary.BigEndian.Uint32(b) || upgrade != (r.verifier == startTLS) {
					t.Errorf("the reply %x is read as %+v, %v", out, r, err)
				}
			}
		})
	})
}

func FuzzReply(f *testing.F) {
	for _, v := range append(vectors, tlsVectors...) {
		f.Add(unhex(f, v.reply))
	}
	f.Add(unhex(f, started))
	f.Fuzz(func(t *testing.T, b []byte) {
		bounds.Hold(t, len(b), func() {
			r, err := parseReply(b)
			if err != nil {
				if !errors.Is(err, xdr.ErrMalformed) {
					t.Error(err)
				}
				return
			}
			var again []byte
			if r.err != nil {
				again = appendError(nil, r.xid, r.err)
				if a, ok := errors.AsType[*AcceptError](r.err); ok && r.verifier != "" {
					again = xdr.AppendUint32(appendAccepted(nil, r.xid, r.verifier), uint32(a.Stat))
					if a.Stat == ProgMismatch {
						again = xdr.AppendUint32(xdr.AppendUint32(again, a.Low), a.High)
					}
				}
			} else {
				again = append(appendSuccess(nil, r.xid, r.verifier), r.results...)
			}
			if len(b) > 12 && b[11] == statAccepted {
				copy(again[12:16], b[12:16]) // the verifier's flavor means nothing
			}
			if !bytes.Equal(again, b) {
				t.Errorf("%x is read as %+v, which is %x", b, r, again)
			}
		})
	})
}

// What arrives in one piece must not be read beyond its record.
func TestNextLeavesTheRest(t *testing.T) {
	b := append(fragment([]byte("one"), true), "rest"...)
	in := newRecordReader(&source{conn: stream{Reader: bytes.NewReader(b)}}, 100)
	record, err := in.next(nil)
	rest, restErr := io.ReadAll(bufio.NewReader(in.r))
	if err != nil || restErr != nil || string(record) != "one" || string(rest) != "rest" {
		t.Errorf("%q, %v and %q, %v", record, err, rest, restErr)
	}
}

// FuzzStream holds a whole connection: records, halves of them, TLS that begins, and noise. It ends when the other side
// does, and nothing comes but replies to what was called.
func FuzzStream(f *testing.F) {
	call := unhex(f, callOf+echo+none+none+"01020304")
	f.Add(slices.Concat(fragment(call, true), fragment(call[:7], false), fragment(call[7:], true)))
	f.Add(append(fragment(unhex(f, probe), true), "\x16\x03\x01\x00\x05hello"...))
	f.Add(fragment(call[:20], true))
	f.Add([]byte{0xFF, 0xFF, 0xFF, 0xFF})
	s := testServer()
	s.Program.Handle = func(_ context.Context, call *Call, out []byte) ([]byte, error) { return append(out, call.Args...), nil }
	s.TLS = selfSigned(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		bounds.Hold(t, len(b), func() {
			synctest.Test(t, func(t *testing.T) {
				theirs, ours := wiretest.Pipe()
				set := newConnSet(1)
				c := s.newConn(ours)
				set.enter(c)
				ended := make(chan struct{})
				go func() { defer close(ended); c.run(t.Context()); set.leave(c) }()
				_, err := theirs.Write(b)
				if err == nil {
					err = theirs.(interface{ CloseWrite() error }).CloseWrite()
				}
				<-ended
				said, readErr := io.ReadAll(theirs)
				if err != nil || readErr != nil || len(said) > len(b)+1<<10 {
					t.Errorf("%d bytes in reply to %d: %v, %v", len(said), len(b), err, readErr)
				}
				theirs.Close()
			})
		})
	})
}

// FuzzClient has a server say whatever it likes to a client that calls it, and rpcbind to one that registers.
func FuzzClient(f *testing.F) {
	for _, v := range vectors {
		f.Add(fragment(unhex(f, v.reply), true))
	}
	f.Add(fragment(unhex(f, started), true))
	f.Add([]byte{0x7F, 0xFF, 0xFF, 0xFF})
	f.Fuzz(func(t *testing.T, b []byte) {
		bounds.Hold(t, len(b), func() {
			synctest.Test(t, func(t *testing.T) {
				theirs, ours := wiretest.Pipe()
				c, err := Dial(t.Context(), Target{
					Network: "tcp", Address: "x", Program: testProgram, Version: 2, MaxReply: 4 << 10,
					Dial: func(context.Context, string, string) (net.Conn, error) { return ours, nil },
				})
				if err != nil {
					t.Fatal(err)
				}
				c.mu.Lock()
				c.xid = 41 // so that an answer can fit
				c.mu.Unlock()
				go func() {
					_, _ = io.ReadAtLeast(theirs, make([]byte, 1), 1)
					_, _ = theirs.Write(b)
					theirs.(interface{ CloseWrite() error }).CloseWrite()
				}()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if err := c.unset(ctx, Mapping{Program: testProgram, Version: 2, Protocol: ProtocolTCP, Port: 9}); err == nil && len(b) < 3*24 {
					t.Errorf("%x is three answers", b)
				}
				c.Close()
				theirs.Close()
			})
		})
	})
}
