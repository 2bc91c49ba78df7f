package main

import (
	"fmt"
	"io"
	"os"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"shoal"
)

// keyLog is the file, if any, that the keys of this process' TLS sessions go to.
type keyLog struct{ path string }

func (k *keyLog) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&k.path, "keylog", os.Getenv("SHOAL_KEYLOG"),
		"a file to add the keys of all TLS sessions to: whoever has it can read what was captured (SHOAL_KEYLOG)")
}

// open opens the file, which is made for its owner alone, to add to it; nil where none was asked for. It stays open for as
// long as the process runs. Its Write can be called concurrently. warn must be called, too.
func (k *keyLog) open() (io.Writer, error) {
	if k.path == "" {
		return nil, nil
	}
	// Without waiting, because what is there may be a pipe that nobody reads.
	file, err := os.OpenFile(k.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, pathError(fmt.Errorf("--keylog: %w", err))
	}
	info, err := file.Stat()
	switch {
	case err != nil:
		err = fmt.Errorf("--keylog: %w", err)
	case !info.Mode().IsRegular():
		err = shoal.Errorf(shoal.BadRequest, "--keylog: %s is no file", k.path)
	case info.Mode().Perm()&0o077 != 0:
		err = shoal.Errorf(shoal.Untrusted, "--keylog: %s can be read by others; if they may not read the traffic, run: chmod 600 %[1]s", k.path)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// warn tells what the file is, if there is one.
func (k *keyLog) warn(log zerolog.Logger) {
	if k.path != "" {
		log.Warn().Str("keylog", k.path).Msg("the keys of all TLS sessions are written to a file; whoever has it can read everything that goes over them")
	}
}
