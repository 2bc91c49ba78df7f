package identity

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"shoal"
	"shoal/folder"
	"shoal/wire"
)

// Revocations are the chains by which a device learned that keys do not count any more (rule C6), kept so that it knows
// after it starts again: a text file with a chain in base64 on each line. Several processes may use it at once.
type Revocations struct{ path string }

// OpenRevocations uses the file at path, which need not exist yet.
func OpenRevocations(path string) Revocations { return Revocations{path} }

// maxChainLine is the longest line in bytes.
var maxChainLine = base64.StdEncoding.EncodedLen(wire.MaxStatement) + 2

// All returns the chains in the order in which they were learned. None of them is verified. The error has code Untrusted
// for a line that cannot be read: to go on without it would be to trust a key that may be revoked.
func (r Revocations) All() ([][]byte, error) {
	f, err := os.Open(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading revocations: %w", err)
	}
	defer f.Close()
	var chains [][]byte
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxChainLine)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		chain, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(chains) == maxRevoked {
			return nil, shoal.Errorf(shoal.Untrusted, "line %d of %s is not a revocation as this program writes them; remove it", n, r.path)
		}
		chains = append(chains, chain)
	}
	if err := lines.Err(); err != nil {
		return nil, shoal.Errorf(shoal.Untrusted, "reading revocations from %s: %w", r.path, err)
	}
	return chains, nil
}

// Add keeps a chain that has been verified, unless it is there, and syncs it to disk. Where there are too many, the one
// that was learned first goes.
func (r Revocations) Add(chain []byte) error {
	lock, err := os.OpenFile(filepath.Join(filepath.Dir(r.path), ".revocations.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("keeping a revocation: %w", err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil { // until it is closed
		return fmt.Errorf("keeping a revocation: %w", err)
	}
	chains, err := r.All()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(chains, func(c []byte) bool { return string(c) == string(chain) }) {
		return nil
	}
	if len(chains) >= maxRevoked {
		chains = chains[1:]
	}
	var text strings.Builder
	for _, c := range append(chains, chain) {
		text.WriteString(base64.StdEncoding.EncodeToString(c) + "\n")
	}
	if err := folder.Replace(r.path, []byte(text.String())); err != nil {
		return fmt.Errorf("keeping a revocation: %w", err)
	}
	return nil
}
