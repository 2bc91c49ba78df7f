package shoal

import (
	"encoding/base32"
	"encoding/hex"
	"strings"
)

// Hash is a 32-byte BLAKE3 output: a root hash, or the chaining value of a subtree.
type Hash = [32]byte

// FileID is the BLAKE3-256 hash of a file's bytes, as b3sum prints it. It identifies content, never permission.
type FileID [32]byte

// String returns the 64 lower-case hexadecimal characters that b3sum prints.
func (f FileID) String() string { return hex.EncodeToString(f[:]) }

// ParseFileID reads the 64 hexadecimal characters of a FileID. The error has code BadRequest.
func ParseFileID(s string) (FileID, error) {
	var f FileID
	if len(s) != 2*len(f) {
		return f, Errorf(BadRequest, "a FileID is 64 hexadecimal characters, not %d", len(s))
	}
	if _, err := hex.Decode(f[:], []byte(s)); err != nil {
		return f, Errorf(BadRequest, "a FileID is 64 hexadecimal characters: %v", err)
	}
	return f, nil
}

// MarshalText and UnmarshalText make FileIDs readable in JSON.
func (f FileID) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText is ParseFileID in place.
func (f *FileID) UnmarshalText(b []byte) error {
	parsed, err := ParseFileID(string(b))
	*f = parsed
	return err
}

// keyEncoding writes public keys: they look unlike FileIDs, and a double click selects a whole one.
var keyEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

func formatKey(key [32]byte) string { return strings.ToLower(keyEncoding.EncodeToString(key[:])) }

func parseKey(what, s string) (key [32]byte, err error) {
	raw, err := keyEncoding.DecodeString(strings.ToUpper(s))
	if err != nil || len(raw) != len(key) {
		return key, Errorf(BadRequest, "%s is 52 characters of a-z and 2-7", what)
	}
	copy(key[:], raw)
	// The last character carries one bit of padding: accept one spelling only.
	if formatKey(key) != strings.ToLower(s) {
		return key, Errorf(BadRequest, "%s is not in its canonical form", what)
	}
	return key, nil
}

// DeviceID is the Ed25519 public key of one installation.
type DeviceID [32]byte

// String returns the 52 characters of the device's key in base32 (RFC 4648 section 6, lower case, no padding).
func (d DeviceID) String() string { return formatKey(d) }

// ParseDeviceID reads what String returns. The error has code BadRequest.
func ParseDeviceID(s string) (DeviceID, error) {
	key, err := parseKey("a device", s)
	return key, err
}

// MarshalText makes DeviceIDs readable in JSON.
func (d DeviceID) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText is ParseDeviceID in place.
func (d *DeviceID) UnmarshalText(b []byte) error {
	parsed, err := ParseDeviceID(string(b))
	*d = parsed
	return err
}

// RealmKey is the Ed25519 public key that all of a realm's authority chains to. Clients pin it. Its text form is the
// realm's fingerprint: the whole key, so that nothing needs to be looked up or hashed to compare two.
type RealmKey [32]byte

// String returns the realm's fingerprint, 52 characters.
func (r RealmKey) String() string { return formatKey(r) }

// ParseRealmKey reads what String returns. The error has code BadRequest.
func ParseRealmKey(s string) (RealmKey, error) {
	key, err := parseKey("a realm's fingerprint", s)
	return key, err
}
