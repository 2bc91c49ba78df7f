// Package mirror reads published files from web servers, by ranges of HTTP (RFC 9110, section 14). A Conn is for a transfer
// what a connection to a peer is: it is asked for blocks, and hands them on as they come. It gives nothing that proves
// them: that is for the transfer, which verifies pieces.
//
// What a web server says is believed as little as what a peer says, and a URL as little as who published it: see address.go
// for where it may lead, and request.go for what is sent there, and what is taken.
package mirror

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"shoal"
)

const (
	// connections is how many connections to a web server are used at a time: while one answer is read, the next is on its
	// way.
	connections = 4
	// rangeless is how many bytes from the beginning are read from a web server that has no ranges: all before what is wanted
	// come along each time.
	rangeless = 4 << 20
	// dialTimeout is how long the web server may take to accept a connection, and headTimeout to begin an answer.
	dialTimeout = 5 * time.Second
	headTimeout = 10 * time.Second
	// headBytes bounds what stands before an answer's body.
	headBytes = 32 << 10
)

// Source is one mirror of an object, over all attempts to read from it.
type Source struct {
	URL    shoal.Mirror
	Object shoal.Object
	// Private says that it may be in a private network, or on this machine.
	Private bool

	// dial opens connections; nil for those of the network, of which each is checked.
	dial func(ctx context.Context, network, address string) (net.Conn, error)

	mu    sync.Mutex // guards until
	until time.Time  // when the web server may be asked again, as it said
}

// Again is the source for what a server says now, with what is known from before; s is nil at first.
func (s *Source) Again(url shoal.Mirror, o shoal.Object, private bool) *Source {
	if s != nil && s.Private == private {
		return s
	}
	return &Source{URL: url, Object: o, Private: private}
}

// Sink takes what comes from a mirror. Its methods may be called concurrently, and may block.
type Sink interface {
	// Block brings a block that was asked for; read fills a buffer with its next bytes, and the buffers must have all of
	// them together. What is not read is thrown away. An error is passed to Refused, unless it was of read.
	Block(piece, begin, length int, read func([]byte) error) error
	// Refused says that a block that was asked for does not come.
	Refused(piece, begin, length int, err error)
	// Lost says that nothing more comes, unless that is because of Close.
	Lost(err error)
}

// Open asks the web server for the object's first byte, to learn whether it has the object, and ranges. Run must be called
// for anything to move, or Close. The error has code Unreachable; Busy where the web server wants to be asked later; Changed
// where it has something else, or nothing; or Denied where its address is none to connect to, or it refuses.
func (s *Source) Open(ctx context.Context) (*Conn, error) {
	if err := s.mayAsk(); err != nil {
		return nil, err
	}
	c := &Conn{source: s, transport: s.transport(), wanted: map[extent]*block{}}
	c.cond.L = &c.mu
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	if err := c.probe(ctx); err != nil {
		c.Close(err)
		c.transport.CloseIdleConnections()
		return nil, err
	}
	return c, nil
}

// transport has its connections for itself, and nothing from the environment.
func (s *Source) transport() *http.Transport {
	dial := s.dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout, Control: s.control}).DialContext
	}
	return &http.Transport{
		DialContext: dial, TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: headTimeout, MaxResponseHeaderBytes: headBytes,
		DisableCompression: true, MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections, ReadBufferSize: 64 << 10,
	}
}

func (s *Source) mayAsk() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if wait := time.Until(s.until); wait > 0 {
		return shoal.Errorf(shoal.Busy, "the mirror at %s wants to be left alone for %v", s.URL.Host(), wait.Round(time.Second))
	}
	return nil
}

func (s *Source) waitUntil(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = t
}
