package service

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"shoal"
)

// state is the service's folder, and keeps other services out of it.
type state struct {
	dir  string
	logs string   // the folder in it that is the journal's
	lock *os.File // held as long as it is open
}

// openState makes what is missing. The error has code Busy where a service has the folder already, and Denied where this
// user may not use it.
func openState(dir string) (*state, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("finding the state folder: %w", err)
	}
	s := &state{dir: dir, logs: filepath.Join(dir, "log")}
	if err = os.MkdirAll(s.logs, 0o700); err == nil {
		s.lock, err = os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	}
	switch {
	case errors.Is(err, unix.EACCES):
		return nil, shoal.Errorf(shoal.Denied, "opening the state folder: %w; choose one of your own with --state", err)
	case err != nil:
		return nil, fmt.Errorf("opening the state folder: %w", err)
	}
	err = unix.Flock(int(s.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = shoal.Errorf(shoal.Busy, "another log service uses the state folder %s; stop it first, or give this one a folder of its own with --state", dir)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking the state folder: %w", err), s.close())
	}
	return s, nil
}

func (s *state) close() error { return s.lock.Close() }
