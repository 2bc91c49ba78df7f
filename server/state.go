package server

import (
	"io"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"shoal"
	"shoal/folder"
	"shoal/identity"
)

// certificateLasts is how long a certificate for the server's key holds, in the server's own time.
const certificateLasts = 30 * 24 * time.Hour

// serverKey is the file of the server's own key.
const serverKey = "server.key"

// state is the server's folder: the realm's key, the server's own, and that which signs tickets.
type state struct {
	dir         string
	realm       *identity.Key  // the root; nil where it is kept elsewhere
	public      shoal.RealmKey // the root's
	successions []byte         // the chain to it from the realm's first root key
	server      *identity.Key
	lock        io.Closer // held as long as it is open

	mu          sync.Mutex // guards what is below
	ticket      *identity.Key
	serverCert  []byte // of server, without the successions
	renew       time.Time
	ticketCert  []byte // of ticket, without
	renewTicket time.Time
}

// openState reads the folder, making what is missing, and keeps other servers out of it. The error has code Busy where
// there is one already.
func openState(dir string) (*state, error) {
	s, err := lockState(dir)
	if err != nil {
		return nil, err
	}
	if err := s.load(dir); err != nil {
		s.lock.Close()
		return nil, err
	}
	return s, nil
}

// lockState keeps others out of the folder, and reads nothing.
func lockState(dir string) (*state, error) {
	lock, err := folder.Lock(dir, "server")
	if err != nil {
		return nil, err
	}
	return &state{dir: dir, lock: lock}, nil
}

func (s *state) load(dir string) (err error) {
	if s.server, err = identity.LoadKey(filepath.Join(dir, serverKey)); err != nil {
		return err
	}
	if s.ticket, err = identity.LoadKey(filepath.Join(dir, ticketKey)); err != nil {
		return err
	}
	return s.loadRealm(dir)
}

// certify returns the successions and the realm's certificate for the server's key, a new one when half the life of the last has passed.
func (s *state) certify() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); s.realm != nil && (s.serverCert == nil || !now.Before(s.renew)) {
		s.serverCert = identity.CertifyServer(s.realm, s.server.Public(), now, certificateLasts)
		s.renew = now.Add(certificateLasts / 2)
	}
	return slices.Concat(s.successions, s.serverCert)
}

// certifyTickets does as certify does for the key that signs tickets, and returns that, too. The error has code Busy where the certificate has
// expired, and the root key is elsewhere.
func (s *state) certifyTickets() (*identity.Key, []byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.realm != nil && (s.ticketCert == nil || !now.Before(s.renewTicket)) {
		s.ticketCert = identity.CertifyTicketKey(s.realm, s.ticket.Public(), now, certificateLasts)
		s.renewTicket = now.Add(certificateLasts / 2)
	}
	if expires, err := identity.Expires(s.ticketCert); err != nil || !now.Before(expires) {
		return nil, nil, shoal.Errorf(shoal.Busy, "the server's certificate for tickets has expired; whoever runs it must import the realm's root key (shoal server realm import)")
	}
	return s.ticket, slices.Concat(s.successions, s.ticketCert), nil
}

func (s *state) close() error { return s.lock.Close() }
