package server

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/folder"
	"shoal/identity"
	"shoal/server/meta"
	"shoal/server/registry"
)

// The files of the state folder that are about the realm. Without the root key, which may be kept elsewhere, a server
// lives on the certificates that were made when it was taken away.
const (
	rootKey    = "realm.key"
	realmFile  = "realm"              // the root's public key, and the chain of its successions
	serverCert = "server.certificate" // by the root key, while it is away
	ticketKey  = "ticket.key"
	ticketCert = "ticket.certificate"
)

// settle makes the state in etcd and the keys in the folder belong together. On a fresh state it returns the code that
// makes the first user; "" else. The error has code Untrusted where the state is another realm's, or revoked keys cannot be
// replaced.
func (s *state) settle(ctx context.Context, k *keeper, r *registry.Registry, log zerolog.Logger) (identity.Code, error) {
	code, err := s.settleRoot(ctx, k, r, log)
	if err == nil {
		err = s.replaceRevoked(r, log)
	}
	if err == nil {
		err = s.reissue(ctx, k, r)
	}
	return code, err
}

// settleRoot does so for the root key.
func (s *state) settleRoot(ctx context.Context, k *keeper, r *registry.Registry, log zerolog.Logger) (identity.Code, error) {
	realm := r.Realm()
	var code identity.Code
	if !realm.Settled {
		code = identity.NewCode()
	}
	root := s.public
	switch {
	case realm.Root == root && code == "":
		return "", s.adopt(realm.Successors)
	case realm.Root != root && s.precedes(realm):
		return "", rotatedElsewhere(root, realm.Root)
	case realm.Root != root && realm.Root != (shoal.RealmKey{}) && !s.succeeds(realm.Root):
		return "", shoal.Errorf(shoal.Untrusted, "the state belongs to the realm %v, and the folder has the key of another one, %v: "+
			"import the right one (shoal server realm import)", realm.Root, root)
	}
	set := &meta.SetRealm{Was: realm.Root, Root: root, Tickets: realm.Tickets, Successors: realm.Successors}
	if len(s.successions) > 0 {
		set.Successors = [][]byte{s.successions}
	}
	if code != "" {
		set.FirstCode = code.Hash()
	}
	if _, err := k.apply(ctx, holder(s.server.Device()), set); err != nil {
		return "", fmt.Errorf("writing down the realm's key: %w", err)
	}
	if realm.Root != root && realm.Root != (shoal.RealmKey{}) {
		log.Info().Stringer("was", realm.Root).Stringer("is", root).Msg("the realm has another root key, which the one before it named")
	}
	if r.Realm().Settled {
		return "", nil
	}
	return code, nil
}

// adopt takes the chain of successions over from the state, where the folder was made from an exported key alone.
func (s *state) adopt(known [][]byte) error {
	if len(s.successions) > 0 || len(known) == 0 {
		return nil
	}
	s.successions = known[0]
	return folder.Replace(filepath.Join(s.dir, realmFile), encodeRealm(s.public, s.successions))
}

// holder is who asks for mutations with the rights of whoever has the state folder. They are never asked for again, so
// any number will do that was not used before.
func holder(device shoal.DeviceID) meta.ID {
	sum := sha256.Sum256(append([]byte("shoal state folder of "), device[:]...))
	return meta.ID{Device: sum, Sequence: uint64(time.Now().UnixNano()), Holder: true}
}

// succeeds reports whether the realm's key follows from an earlier one.
func (s *state) succeeds(earlier shoal.RealmKey) bool {
	certificate := s.certify()
	newest, err := identity.NewAuthority(earlier).VerifyServer(certificate, s.server.Public(), time.Now())
	return err == nil && newest == s.public
}

func rotatedElsewhere(from, to shoal.RealmKey) error {
	return shoal.Errorf(shoal.Untrusted, "the realm's root key was rotated at another server, from %v to %v: export it there "+
		"(shoal server realm export), and import it into this server's folder (shoal server realm import)", from, to)
}

