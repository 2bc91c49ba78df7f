package rpclog

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"shoal"
)

// Key is what the service and its senders share, and nobody else knows.
type Key [32]byte

// macContext keeps MACs apart from whatever else the key may be used for.
const macContext = "shoal-log/1 mac"

func (k *Key) mac(batch []byte) []byte {
	h := hmac.New(sha256.New, k[:])
	h.Write([]byte(macContext))
	h.Write(batch)
	return h.Sum(nil)
}

// LoadKey reads a key file: 64 hexadecimal digits. The error has code NotFound where there is none, and Denied where
// others than its owner may read it.
func LoadKey(path string) (*Key, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, shoal.Errorf(shoal.NotFound, "there is no key file %s; the log service makes log.key in its state folder: copy that", path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the log key: %w", err)
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		return nil, shoal.Errorf(shoal.Denied, "others may read the key file %s; take that away: chmod 600 %[1]s", path)
	}
	k := new(Key)
	raw, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(raw) != len(k) {
		return nil, shoal.Errorf(shoal.BadRequest, "%s is no key file: it must hold 64 hexadecimal digits", path)
	}
	copy(k[:], raw)
	return k, nil
}

// OpenKey is LoadKey, but makes the file with a new key where there is none.
func OpenKey(path string) (*Key, error) {
	k := new(Key)
	rand.Read(k[:]) // never fails
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return LoadKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("making the log key: %w", err)
	}
	_, err = fmt.Fprintf(f, "%x\n", k[:])
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(path)
		return nil, fmt.Errorf("making the log key: %w", err)
	}
	return k, nil
}
