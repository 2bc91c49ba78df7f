package wiretest

import (
	"context"
	"net"
	"sync"
	"syscall"
)

// Listener is a net.Listener in memory; its Dial is the only way to it. All methods may be called concurrently.
type Listener struct {
	address *net.TCPAddr
	backlog chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

// Listen returns a listener with an address of its own.
func Listen() *Listener {
	return &Listener{address: address(100), backlog: make(chan net.Conn), closed: make(chan struct{})}
}

// Dial connects to the listener once it accepts, by a Pipe. It fails with syscall.ECONNREFUSED when the listener is
// closed, and with ctx's error.
func (l *Listener) Dial(ctx context.Context) (net.Conn, error) { return l.DialSize(ctx, 0) }

// DialSize is Dial by a PipeSize.
func (l *Listener) DialSize(ctx context.Context, size int) (net.Conn, error) {
	a, b := newPipe(size, address(1), l.address)
	var err error
	select {
	case l.backlog <- b:
		return a, nil
	case <-l.closed:
		err = syscall.ECONNREFUSED
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, a.opError("dial", err)
}

// Accept waits for the next Dial. It fails with net.ErrClosed after Close.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.backlog:
		return c, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.address, Err: net.ErrClosed}
	}
}

// Close ends Accept and refuses further connections; those accepted go on.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr returns the listener's address, a *net.TCPAddr.
func (l *Listener) Addr() net.Addr { return l.address }
