// Package service is the enrichment service: it answers the two operations of soap/enrichment.wsdl, by SOAP 1.1 over
// HTTP or HTTPS, and gives the contract to whoever asks for it. Requests may be hostile: what each may take of time and
// memory is bounded, and spoils its own connection at most.
package service

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"shoal"
	"shoal/identity"
	"shoal/soap"
)

// Config is what the service needs to know.
type Config struct {
	Listen         string // the TCP address HOST:PORT to listen on; port 0 for any free one
	State          string // the folder for what must outlive the process, made if it is not there
	Certificate    string // the PEM files of certificate chain and key, needed beyond loopback; empty for plain HTTP
	Key            string
	MaxConnections int       // connections at once; 0 for 256
	KeyLog         io.Writer // for the keys of TLS sessions, as identity.Transport has it; nil: nowhere
	Log            zerolog.Logger

	limits limits
}

// limits are how long a client is waited for. Zeros are replaced.
type limits struct {
	header  time.Duration // from the connection or the first byte of a request to the end of its header
	request time.Duration // to the end of its body
	reply   time.Duration // from the end of the header to the end of the reply
	idle    time.Duration // between two requests
	end     time.Duration // for the last replies, when the service ends
}

var defaultLimits = limits{header: 5 * time.Second, request: 10 * time.Second, reply: 15 * time.Second, idle: time.Minute, end: 3 * time.Second}

// maxHeader is how long a request's header may be, in bytes. net/http adds 4 KiB to it.
const maxHeader = 8 << 10

// Service listens from New until Run returns.
type Service struct {
	listener    net.Listener
	secure      bool
	numbers     *numbers
	connections *connections
	limits      limits
	http        *http.Server
	log         zerolog.Logger
}

// New opens the state folder and begins to listen; Run must be called then, and ends both. The error's code is Busy where
// another service has the folder or the port, and Denied for plain HTTP beyond loopback.
func New(c Config) (*Service, error) {
	config, err := c.security()
	if err != nil {
		return nil, err
	}
	if c.MaxConnections <= 0 {
		c.MaxConnections = 256
	}
	if c.limits == (limits{}) {
		c.limits = defaultLimits
	}
	numbers, err := openNumbers(c.State, time.Now())
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		err = fmt.Errorf("listening on %s: %w", c.Listen, err)
		if errors.Is(err, unix.EADDRINUSE) {
			err = shoal.Errorf(shoal.Busy, "%w; stop what listens there, or choose another port with --listen", err)
		}
		return nil, errors.Join(err, numbers.close())
	}
	s := &Service{listener: listener, numbers: numbers, connections: newConnections(c.MaxConnections), limits: c.limits, log: c.Log}
	if config != nil {
		s.listener, s.secure = tls.NewListener(listener, config), true
	}
	s.http = s.server()
	return s, nil
}

// Device is who the service is in the log, by a key in its state folder that is made there if it is not.
func Device(state string) (shoal.DeviceID, error) {
	if err := os.MkdirAll(state, 0o700); err != nil {
		return shoal.DeviceID{}, fmt.Errorf("making the state folder: %w", err)
	}
	key, err := identity.LoadKey(filepath.Join(state, "device.key"))
	if err != nil {
		return shoal.DeviceID{}, err
	}
	return key.Device(), nil
}

// security loads the certificate; nil stands for plain HTTP, which is for loopback alone.
func (c *Config) security() (*tls.Config, error) {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return nil, shoal.Errorf(shoal.BadRequest, "the address to listen on must be HOST:PORT or :PORT: %w", err)
	}
	switch {
	case (c.Certificate == "") != (c.Key == ""):
		return nil, shoal.Errorf(shoal.BadRequest, "a certificate and its key belong together; give both --cert and --key, or neither")
	case c.Certificate != "":
		pair, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
		if err != nil {
			return nil, shoal.Errorf(shoal.BadRequest, "reading the certificate %s and its key %s: %w", c.Certificate, c.Key, err)
		}
		return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}, KeyLogWriter: c.KeyLog}, nil
	}
	if shoal.IsLoopback(host) {
		return nil, nil
	}
	return nil, shoal.Errorf(shoal.Denied, "plain HTTP is for loopback addresses only, and %q is none; give a certificate with --cert and --key, or listen on 127.0.0.1", host)
}

func (s *Service) server() *http.Server {
	return &http.Server{
		Handler:           s,
		ReadHeaderTimeout: s.limits.header,
		ReadTimeout:       s.limits.request,
		WriteTimeout:      s.limits.reply,
		IdleTimeout:       s.limits.idle,
		MaxHeaderBytes:    maxHeader,
		ConnState:         s.connections.note,
		ConnContext:       inContext,
		ErrorLog:          stdlog.New(noise{s.log}, "", 0),
	}
}

// noise logs what net/http finds wrong with clients.
type noise struct{ log zerolog.Logger }

func (n noise) Write(line []byte) (int, error) {
	n.log.Debug().Bytes("reason", line).Msg("a connection failed")
	return len(line), nil
}

// Addr is the address that the service listens on.
func (s *Service) Addr() net.Addr { return s.listener.Addr() }

// URL is where the service answers, by the address that it listens on; its contract is at that with ?wsdl behind.
func (s *Service) URL() string { return s.url(s.Addr().String()) }

func (s *Service) url(host string) string {
	if s.secure {
		return "https://" + host + soap.Path
	}
	return "http://" + host + soap.Path
}

// Run serves until ctx ends, and returns when every connection is closed and the state folder released. The error says
// what went wrong then, or that listening ended by itself; the end of ctx is none.
func (s *Service) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(s.listener) }()
	var err error
	select {
	case <-ctx.Done():
	case err = <-served:
		served <- nil
		err = fmt.Errorf("accepting connections: %w", err)
	}
	s.connections.closeQuiet()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.limits.end)
	defer cancel()
	if s.http.Shutdown(last) != nil {
		s.http.Close() // those who take no reply get none
	}
	<-served
	s.connections.wait()
	return errors.Join(err, s.numbers.close())
}
