package identity

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"

	"shoal"
	"shoal/folder"
)

const (
	rootType        = "SHOAL REALM ROOT KEY" // PKCS #8 (RFC 5958) in PEM
	rootFingerprint = "Fingerprint"
	rootPreamble    = `This is the root key of a Shoal realm. Whoever has it can speak for the whole realm: certify servers, and rotate or
revoke keys. Keep it offline, in two places. The servers of the realm do not need it from day to day.

`
)

// ExportRoot writes a realm's root key to a new file: text that says what it is, mode 0600. The error has code Exists
// where there is something already; nothing is overwritten.
func ExportRoot(path string, root *Key) error {
	der, err := x509.MarshalPKCS8PrivateKey(root.private)
	if err != nil {
		return fmt.Errorf("exporting the realm's root key: %w", err)
	}
	fingerprint := shoal.RealmKey(root.public).String()
	armored := pem.EncodeToMemory(&pem.Block{Type: rootType, Headers: map[string]string{rootFingerprint: fingerprint}, Bytes: der})
	err = folder.Create(path, append([]byte(rootPreamble), armored...))
	if errors.Is(err, fs.ErrExist) {
		return shoal.Errorf(shoal.Exists, "%s exists; it is not overwritten, so give the realm's root key a new file", path)
	}
	if err != nil {
		return fmt.Errorf("exporting the realm's root key: %w", err)
	}
	return nil
}

// ImportRoot reads what ExportRoot wrote. A file that others may read is refused with code Untrusted, one that is
// something else or damaged with Corrupt.
func ImportRoot(path string) (*Key, error) {
	text, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(text)
	switch {
	case block == nil:
		return nil, shoal.Errorf(shoal.Corrupt, "%s is no exported root key of a realm, or damaged", path)
	case block.Type != rootType:
		return nil, shoal.Errorf(shoal.Corrupt, "%s is no exported root key of a realm: it says %q", path, block.Type)
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, shoal.Errorf(shoal.Corrupt, "%s has more in it than a root key; import a file with that alone", path)
	}
	root, err := parseKey(block.Bytes)
	if err != nil {
		return nil, shoal.Errorf(shoal.Corrupt, "the root key in %s is damaged: %w", path, err)
	}
	if fingerprint := shoal.RealmKey(root.public).String(); block.Headers[rootFingerprint] != fingerprint {
		return nil, shoal.Errorf(shoal.Corrupt, "the root key in %s is that of %s, and not, as it says, of %q", path, fingerprint, block.Headers[rootFingerprint])
	}
	return root, nil
}
