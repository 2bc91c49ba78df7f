// Package ownsocket is HTTP over a unix socket in a state folder: how commands reach the daemon that has the folder. Only
// the folder's owner can connect.
package ownsocket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Server answers at a socket.
type Server struct {
	listener net.Listener
	path     string
}

// Listen takes the place of the socket name in the folder dir, which one that a killed daemon left may have: the caller
// knows, by a lock, that none is running. Serve or Close must be called.
func Listen(dir, name string) (*Server, error) {
	path := filepath.Join(dir, name)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("removing an old socket: %w", err)
	}
	folder, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the state folder: %w", err)
	}
	defer folder.Close()
	l, err := onlyOwner.Listen(context.Background(), "unix", through(folder, name))
	if err != nil {
		return nil, fmt.Errorf("opening the socket %s: %w", path, err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	return &Server{l, path}, nil
}

// onlyOwner makes a socket that nobody else can connect to, not even for the moment that a chmod after bind would
// leave: Linux gives the file the mode that the socket has.
var onlyOwner = net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
	var chmodErr error
	err := c.Control(func(fd uintptr) { chmodErr = unix.Fchmod(int(fd), 0o600) })
	return errors.Join(err, chmodErr)
}}

// through is the path of a file by its folder's descriptor, because a socket's path cannot be longer than 107 bytes.
func through(folder *os.File, name string) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), name)
}

// Close removes the socket.
func (s *Server) Close() {
	_ = s.listener.Close()
	_ = os.Remove(s.path) // the next daemon would
}

// Serve answers requests until ctx ends, which ends theirs, too. It returns early only with an error.
func (s *Server) Serve(ctx context.Context, handler http.Handler) error {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	ctx, cancel := context.WithCancel(ctx)
	var closer sync.WaitGroup
	closer.Go(func() {
		<-ctx.Done()
		// Requests end with the context; what they still say takes a moment.
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if server.Shutdown(limit) != nil {
			_ = server.Close()
		}
	})
	err := server.Serve(s.listener)
	cancel()
	closer.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serving at %s: %w", s.path, err)
}

// Dialer connects to a socket.
type Dialer struct {
	folder *os.File
	name   string
}

// NewDialer finds the socket through its folder, which must be there; the socket need not be. Close must be called.
func NewDialer(dir, name string) (*Dialer, error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the state folder: %w", err)
	}
	return &Dialer{folder, name}, nil
}

// Dial has the signature that http.Transport wants, and needs nothing but ctx. Absent tells what its error means.
func (d *Dialer) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "unix", through(d.folder, d.name))
}

// Close gives up the folder.
func (d *Dialer) Close() error { return d.folder.Close() }

// Absent reports whether err says that nobody listens at the socket.
func Absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}
