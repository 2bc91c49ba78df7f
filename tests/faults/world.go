package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/identity"
	"shoal/rpclog"
	"shoal/rpclog/sender"
	"shoal/server"
	"shoal/wire"
)

// World is a server that logs to a log service and asks an enrichment service, each through a proxy.
type World struct {
	Log, Soap           *Service
	LogProxy, SoapProxy *Proxy

	dir    string
	device shoal.DeviceID // the server's
	writer *sender.Writer
	server *server.Server
	cancel context.CancelFunc
	ended  chan error
}

// overPlaintext keeps encryption out of what is measured.
var overPlaintext = identity.Transport{Security: wire.Plaintext}

// Open starts everything in the folder dir. program is the shoal to run as services. Close must be called.
func Open(program, dir string) (_ *World, err error) {
	w := &World{dir: dir, ended: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	if w.Log, err = StartService(program, w.path("rpclog.err"), "rpclog", "--state", w.path("rpclog")); err != nil {
		return w, err
	}
	if w.LogProxy, err = NewProxy(w.Log.Said("address")); err != nil {
		return w, err
	}
	if w.Soap, err = StartService(program, w.path("soap.err"), "soap", "--state", w.path("soap")); err != nil {
		return w, err
	}
	if w.SoapProxy, err = NewProxy(w.Soap.Said("address")); err != nil {
		return w, err
	}
	return w, w.startServer()
}

func (w *World) path(name string) string { return filepath.Join(w.dir, name) }

func (w *World) startServer() error {
	state := w.path("server")
	var err error
	if w.device, err = server.Device(state); err != nil {
		return err
	}
	key, err := rpclog.LoadKey(w.Log.Said("key"))
	if err != nil {
		return err
	}
	w.writer, err = sender.Open(sender.Config{
		Service: w.LogProxy.Address(), Key: key, Device: w.device, Spool: w.path("spool"), Log: zerolog.Nop(),
	})
	if err != nil {
		return err
	}
	w.server, err = server.New(context.Background(), server.Config{
		Listen: "127.0.0.1:0", State: state, Transport: overPlaintext,
		Logger: zerolog.New(w.writer).With().Timestamp().Logger(),
		Soap:   w.soapURL(),
	})
	if err != nil {
		return err
	}
	var ctx context.Context
	ctx, w.cancel = context.WithCancel(context.Background())
	go func() { w.ended <- w.server.Run(ctx) }()
	return nil
}

// user is the one whose devices all are.
const user = "user"

func (w *World) makeUser(ctx context.Context) error {
	return server.CreateUser(ctx, w.path("server"), server.Etcd{}, user, []byte("correct horse"), zerolog.Nop())
}

// enrol makes a device the user's, as whoever runs the server does it where no password may be sent.
func (w *World) enrol(ctx context.Context, device shoal.DeviceID) error {
	return server.AddDevice(ctx, w.path("server"), server.Etcd{}, user, device, "", zerolog.Nop())
}

// soapURL is where the enrichment service is found through the proxy.
func (w *World) soapURL() string { return "http://" + w.SoapProxy.Address() }

// EndServer ends the server, and its log. It returns what became of the lines.
func (w *World) EndServer() (sender.Counts, error) {
	if w.cancel == nil {
		return sender.Counts{}, nil
	}
	w.cancel()
	w.cancel = nil
	err := <-w.ended
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err = errors.Join(err, w.writer.Close(ctx))
	counts := w.writer.Counts()
	w.writer = nil
	return counts, err
}

// Settle waits until the log service has acknowledged everything that was logged so far.
func (w *World) Settle(ctx context.Context) error {
	for every := time.NewTicker(10 * time.Millisecond); ; {
		if c := w.writer.Counts(); c.Spooled+c.Queued == 0 {
			every.Stop()
			return nil
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return fmt.Errorf("the log did not arrive: %+v: %w", w.writer.Counts(), context.Cause(ctx))
		}
	}
}

// Close ends everything.
func (w *World) Close() error {
	_, err := w.EndServer()
	if w.writer != nil { // a server that did not start
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		err = errors.Join(err, w.writer.Close(ctx))
	}
	for _, p := range []*Proxy{w.LogProxy, w.SoapProxy} {
		if p != nil {
			p.Close()
		}
	}
	for _, s := range []*Service{w.Log, w.Soap} {
		if s != nil {
			err = errors.Join(err, s.Close())
		}
	}
	return errors.Join(err, os.RemoveAll(w.path("server")))
}
