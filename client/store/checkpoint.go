package store

import (
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// checkpointBytes is how much may be new before a checkpoint is made. Anything from 8 to 256 MiB costs the same: it
	// makes a download shorter, because the disk writes from its beginning and not at its end.
	checkpointBytes = 128 << 20
	// checkpointInterval is how long anything may be new before a checkpoint is made.
	checkpointInterval = time.Second
)

// saver is the goroutine that makes a part's checkpoints, so that those who write pieces never wait for the disk. It
// is owned by the Part, which stops it and waits for it.
type saver struct {
	due  chan struct{} // has room for one
	quit chan struct{}
	once sync.Once
	done sync.WaitGroup
}

func (s *saver) start(p *Part) {
	s.due = make(chan struct{}, 1)
	s.quit = make(chan struct{})
	s.done.Go(func() {
		ticker := time.NewTicker(checkpointInterval)
		defer ticker.Stop()
		for {
			select {
			case <-s.quit:
				return
			case <-s.due:
			case <-ticker.C:
			}
			// A failure to sync is kept in p.broken; one to write the sidecar is met again at the next checkpoint.
			_ = p.checkpoint()
		}
	})
}

// wake asks for a checkpoint soon.
func (s *saver) wake() {
	select {
	case s.due <- struct{}{}:
	default:
	}
}

// stop returns when no checkpoint is being made, and none will be.
func (s *saver) stop() {
	s.once.Do(func() { close(s.quit) })
	s.done.Wait()
}

// checkpoint syncs the data and then writes down which pieces it has, if there are any new ones.
func (p *Part) checkpoint() error {
	p.mu.Lock()
	have, fresh, err := slices.Clone(p.have), p.fresh, p.broken
	if err == nil {
		p.fresh = 0
	}
	p.mu.Unlock()
	if err != nil || fresh == 0 {
		return err
	}
	if err := onDescriptor(p.file, unix.Fdatasync); err != nil {
		// The kernel reports it once and forgets the pages: a later sync could succeed without them.
		err = diskError(err, "syncing %s, without which the download cannot go on", p.path)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.broken = err
		return err
	}
	if err := p.writeSidecar(have); err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.fresh += fresh
		return err
	}
	return nil
}
