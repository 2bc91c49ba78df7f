package meta

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/folder"
	"shoal/server/meta/embedded"
)

// Restore makes the folder of an embedded etcd from a backup. There must be none yet, or an empty one; it is there with
// all that the backup has, or not at all. The revisions go on far above those of the backup, so that who has seen a later
// one of the state that was lost does not mistake it. The error's code is Exists, Corrupt or Unsupported.
func Restore(ctx context.Context, path, dir string, log zerolog.Logger) (BackupInfo, error) {
	info, err := restore(ctx, path, dir, log)
	if err != nil {
		return info, fmt.Errorf("restoring %s: %w", path, err)
	}
	return info, nil
}

func restore(ctx context.Context, path, dir string, log zerolog.Logger) (info BackupInfo, err error) {
	f, err := os.Open(path)
	if err != nil {
		return info, err
	}
	defer f.Close()
	// Nothing is made before all is known to be good.
	info, err = readBackup(f, func(k key, value []byte) error {
		if k == versionKey {
			_, err := decodeVersion(value)
			return err
		}
		_, err := decodeRecord(k, value)
		return err
	})
	if err != nil {
		return info, err
	}
	if there, err := os.ReadDir(dir); err == nil && len(there) > 0 {
		return info, shoal.Errorf(shoal.Exists, "the folder %s is not empty; a backup is restored into a new one", dir)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return info, err
	}
	dir = filepath.Clean(dir)
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return info, err
	}
	part, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".*.part")
	if err != nil {
		return info, err
	}
	defer os.RemoveAll(part)
	if err := fillFolder(ctx, f, part, info, log); err != nil {
		return info, err
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return info, err
	}
	if err := os.Rename(part, dir); err != nil {
		return info, err
	}
	return info, folder.Sync(filepath.Dir(dir))
}

// fillFolder starts an etcd in the folder and gives it what the backup has.
func fillFolder(ctx context.Context, backup io.Reader, dir string, info BackupInfo, log zerolog.Logger) error {
	server, err := embedded.StartToFill(ctx, dir, log)
	if err != nil {
		return err
	}
	defer server.Close()
	in := filler{ctx: ctx, client: server.Client()}
	_, err = readBackup(backup, func(k key, value []byte) error {
		if k == versionKey {
			value = appendVersion(info.Revision + ahead)
		}
		return in.put(k, value)
	})
	if err != nil {
		return err
	}
	return in.flush()
}
