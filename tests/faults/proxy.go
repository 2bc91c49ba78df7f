// Package faults puts the services that a server may use into every state they must not be missed in, in the middle of
// a load, and counts what became of the log. The server and its clients run in this process, so that what they sent is
// known exactly; the services are the real program. So is the server where it is the one that is killed: then what its
// clients were answered is compared with what is possible, and with what there is.
package faults

import (
	"fmt"
	"net"
	"sync"
)

// Proxy passes TCP connections on to a service, until it is told to be a black hole.
type Proxy struct {
	listener net.Listener
	target   string
	run      sync.WaitGroup

	mu    sync.Mutex // guards what is below
	conns map[net.Conn]bool
	open  chan struct{} // closed while bytes pass
}

// NewProxy listens on a free port of loopback.
func NewProxy(target string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for a proxy: %w", err)
	}
	p := &Proxy{listener: l, target: target, conns: map[net.Conn]bool{}, open: make(chan struct{})}
	close(p.open)
	p.run.Go(p.accept)
	return p, nil
}

// Address is where clients of the service connect to.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Swallow makes the proxy take everything and pass nothing on, in both directions; with false it passes on again,
// what it has swallowed too: TCP would send it again.
func (p *Proxy) Swallow(swallow bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.open:
		if swallow {
			p.open = make(chan struct{})
		}
	default:
		if !swallow {
			close(p.open)
		}
	}
}

// Close ends all connections, and returns when they have ended.
func (p *Proxy) Close() {
	p.Swallow(false)
	p.listener.Close()
	p.mu.Lock()
	for c := range p.conns {
		c.Close()
	}
	p.conns = nil
	p.mu.Unlock()
	p.run.Wait()
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		if p.keep(c) {
			p.run.Go(func() { p.serve(c) })
		}
	}
}

// keep notes a connection, to be ended by Close; after that it ends it at once.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns == nil {
		c.Close()
		return false
	}
	p.conns[c] = true
	return true
}

func (p *Proxy) drop(c net.Conn) {
	c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (p *Proxy) serve(client net.Conn) {
	defer p.drop(client)
	p.wait()
	service, err := net.Dial("tcp", p.target)
	if err != nil || !p.keep(service) {
		return
	}
	defer p.drop(service)
	var back sync.WaitGroup
	back.Go(func() { p.pass(client, service) })
	p.pass(service, client)
	back.Wait()
}

// pass copies until either side ends, and then ends both.
func (p *Proxy) pass(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		p.wait()
		if _, failed := to.Write(buf[:n]); err != nil || failed != nil {
			return
		}
	}
}

// wait returns when bytes pass.
func (p *Proxy) wait() {
	p.mu.Lock()
	open := p.open
	p.mu.Unlock()
	<-open
}
