package identity

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

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
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH); err != nil { // until f is closed
		return nil, fmt.Errorf("reading pinned realms: locking %s: %w", p.path, err)
	}
	return p.read(f)
}

// read parses the file, which the caller has locked.
func (p Pins) read(f *os.File) ([]Pin, error) {
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
	if err := lines.Err(); err != nil {
		return nil, shoal.Errorf(shoal.Untrusted, "reading pinned realms from %s: %w", p.path, err)
	}
	return pins, nil
}

// Lookup returns the realm pinned for server, if any.
func (p Pins) Lookup(server string) (realm shoal.RealmKey, pinned bool, err error) {
	pins, err := p.All()
	if err != nil {
		return realm, false, err
	}
	realm, pinned = find(pins, server)
	return realm, pinned, nil
}

func find(pins []Pin, server string) (realm shoal.RealmKey, pinned bool) {
	i := slices.IndexFunc(pins, func(pin Pin) bool { return pin.Server == server })
	if i < 0 {
		return realm, false
	}
	return pins[i].Realm, true
}

// Add pins realm for server and syncs it to disk. A server that is pinned already keeps its pin: for another realm that
// is an error with code Untrusted. A name that cannot stand in a line of its own is refused with BadRequest.
func (p Pins) Add(server string, realm shoal.RealmKey) error {
	if server == "" || server[0] == '#' || strings.ContainsFunc(server, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return shoal.Errorf(shoal.BadRequest, "%q is not the HOST:PORT of a server", server)
	}
	f, err := os.OpenFile(p.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("pinning a realm: %w", err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil { // until f is closed
		return fmt.Errorf("pinning a realm: locking %s: %w", p.path, err)
	}
	pins, err := p.read(f)
	if err != nil {
		return err
	}
	if was, pinned := find(pins, server); pinned {
		if was != realm {
			return p.Mismatch(server, was, realm)
		}
		return nil
	}
	line := fmt.Sprintf("%s %s\n", server, realm)
	if open, err := endsWithinLine(f); err != nil {
		return fmt.Errorf("pinning a realm: %w", err)
	} else if open {
		line = "\n" + line
	}
	if _, err := f.WriteString(line); err != nil {
		return fmt.Errorf("pinning a realm: %w", err)
	}
	return errors.Join(f.Sync(), syncFolder(filepath.Dir(p.path)))
}

// endsWithinLine reports whether the file's last line has no end, as editors may leave it.
func endsWithinLine(f *os.File) (bool, error) {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return false, err
	}
	var last [1]byte
	_, err = f.ReadAt(last[:], info.Size()-1)
	return last[0] != '\n', err
}

// Mismatch is the error for a server that answers with another realm than the one trusted.
func (p Pins) Mismatch(server string, trusted, answered shoal.RealmKey) error {
	return shoal.Errorf(shoal.Untrusted, "the server at %s is not of the realm it was: pinned %s, answering %s. "+
		"Somebody may be in between. If the realm was really replaced, ask its keeper for the new fingerprint, remove the server's line from %s, and pin the new one with --pin",
		server, trusted, answered, p.path)
}
