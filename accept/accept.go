// Package accept takes connections from a listener for as long as a service runs.
package accept

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/rs/zerolog"
)

// longest is how long nothing is accepted after a failure, at most.
const longest = time.Second

// Loop hands each connection of l to take, which owns it and may hold up the next one; what waits meanwhile, the kernel's
// backlog holds. It returns when ctx ends, with no error, or l is closed by somebody else. It closes l.
func Loop(ctx context.Context, l net.Listener, log zerolog.Logger, take func(net.Conn)) error {
	defer l.Close()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var pause time.Duration
	for {
		nc, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				nc.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accepting connections: %w", err)
		case err != nil:
			// Too few files or memory, most likely. Those who are connected are served on.
			pause = min(max(2*pause, 5*time.Millisecond), longest)
			log.Error().Err(err).Dur("pause", pause).Msg("accepting connections")
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
			continue
		}
		pause = 0
		take(nc)
	}
}
