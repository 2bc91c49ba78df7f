package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"shoal/tests/bench/report"
)

// peerFolders makes a folder for each peer.
func peerFolders(b *report.Bench, name string) ([]string, error) {
	list := make([]string, peers)
	for i := range list {
		list[i] = filepath.Join(b.Dir, fmt.Sprintf("%s%d", name, i+1))
		if err := os.Mkdir(list[i], 0o755); err != nil {
			return nil, fmt.Errorf("making a peer's folder: %w", err)
		}
	}
	return list, nil
}

// seed publishes folders[0]/name and has the other peers fetch it, so that they serve it too.
func (s *swarm) seed(ctx context.Context, folders []string, name string) error {
	if _, err := s.publish(ctx, 0, filepath.Join(folders[0], name)); err != nil {
		return err
	}
	for i, folder := range folders[1:] {
		if _, err := s.get(ctx, peerName(i+1), name, filepath.Join(folder, name)); err != nil {
			return err
		}
	}
	return nil
}

// publishAll publishes the file name, which is in every folder already, on each peer. It returns the largest peak
// memory of the commands, in bytes.
func (s *swarm) publishAll(ctx context.Context, folders []string, name string) (peak int64, err error) {
	for i, folder := range folders {
		use, err := s.publish(ctx, i, filepath.Join(folder, name))
		if err != nil {
			return 0, err
		}
		peak = max(peak, use.Peak)
	}
	return peak, nil
}
