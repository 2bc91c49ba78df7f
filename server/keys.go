package server

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/folder"
	"shoal/identity"
	"shoal/server/meta"
	"shoal/server/registry"
)

// RealmInfo is what whoever holds a state folder may know of the realm's keys. Keys are in their text form.
type RealmInfo struct {
	Realm          string       `json:"realm"`
	RootHere       bool         `json:"root_here"`       // the root key is in the folder
	Server         string       `json:"server"`          // the key of the folder's server
	Tickets        string       `json:"tickets"`         // that which signs its tickets
	CertifiedUntil time.Time    `json:"certified_until"` // as the server's key is
	Rotations      int          `json:"rotations"`       // how many root keys there were before
	Revoked        []RevokedKey `json:"revoked"`
}

// RevokedKey is a key that does not count any more, and until when that is said.
type RevokedKey struct {
	Key   string    `json:"key"`
	Until time.Time `json:"until"`
}

// RealmOf tells of the keys of a server's state folder, whether the server runs or not.
func RealmOf(ctx context.Context, dir string, e Etcd, log zerolog.Logger) (RealmInfo, error) {
	reply, err := askServer(ctx, dir, e, &controlRequest{Keys: true}, log)
	if err != nil {
		return RealmInfo{}, err
	}
	return *reply.Realm, nil
}

// RevokeKey makes nothing count any more that goes through a key of the realm: clients are told at once, or when they
// connect, and remember it. In place of the folder's own key for tickets there is a new one then, and, where the server
// does not run, in place of its own as well. rootFile is an exported root key; "" where it is in the folder. The error has
// code NotFound where that is needed, BadRequest for a key that cannot be revoked, Busy for the key of the server that
// runs, or Limit.
func RevokeKey(ctx context.Context, dir string, e Etcd, key, rootFile string, log zerolog.Logger) error {
	if _, err := parseKey(key); err != nil {
		return err
	}
	if rootFile != "" {
		var err error
		if rootFile, err = filepath.Abs(rootFile); err != nil {
			return err
		}
	}
	_, err := askServer(ctx, dir, e, &controlRequest{Revoke: key, RootFile: rootFile}, log)
	return err
}

func parseKey(text string) ([32]byte, error) {
	key, err := shoal.ParseRealmKey(text)
	if err != nil {
		return key, shoal.Errorf(shoal.BadRequest, "%q is no key, which has 52 characters of a-z and 2-7; shoal server realm show lists the realm's", text)
	}
	return key, nil
}

// realmInfo is what RealmOf tells.
func (c *control) realmInfo() (*RealmInfo, error) {
	s := c.state
	certified, err := identity.Expires(s.certify())
	if err != nil {
		return nil, err
	}
	info := &RealmInfo{
		Realm: s.public.String(), RootHere: s.realm != nil, Server: s.server.Device().String(),
		Tickets: s.ticketPublic().String(), CertifiedUntil: certified.UTC(), Rotations: identity.Statements(s.successions),
	}
	for _, r := range c.registry.Revocations() {
		info.Revoked = append(info.Revoked, RevokedKey{shoal.RealmKey(r.Key).String(), r.Expires.UTC()})
	}
	return info, nil
}

// revoke does what RevokeKey says.
func (c *control) revoke(ctx context.Context, q *controlRequest) error {
	key, err := parseKey(q.Revoke)
	if err != nil {
		return err
	}
	root, err := c.state.root(q.RootFile)
	if err != nil {
		return err
	}
	own := key == c.state.server.Public()
	switch who, _ := c.registry.Who(key); {
	case key == c.state.public:
		return shoal.Errorf(shoal.BadRequest, "this is the realm's root key; replace it first (shoal server realm rotate)")
	case who.User != "":
		return shoal.Errorf(shoal.BadRequest, "this is the key of a device, of the user %q; end that with shoal device revoke", who.User)
	case own && c.runs:
		return shoal.Errorf(shoal.Busy, "this is the key of the server that runs here; stop it, revoke the key, and start it again")
	case own:
		err = c.state.replaceServerKey(root)
	case shoal.DeviceID(key) == c.state.ticketPublic():
		err = c.state.replaceTicketKey(root)
	}
	if err != nil {
		return err
	}
	return c.state.keepRevocation(ctx, c.keeper, root, key)
}

// keepRevocation signs a revocation and makes it part of the state. It lasts as long as anything that a root key
// certified.
func (s *state) keepRevocation(ctx context.Context, k *keeper, root *identity.Key, key [32]byte) error {
	now := time.Now()
	chain, err := identity.Chain(s.successions, identity.RevokeKey(root, key, now, succeedsFor))
	if err != nil {
		return err
	}
	_, err = k.apply(ctx, holder(s.server.Device()), &meta.Revoke{Revocation: meta.Revocation{
		Key: key, Chain: chain, Expires: now.Add(succeedsFor),
	}})
	return err
}

