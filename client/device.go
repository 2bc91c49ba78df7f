package client

import (
	"fmt"
	"os"
	"path/filepath"

	"shoal"
	"shoal/identity"
)

// deviceKey is the file of the device's key in the state folder.
const deviceKey = "device.key"

// Device is who a client with that state folder is. The folder and the key are made if they are not there.
func Device(state string) (shoal.DeviceID, error) {
	if err := os.MkdirAll(state, 0o700); err != nil {
		return shoal.DeviceID{}, fmt.Errorf("making the state folder: %w", err)
	}
	key, err := identity.LoadKey(filepath.Join(state, deviceKey))
	if err != nil {
		return shoal.DeviceID{}, err
	}
	return key.Device(), nil
}
