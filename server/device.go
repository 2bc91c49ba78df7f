package server

import (
	"fmt"
	"os"
	"path/filepath"

	"shoal"
	"shoal/identity"
)

// Device is who the server with that state folder is, in the log. The folder and the key are made if they are not there.
func Device(state string) (shoal.DeviceID, error) {
	if err := os.MkdirAll(state, 0o700); err != nil {
		return shoal.DeviceID{}, fmt.Errorf("making the state folder: %w", err)
	}
	key, err := identity.LoadKey(filepath.Join(state, serverKey))
	if err != nil {
		return shoal.DeviceID{}, err
	}
	return key.Device(), nil
}
