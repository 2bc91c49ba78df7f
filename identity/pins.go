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
	"shoal/folder"
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
	f, err := p.lock()
	if err != nil {
		return err
	}
	defer f.Close()
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
	return errors.Join(f.Sync(), folder.Sync(filepath.Dir(p.path)))
}

// lock opens the file, which need not exist, and keeps all others from changing it until it is closed.
func (p Pins) lock() (*os.File, error) {
	for {
		f, err := os.OpenFile(p.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return nil, fmt.Errorf("pinning a realm: %w", err)
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil { // until f is closed
			f.Close()
			return nil, fmt.Errorf("pinning a realm: locking %s: %w", p.path, err)
		}
		held, err := f.Stat()
		if err == nil {
			var there os.FileInfo
			if there, err = os.Stat(p.path); err == nil && os.SameFile(held, there) {
				return f, nil
			}
		}
		f.Close()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("pinning a realm: %w", err)
		}
		// Another process replaced the file while this one waited for the lock.
	}
}

// Follow pins the realm key to for server in place of from, which named it its successor, and syncs that to disk. The
// file always has one of the two. Where another realm than either is pinned, that is an error with code Untrusted.
func (p Pins) Follow(server string, from, to shoal.RealmKey) error {
	f, err := p.lock()
	if err != nil {
		return err
	}
	defer f.Close()
	pins, err := p.read(f)
	if err != nil {
		return err
	}
	switch was, pinned := find(pins, server); {
	case pinned && was == to:
		return nil
	case !pinned:
		return shoal.Errorf(shoal.Untrusted, "no realm is pinned for the server at %s any more; pin it with --pin", server)
	case was != from:
		return p.Mismatch(server, was, to)
	}
	content, err := os.ReadFile(p.path)
	if err != nil {
		return fmt.Errorf("pinning a realm: %w", err)
	}
	lines := strings.SplitAfter(string(content), "\n")
	for i, line := range lines {
		if name, rest, _ := strings.Cut(strings.TrimSpace(line), " "); name == server {
			fingerprint := strings.TrimSpace(rest)
			at := strings.LastIndex(line, fingerprint)
			lines[i] = line[:at] + to.String() + line[at+len(fingerprint):]
			break
		}
	}
	return folder.Replace(p.path, []byte(strings.Join(lines, "")))
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
