package identity

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"shoal"
)

// Pins are the realms that this device trusts: a text file with a line "HOST:PORT FINGERPRINT" for each server. Several
// processes may use it at once.
type Pins struct{ path string }

// OpenPins uses the file at path, which need not exist yet.
func OpenPins(path string) Pins { return Pins{path} }

// Pin is one line: the realm pinned for a server.
type Pin struct {
	Server string
	Realm  shoal.RealmKey
}

// All returns the pins in the order in which they were made. A line that cannot be read is an error: guessing at whom
// to trust is worse than stopping.
func (p Pins) All() ([]Pin, error) {
	f, err := os.Open(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading pinned realms: %w", err)
	}
	defer f.Close()
	var pins []Pin
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		server, fingerprint, ok := strings.Cut(line, " ")
		realm, err := shoal.ParseRealmKey(strings.TrimSpace(fingerprint))
		if !ok || err != nil {
			return nil, shoal.Errorf(shoal.Untrusted, "line %d of %s is not \"HOST:PORT FINGERPRINT\"; correct or remove it", n, p.path)
		}
		pins = append(pins, Pin{server, realm})
	}
	return pins, lines.Err()
}

// Lookup returns the realm pinned for server, if any.
func (p Pins) Lookup(server string) (realm shoal.RealmKey, pinned bool, err error) {
	pins, err := p.All()
	if err != nil {
		return realm, false, err
	}
	for _, pin := range pins {
		if pin.Server == server {
			return pin.Realm, true, nil
		}
	}
	return realm, false, nil
}

// Add pins realm for server and syncs it to disk. A server that is pinned already keeps its pin: for another realm that
// is an error with code Untrusted.
func (p Pins) Add(server string, realm shoal.RealmKey) error {
	f, err := os.OpenFile(p.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("pinning a realm: %w", err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil { // until f is closed
		return fmt.Errorf("pinning a realm: locking %s: %w", p.path, err)
	}
	switch was, pinned, err := p.Lookup(server); {
	case err != nil:
		return err
	case pinned && was != realm:
		return p.Mismatch(server, was, realm)
	case pinned:
		return nil
	}
	if _, err := fmt.Fprintf(f, "%s %s\n", server, realm); err != nil {
		return fmt.Errorf("pinning a realm: %w", err)
	}
	return errors.Join(f.Sync(), syncFolder(filepath.Dir(p.path)))
}

// Mismatch is the error for a server that answers with another realm than the one trusted.
func (p Pins) Mismatch(server string, trusted, answered shoal.RealmKey) error {
	return shoal.Errorf(shoal.Untrusted, "the server at %s is not of the realm it was: pinned %s, answering %s. "+
		"Somebody may be in between. If the realm was really replaced, ask its keeper for the new fingerprint, remove the server's line from %s, and pin the new one with --pin",
		server, trusted, answered, p.path)
}
