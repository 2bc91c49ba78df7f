package server

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/rpclog"
	"shoal/rpclog/service"
	"shoal/server/session"
)

const (
	// readTimeout is how long one reading of the log may take.
	readTimeout = 2 * time.Second
	// maxReads is how many devices may read it at once.
	maxReads = 4
)

// logReader reads the realm's log for the devices that may.
type logReader struct {
	socket string // of the log service
	may    map[shoal.DeviceID]bool
	places chan struct{} // capacity maxReads: one for each reading that goes on
	log    zerolog.Logger
}

// newLogReader lets devices read the log at a unix socket. The error has code BadRequest where one of the two is missing.
func newLogReader(socket string, readers []shoal.DeviceID, log zerolog.Logger) (*logReader, error) {
	switch {
	case socket == "" && len(readers) > 0:
		return nil, shoal.Errorf(shoal.BadRequest, "devices are to read the log, and where it is is missing: give the log service's socket with --log-socket STATE/log.sock")
	case socket != "" && len(readers) == 0:
		return nil, shoal.Errorf(shoal.BadRequest, "there is a log, and nobody to read it: name devices with --log-reader DEVICE")
	}
	r := &logReader{socket: socket, may: make(map[shoal.DeviceID]bool), places: make(chan struct{}, maxReads), log: log}
	for _, d := range readers {
		r.may[d] = true
	}
	return r, nil
}

// read is session.Host.ReadLog.
func (r *logReader) read(ctx context.Context, device shoal.DeviceID, q rpclog.Query) (rpclog.Page, error) {
	if !r.may[device] {
		return rpclog.Page{}, session.ErrLogDenied
	}
	select {
	case r.places <- struct{}{}:
		defer func() { <-r.places }()
	default:
		return rpclog.Page{}, shoal.Errorf(shoal.Busy, "the log is being read by %d others; try again", maxReads)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, readTimeout, errSlowLog)
	defer cancel()
	page, err := service.Read(ctx, r.socket, q)
	switch {
	case err == nil || errors.Is(err, shoal.BadRequest):
		return page, err
	case errors.Is(context.Cause(ctx), errSlowLog):
		err = errSlowLog
	}
	r.log.Warn().Err(err).Str("socket", r.socket).Msg("reading the log for a device")
	return page, shoal.Errorf(shoal.Unreachable, "the log service did not answer the server, whose own log has the reason")
}

var errSlowLog = shoal.Errorf(shoal.Unreachable, "the log service did not answer within %v", readTimeout)