// precedes reports whether the state's realm key follows from the folder's.
func (s *state) precedes(realm meta.Realm) bool {
	for _, chain := range realm.Successors {
		if led, err := identity.NewAuthority(s.public).VerifySuccession(chain, time.Now()); err == nil && led == realm.Root {
			return true
		}
	}
	return false
}

// signTicket is session.Tickets.Sign.
func (s *state) signTicket(t identity.Ticket) ([]byte, error) {
	key, chain, err := s.certifyTickets()
	if err != nil {
		return nil, err
	}
	return identity.SignTicket(key, chain, t)
}

// loadRealm reads the realm's public key and its successions, and the root key if it is there. In a folder of an earlier
// version, and in a fresh one, all that there is is the root key.
func (s *state) loadRealm(dir string) error {
	data, err := os.ReadFile(filepath.Join(dir, realmFile))
	if errors.Is(err, fs.ErrNotExist) {
		if s.realm, err = identity.LoadKey(filepath.Join(dir, rootKey)); err != nil {
			return err
		}
		s.public = s.realm.Public()
		return folder.Replace(filepath.Join(dir, realmFile), encodeRealm(s.public, nil))
	}
	if err != nil {
		return fmt.Errorf("reading the realm's key: %w", err)
	}
	if s.public, s.successions, err = decodeRealm(data); err != nil {
		return err
	}
	if s.realm, err = loadRoot(dir, s.public); s.realm == nil && err == nil {
		return s.loadCertificates(dir)
	}
	return err
}

// rootFile is where a root key is that was imported, or made by a rotation.
func rootFile(dir string, root shoal.RealmKey) string {
	return filepath.Join(dir, fmt.Sprintf("root-%x.key", root[:8]))
}

// loadRoot reads the root key; nil where it is kept elsewhere.
func loadRoot(dir string, public shoal.RealmKey) (root *identity.Key, err error) {
	path := rootFile(dir, public)
	if _, err := os.Lstat(path); err == nil {
		root, _, err = identity.ImportRoot(path)
		if err != nil {
			return nil, err
		}
	} else if path = filepath.Join(dir, rootKey); !exists(path) {
		return nil, nil
	} else if root, err = identity.LoadKey(path); err != nil {
		return nil, err
	}
	if is := shoal.RealmKey(root.Public()); is != public {
		return nil, shoal.Errorf(shoal.Corrupt, "%s is the key of the realm %v, and the folder is of %v; move it away, and import the right one "+
			"(shoal server realm import)", path, is, public)
	}
	return root, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// loadCertificates reads those that were made for the time without the root key.
func (s *state) loadCertificates(dir string) (err error) {
	for name, to := range map[string]*[]byte{serverCert: &s.serverCert, ticketCert: &s.ticketCert} {
		if *to, err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			return shoal.Errorf(shoal.Untrusted, "the realm's root key is not in the folder, nor what it certified before it was taken away: "+
				"import it (shoal server realm import): %w", err)
		}
	}
	return nil
}

// A realm file is a line, the root's public key, and the length (4 bytes, big endian) and bytes of its successions.
const realmMagic = "shoal realm 1\n"

func encodeRealm(root shoal.RealmKey, successions []byte) []byte {
	b := append([]byte(realmMagic), root[:]...)
	return append(binary.BigEndian.AppendUint32(b, uint32(len(successions))), successions...)
}

func decodeRealm(data []byte) (root shoal.RealmKey, successions []byte, err error) {
	head := len(realmMagic) + len(root) + 4
	if len(data) < head || string(data[:len(realmMagic)]) != realmMagic ||
		int(binary.BigEndian.Uint32(data[head-4:head])) != len(data)-head {
		return root, nil, shoal.Errorf(shoal.Corrupt, "the file %q of the state folder makes no sense; import the realm's root key (shoal server realm import)", realmFile)
	}
	copy(root[:], data[len(realmMagic):])
	return root, data[head:], nil
}
