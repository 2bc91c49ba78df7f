// Package identity says who is at the other end of a connection and whose word to take: device, server and realm keys,
// the statements they sign, and the handshake that binds a key to a connection (wire/PROTOCOL.md sections 2, 4 and 5).
// TLS certificates have no part in it.
package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"shoal"
	"shoal/folder"
	"shoal/wire"
)

const pemType = "PRIVATE KEY" // PKCS #8 (RFC 5958), as every tool reads it

// Key is an Ed25519 private key: a device's, a server's or a realm's. Immutable.
type Key struct {
	private ed25519.PrivateKey
	public  [32]byte
}

// NewKey makes a fresh key that exists in memory only.
func NewKey() *Key {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err) // crypto/rand never fails
	}
	return wrapKey(private)
}

func wrapKey(private ed25519.PrivateKey) *Key {
	return &Key{private, [32]byte(private.Public().(ed25519.PublicKey))}
}

// Public is the key's public half: a DeviceID, a RealmKey or a server's key.
func (k *Key) Public() [32]byte { return k.public }

// Device is the public half as a DeviceID.
func (k *Key) Device() shoal.DeviceID { return k.public }

func (k *Key) sign(message []byte) (s wire.Signature) {
	copy(s[:], ed25519.Sign(k.private, message))
	return s
}

// verify reports whether the holder of key signed message.
func verify(key [32]byte, message []byte, s wire.Signature) bool {
	return !weak(key) && ed25519.Verify(key[:], message, s[:])
}

// smallOrder are the encodings of the curve's points of small order, but for the sign bit. A key that is one of them
// has no secret: anybody can sign for it, and what RFC 8032 demands of a verifier does not catch that.
var smallOrder = [...]string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}

func weak(key [32]byte) bool {
	key[31] &= 0x7f
	return slices.Contains(smallOrder[:], hex.EncodeToString(key[:]))
}

// LoadKey reads the key in the file at path, and makes one there first (mode 0600) if there is none. Several processes
// may do so at once: all get the same key. A file that others may read is refused.
func LoadKey(path string) (*Key, error) {
	key, err := readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := createKey(path); err != nil {
		return nil, fmt.Errorf("making the key %s: %w", path, err)
	}
	return readKey(path)
}

func readKey(path string) (*Key, error) {
	buf, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	defer clear(buf)
	block, _ := pem.Decode(buf)
	if block != nil {
		defer clear(block.Bytes)
	}
	if block == nil || block.Type != pemType {
		return nil, shoal.Errorf(shoal.Corrupt, "%s is not a private key in PEM; restore it from a backup, or move it away to get a new identity", path)
	}
	key, err := parseKey(block.Bytes)
	if err != nil {
		return nil, shoal.Errorf(shoal.Corrupt, "%s does not hold an Ed25519 key; restore it from a backup, or move it away to get a new identity", path)
	}
	return key, nil
}

// readSecret reads the first 4 KiB of a file that nobody else may read.
func readSecret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading a key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading the key %s: %w", path, err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, shoal.Errorf(shoal.Untrusted, "the key %s can be read by others; if it is still secret, run: chmod 600 %s", path, path)
	}
	buf := make([]byte, min(info.Size(), 4096))
	if _, err := f.ReadAt(buf, 0); err != nil {
		return nil, fmt.Errorf("reading the key %s: %w", path, err)
	}
	return buf, nil
}

var errNoKey = errors.New("no Ed25519 key in PKCS #8")

func parseKey(der []byte) (*Key, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	private, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, errNoKey
	}
	return wrapKey(private), nil
}

// ReplaceKey makes a new key in the place of the one at path: a crash leaves the old one or the new one.
func ReplaceKey(path string) (*Key, error) {
	key := NewKey()
	der, err := x509.MarshalPKCS8PrivateKey(key.private)
	if err == nil {
		err = folder.Replace(path, pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}))
	}
	if err != nil {
		return nil, fmt.Errorf("replacing the key %s: %w", path, err)
	}
	return key, nil
}

// createKey makes a new key at path; the first of several processes wins.
func createKey(path string) error {
	der, err := x509.MarshalPKCS8PrivateKey(NewKey().private)
	if err != nil {
		return err
	}
	err = folder.Create(path, pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}))
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}
