package server

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"shoal"
	"shoal/folder"
	"shoal/identity"
)

const (
	// offlineLasts is how long a server lives without the root key.
	offlineLasts = 366 * 24 * time.Hour
	// succeedsFor is how long those who know only an earlier root key are led to its successor.
	succeedsFor = 5 * 366 * 24 * time.Hour
	// maxSuccessions is how many root keys can follow each other: a chain to a ticket has two statements more, and no more
	// than eight.
	maxSuccessions = 5
)

// RootKey is the realm's root key in a state folder, for whoever holds it. No server may be running.
type RootKey struct {
	dir   string
	state *state
}

// OpenRootKey locks a server's state folder. Close must be called. The error has code Busy where a server runs.
func OpenRootKey(dir string) (*RootKey, error) {
	s, err := openState(dir)
	if err != nil {
		return nil, err
	}
	return &RootKey{dir, s}, nil
}

// Close gives the folder up.
func (r *RootKey) Close() error { return r.state.close() }

// Realm is the root's public key.
func (r *RootKey) Realm() shoal.RealmKey { return r.state.public }

var errNoRoot = shoal.Errorf(shoal.NotFound, "the realm's root key is not in this folder; import it first (shoal server realm import)")

// Export writes the root key to a new file. With away, it is not in the folder any more then: the server can run for a
// year without it. The error has code Exists for a file that is there, and NotFound where the key is away.
func (r *RootKey) Export(path string, away bool) error {
	s := r.state
	if s.realm == nil {
		return errNoRoot
	}
	if err := identity.ExportRoot(path, s.realm, s.successions); err != nil || !away {
		return err
	}
	now := time.Now()
	certificates := map[string][]byte{
		serverCert: identity.CertifyServer(s.realm, s.server.Public(), now, offlineLasts),
		ticketCert: identity.CertifyTicketKey(s.realm, s.ticket.Public(), now, offlineLasts),
	}
	for name, c := range certificates {
		if err := folder.Replace(filepath.Join(r.dir, name), c); err != nil {
			return err
		}
	}
	return removeKeys(r.dir, s.public)
}

// removeKeys takes root keys out of the folder.
func removeKeys(dir string, roots ...shoal.RealmKey) error {
	paths := []string{filepath.Join(dir, rootKey)}
	for _, root := range roots {
		paths = append(paths, rootFile(dir, root))
	}
	for _, path := range paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// ImportRootKey puts an exported root key into a server's state folder: back where it was taken from; into a new folder,
// which is of that realm then; or into the folder of another server of the realm than the one where the key was rotated. It
// returns the realm. The error has code Exists for the folder of another realm.
func ImportRootKey(dir, path string) (realm shoal.RealmKey, err error) {
	root, successions, err := identity.ImportRoot(path)
	if err != nil {
		return realm, err
	}
	realm = root.Public()
	s, err := lockState(dir)
	if err != nil {
		return realm, err
	}
	defer s.close()
	was, known, err := rootOf(dir)
	if err != nil {
		return realm, err
	}
	switch was {
	case shoal.RealmKey{}:
	case realm:
		if root, err := loadRoot(dir, realm); err != nil || root != nil {
			return realm, err // it is there
		}
		successions = known
	default:
		if led, err := identity.NewAuthority(was).VerifySuccession(successions, time.Now()); err != nil || led != realm {
			return realm, shoal.Errorf(shoal.Exists, "the folder %s is of another realm; import into the folder that the key was exported from, "+
				"into that of another server of the same realm, or into a new one", dir)
		}
	}
	if file := rootFile(dir, realm); !exists(file) { // else this was begun before
		if err := identity.ExportRoot(file, root, successions); err != nil {
			return realm, err
		}
	}
	// From here on it holds.
	err = folder.Replace(filepath.Join(dir, realmFile), encodeRealm(realm, successions))
	if err != nil || was == realm || was == (shoal.RealmKey{}) {
		return realm, err
	}
	return realm, removeKeys(dir, was)
}

// rootOf is the root key that a folder goes by, and the chain of successions to it; zero in a new one.
func rootOf(dir string) (root shoal.RealmKey, successions []byte, err error) {
	data, err := os.ReadFile(filepath.Join(dir, realmFile))
	if err == nil {
		return decodeRealm(data)
	}
	first := filepath.Join(dir, rootKey)
	if !errors.Is(err, fs.ErrNotExist) || !exists(first) {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return root, nil, err
	}
	key, err := identity.LoadKey(first) // of an earlier version
	if err != nil {
		return root, nil, err
	}
	return key.Public(), nil, nil
}

// Rotate makes a new root key, which the old one names as its successor, and returns its public key. Clients that know the
// old one follow. What the old one certified counts no more for those who did. The error has code NotFound where the root
// key is away, and Limit after too many rotations.
func (r *RootKey) Rotate() (realm shoal.RealmKey, err error) {
	s := r.state
	if s.realm == nil {
		return realm, errNoRoot
	}
	next := identity.NewKey()
	realm = next.Public()
	successions := slices.Concat(s.successions, identity.NameSuccessor(s.realm, next.Public(), time.Now(), succeedsFor))
	if statements := len(successions) / (len(successions) - len(s.successions)); statements > maxSuccessions {
		return realm, shoal.Errorf(shoal.Limit, "the root key was rotated %d times; more cannot be followed by those who know the first one", maxSuccessions)
	}
	if err := identity.ExportRoot(rootFile(r.dir, realm), next, successions); err != nil {
		return realm, err
	}
	// From here on it holds.
	if err := folder.Replace(filepath.Join(r.dir, realmFile), encodeRealm(realm, successions)); err != nil {
		return realm, err
	}
	was := s.public
	s.realm, s.public, s.successions, s.serverCert, s.ticketCert = next, realm, successions, nil, nil
	return realm, removeKeys(r.dir, was)
}
