package main

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"shoal"
	"shoal/rpclog"
	"shoal/rpclog/sender"
)

// flushLimit is how long a daemon that ends goes on sending its log.
const flushLimit = 2 * time.Second

// logging is where a daemon logs to beside the console.
type logging struct {
	service, key string
	writer       *sender.Writer
}

func (l *logging) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&l.service, "rpclog", os.Getenv("SHOAL_RPCLOG"), "the log service to log to as well, HOST:PORT (SHOAL_RPCLOG)")
	f.StringVar(&l.key, "rpclog-key", os.Getenv("SHOAL_RPCLOG_KEY"), "a copy of the log service's log.key; without it entries are kept apart as unverified (SHOAL_RPCLOG_KEY)")
}

// open returns a daemon's logger: what it logs goes to the console, and to the log service if one is named. device tells
// who that is, given the state folder. close must be called when the daemon has ended.
func (l *logging) open(c *common, device func(state string) (shoal.DeviceID, error)) (zerolog.Logger, error) {
	console := c.logger(zerolog.InfoLevel)
	if l.service == "" {
		return console, nil
	}
	var key *rpclog.Key
	var err error
	if l.key != "" {
		if key, err = rpclog.LoadKey(l.key); err != nil {
			return console, pathError(err)
		}
	}
	id, err := device(c.state)
	if err != nil {
		return console, err
	}
	l.writer, err = sender.Open(sender.Config{
		Service: l.service, Key: key, Device: id, Spool: filepath.Join(c.state, "log-spool"), Log: console,
	})
	if err != nil {
		return console, err
	}
	// The console comes last: it waits for whoever reads standard error.
	return console.Output(zerolog.MultiLevelWriter(l.writer, c.console())), nil
}

func (l *logging) close() {
	if l.writer == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushLimit)
	defer cancel()
	_ = l.writer.Close(ctx) // the console was told
}
