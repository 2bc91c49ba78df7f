package identity

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"shoal"
	"shoal/folder"
)

const (
	rootType        = "SHOAL REALM ROOT KEY" // PKCS #8 (RFC 5958) in PEM
	rootFingerprint = "Fingerprint"
	successionsType = "SHOAL REALM SUCCESSIONS" // statements
	rootPreamble    = `This is the root key of a Shoal realm. Whoever has it can speak for the whole realm: certify servers, and rotate or
revoke keys. Keep it offline, in two places. The servers of the realm do not need it from day to day.

`
)

// ExportRoot writes a realm's root key to a new file: text that says what it is, mode 0600. successions is the chain to it
// from the realm's first root key, so that whoever has the file can follow; nil where it is the first one. The error has code Exists
// where there is something already; nothing is overwritten.
func ExportRoot(path string, root *Key, successions []byte) error {
	der, err := x509.MarshalPKCS8PrivateKey(root.private)
	if err != nil {
		return fmt.Errorf("exporting the realm's root key: %w", err)
	}
	fingerprint := shoal.RealmKey(root.public).String()
	armored := pem.EncodeToMemory(&pem.Block{Type: rootType, Headers: map[string]string{rootFingerprint: fingerprint}, Bytes: der})
	if len(successions) > 0 {
		armored = append(armored, pem.EncodeToMemory(&pem.Block{Type: successionsType, Bytes: successions})...)
	}
	err = folder.Create(path, append([]byte(rootPreamble), armored...))
	if errors.Is(err, fs.ErrExist) {
		return shoal.Errorf(shoal.Exists, "%s exists; it is not overwritten, so give the realm's root key a new file", path)
	}
	if err != nil {
		return fmt.Errorf("exporting the realm's root key: %w", err)
	}
	return nil
}

// checkSuccessions checks that a chain leads to a root key from where it begins. That it has expired is no fault of the
// file.
func checkSuccessions(chain []byte, root [32]byte) error {
	all, err := parseChain(chain)
	if err != nil {
		return err
	}
	at := all[0].issuer
	for _, s := range all {
		if s.says != SaysSuccessor {
			return shoal.Errorf(shoal.Untrusted, "a statement of kind %d: %w", s.says, RefusedChain)
		}
		if err := s.verifyOrigin(at, time.UnixMilli(s.issued)); err != nil {
			return err
		}
		if at, err = namedKey(s); err != nil {
			return err
		}
	}
	if at != root {
		return shoal.Errorf(shoal.Untrusted, "it leads to another key: %w", RefusedChain)
	}
	return nil
}

// ImportRoot reads what ExportRoot wrote. A file that others may read is refused with code Untrusted, one that is
// something else or damaged with Corrupt.
func ImportRoot(path string) (root *Key, successions []byte, err error) {
	text, err := readSecret(path)
	if err != nil {
		return nil, nil, err
	}
	block, rest := pem.Decode(text)
	succession, after := pem.Decode(rest)
	if succession != nil && succession.Type != successionsType {
		succession = nil
	}
	switch {
	case block == nil:
		return nil, nil, shoal.Errorf(shoal.Corrupt, "%s is no exported root key of a realm, or damaged", path)
	case block.Type != rootType:
		return nil, nil, shoal.Errorf(shoal.Corrupt, "%s is no exported root key of a realm: it says %q", path, block.Type)
	case len(bytes.TrimSpace(rest)) > 0 && succession == nil || len(bytes.TrimSpace(after)) > 0:
		return nil, nil, shoal.Errorf(shoal.Corrupt, "%s has more in it than a root key; import a file with that alone", path)
	}
	root, err = parseKey(block.Bytes)
	if err != nil {
		return nil, nil, shoal.Errorf(shoal.Corrupt, "the root key in %s is damaged: %w", path, err)
	}
	if fingerprint := shoal.RealmKey(root.public).String(); block.Headers[rootFingerprint] != fingerprint {
		return nil, nil, shoal.Errorf(shoal.Corrupt, "the root key in %s is that of %s, and not, as it says, of %q", path, fingerprint, block.Headers[rootFingerprint])
	}
	if succession != nil {
		if err := checkSuccessions(succession.Bytes, root.public); err != nil {
			return nil, nil, shoal.Errorf(shoal.Corrupt, "the root key in %s does not follow from the realm's first one, as it says: %w", path, err)
		}
		successions = succession.Bytes
	}
	return root, successions, nil
}
