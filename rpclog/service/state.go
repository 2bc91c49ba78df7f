package service

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"shoal/folder"
)

// state is the service's folder, and keeps other services out of it.
type state struct {
	dir  string
	logs string    // the folder in it that is the journal's
	lock io.Closer // held as long as it is open
}

// openState makes what is missing. The error has code Busy where a service has the folder already, and Denied where this
// user may not use it.
func openState(dir string) (*state, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("finding the state folder: %w", err)
	}
	lock, err := folder.Lock(dir, "log service")
	if err != nil {
		return nil, err
	}
	s := &state{dir: dir, logs: filepath.Join(dir, "log"), lock: lock}
	if err := os.MkdirAll(s.logs, 0o700); err != nil {
		return nil, errors.Join(fmt.Errorf("making the folder of the logs: %w", err), s.close())
	}
	return s, nil
}

func (s *state) close() error { return s.lock.Close() }