// root is the realm's root key: that of an exported file, or the folder's.
func (s *state) root(exported string) (*identity.Key, error) {
	if exported == "" {
		if s.realm == nil {
			return nil, shoal.Errorf(shoal.NotFound, "the realm's root key is not in this folder; say where it is with --root FILE")
		}
		return s.realm, nil
	}
	root, _, err := identity.ImportRoot(exported)
	if err == nil && root.Public() != s.public {
		err = shoal.Errorf(shoal.Untrusted, "%s is the root key of the realm %v, and the folder is of %v", exported, shoal.RealmKey(root.Public()), s.public)
	}
	return root, err
}

// ticketPublic is the public key that tickets are signed with.
func (s *state) ticketPublic() shoal.DeviceID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ticket.Device()
}

// replaceTicketKey makes a new key for tickets, which the root key certifies.
func (s *state) replaceTicketKey(root *identity.Key) error {
	next, err := identity.ReplaceKey(filepath.Join(s.dir, ticketKey))
	if err != nil {
		return err
	}
	certificate := identity.CertifyTicketKey(root, next.Public(), time.Now(), s.certifiesFor())
	if s.realm == nil {
		if err := folder.Replace(filepath.Join(s.dir, ticketCert), certificate); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ticket, s.ticketCert, s.renewTicket = next, certificate, time.Now().Add(certificateLasts/2)
	return nil
}

// replaceServerKey makes a new key for the server, which must not run.
func (s *state) replaceServerKey(root *identity.Key) error {
	next, err := identity.ReplaceKey(filepath.Join(s.dir, serverKey))
	if err != nil {
		return err
	}
	certificate := identity.CertifyServer(root, next.Public(), time.Now(), s.certifiesFor())
	if s.realm == nil {
		if err := folder.Replace(filepath.Join(s.dir, serverCert), certificate); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server, s.serverCert, s.renew = next, certificate, time.Now().Add(certificateLasts/2)
	return nil
}

// certifiesFor is how long what is certified holds: longer where the root key is elsewhere.
func (s *state) certifiesFor() time.Duration {
	if s.realm == nil {
		return offlineLasts
	}
	return certificateLasts
}

// replaceRevoked makes new keys in the place of those that were revoked while no server ran here. The error has code
// Untrusted where the root key, which must certify them, is elsewhere.
func (s *state) replaceRevoked(r *registry.Registry, log zerolog.Logger) error {
	for what, replace := range map[string]func(*identity.Key) error{"server": s.replaceServerKey, "tickets": s.replaceTicketKey} {
		key := s.server.Public()
		if what == "tickets" {
			key = s.ticketPublic()
		}
		if !isRevoked(r, key) {
			continue
		}
		if s.realm == nil {
			return shoal.Errorf(shoal.Untrusted, "the realm revoked this folder's key %v; to make a new one, import the realm's root key "+
				"(shoal server realm import)", shoal.DeviceID(key))
		}
		if err := replace(s.realm); err != nil {
			return err
		}
		log.Warn().Str("key", shoal.DeviceID(key).String()).Str("for", what).Msg("the realm revoked a key of this folder, which has a new one now")
	}
	return nil
}

func isRevoked(r *registry.Registry, key [32]byte) bool {
	is := r.Revocation(key)
	return is != nil && time.Now().Before(is.Expires)
}

// reissue signs the revocations again that an earlier root key signed: those who trust the present one do not believe
// them. Without the root key they stay as they are.
func (s *state) reissue(ctx context.Context, k *keeper, r *registry.Registry) (err error) {
	if s.realm == nil {
		return nil
	}
	now, authority := time.Now(), identity.NewAuthority(s.public)
	for _, old := range r.Revocations() {
		if _, _, invalid := authority.VerifyRevocation(old.Chain, now); invalid == nil || !now.Before(old.Expires) {
			continue
		}
		err = errors.Join(err, s.keepRevocation(ctx, k, s.realm, old.Key))
	}
	return err
}

// keysChanged has followKeys look at the realm's keys, and does not wait.
func (s *Server) keysChanged(changes []registry.Change) {
	for _, c := range changes {
		if c.Reason != registry.KeyRevoked && c.Reason != registry.RootReplaced {
			continue
		}
		select {
		case s.keys <- struct{}{}:
		default: // it will be looked at
		}
	}
}

// followKeys replaces the key for tickets when another server of the realm has revoked it, says so when the root key was
// rotated there, and returns an error when it is the server's own key that was revoked. It ends with ctx.
func (s *Server) followKeys(ctx context.Context) error {
	for {
		select {
		case <-s.keys:
		case <-ctx.Done():
			return nil
		}
		st, r := s.state, s.host.Registry
		if isRevoked(r, st.server.Public()) {
			return shoal.Errorf(shoal.Untrusted, "the realm revoked this server's key %v; "+
				"where its root key is in the state folder, the server makes a new one when it is started again", st.server.Device())
		}
		if realm := r.Realm(); realm.Root != st.public && st.precedes(realm) {
			s.log.Error().Err(rotatedElsewhere(st.public, realm.Root)).Msg("clients that have been told refuse this server, and the tickets that it gives")
		}
		if !isRevoked(r, st.ticketPublic()) {
			continue
		}
		err := errNoRoot
		if st.realm != nil {
			err = st.replaceTicketKey(st.realm)
		}
		if err != nil {
			s.log.Error().Err(err).Msg("the realm revoked the key that signs this server's tickets: nobody accepts them any more")
		}
	}
}
