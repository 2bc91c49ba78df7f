package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"shoal"
	"shoal/folder"
)

const (
	// format is the version of the folder's layout that this program reads and writes.
	format = 1
	// marker is the file that says which version made the folder; it is read before anything else is.
	marker = "format"
	// label is what stands before the number in it.
	label = "shoal state "
)

// claim locks the folder and checks who made it. The lock holds until it is closed.
func claim(dir string) (io.Closer, error) {
	lock, err := folder.Lock(dir, "process")
	if err != nil {
		return nil, err
	}
	if err := checkFormat(dir); err != nil {
		lock.Close()
		return nil, err
	}
	return lock, nil
}

// checkFormat marks a new folder and refuses one that another version made.
func checkFormat(dir string) error {
	path := filepath.Join(dir, marker)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(dir, "data")); err == nil {
			return shoal.Errorf(shoal.Unsupported, "%s has data, but no file %q that says which version made it; "+
				"restore a backup into an empty folder", dir, marker)
		}
		return writeFormat(dir)
	}
	if err != nil {
		return fmt.Errorf("reading which version made %s: %w", dir, err)
	}
	number, labeled := strings.CutPrefix(strings.TrimSuffix(string(text), "\n"), label)
	version, err := strconv.ParseUint(number, 10, 32)
	switch {
	case !labeled || err != nil:
		return shoal.Errorf(shoal.Unsupported, "%s says %.40q, not which version made the folder; restore a backup into an empty folder", path, text)
	case version != format:
		return shoal.Errorf(shoal.Unsupported, "%s was made by a version of shoal that writes state %d; this one reads state %d only: "+
			"use that version, or a backup", dir, version, format)
	}
	return nil
}

// writeFormat marks the folder, durably: all or nothing.
func writeFormat(dir string) error {
	if err := folder.Replace(filepath.Join(dir, marker), fmt.Appendf(nil, "%s%d\n", label, format)); err != nil {
		return fmt.Errorf("marking the folder of etcd: %w", err)
	}
	return nil
}
