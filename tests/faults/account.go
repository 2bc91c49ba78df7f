package faults

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"shoal"
)

// Account is what the files of a log service say of one device.
type Account struct {
	Entries uint64 // but for those that only tell of a loss
	Lost    uint64 // what those tell
	Senders int    // processes of the device
}

// ReadAccount reads the files in the folder of a log service that has ended. The error says so where an entry is there
// twice, or a number is missing.
func ReadAccount(dir string, device shoal.DeviceID) (Account, error) {
	var a Account
	seen := map[uint64]map[uint64]bool{} // numbers by process
	paths, err := filepath.Glob(filepath.Join(dir, "log", "log-*"))
	if err != nil {
		return a, err
	}
	for _, path := range paths {
		if err := a.readFile(path, device.String(), seen); err != nil {
			return a, fmt.Errorf("%s: %w", path, err)
		}
	}
	for process, numbers := range seen {
		for n := range uint64(len(numbers)) {
			if !numbers[n+1] {
				return a, fmt.Errorf("process %d has %d entries, and none with number %d", process, len(numbers), n+1)
			}
		}
	}
	a.Senders = len(seen)
	return a, nil
}

func (a *Account) readFile(path, device string, seen map[uint64]map[uint64]bool) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return err
		}
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var entry struct {
			Device             string
			Process, Seq, Lost uint64
		}
		if err := json.Unmarshal(lines.Bytes(), &entry); err != nil {
			return fmt.Errorf("%w in %q", err, lines.Bytes())
		}
		if entry.Device != device {
			continue
		}
		numbers := seen[entry.Process]
		if numbers == nil {
			numbers = map[uint64]bool{}
			seen[entry.Process] = numbers
		}
		if numbers[entry.Seq] {
			return fmt.Errorf("entry %d of process %d is there twice", entry.Seq, entry.Process)
		}
		numbers[entry.Seq] = true
		if a.Lost += entry.Lost; entry.Lost == 0 {
			a.Entries++
		}
	}
	return lines.Err()
}
