package session

import (
	"bytes"
	"context"
	"errors"
	"time"

	"shoal"
	"shoal/rpclog"
	"shoal/wire"
)

// readLog answers LOG (rule S10).
func (s *Session) readLog(ctx context.Context, m *wire.Log) (reply *wire.LogReply, err error) {
	defer func(begin time.Time) {
		if s.reads.Log(err); errors.Is(err, shoal.Denied) {
			s.audit("log", "", shoal.Object{}, begin, err)
		}
	}(time.Now())
	if s.host.ReadLog == nil {
		return nil, ErrLogDenied
	}
	q := rpclog.Query{
		User: m.User, Operation: m.Operation, Level: rpclog.Level(m.Level), Grep: m.Grep,
		Unverified: m.Unverified, Last: int(m.Last), After: m.After,
	}
	if m.Since != 0 {
		q.Since = time.UnixMilli(m.Since)
	}
	page, err := s.host.ReadLog(ctx, s.device, q)
	if err != nil {
		return nil, err
	}
	return logReply(page)
}

// ErrLogDenied is what whoever may not read the log is told, whether there is one or not.
var ErrLogDenied = shoal.Errorf(shoal.Denied,
	"this device may not read the log through the server; whoever runs the server can allow it with --log-reader")

// logReply is a page as LOG answers it. What does not fit is an error: more than any page has.
func logReply(p rpclog.Page) (*wire.LogReply, error) {
	size := 0
	for _, line := range p.Lines {
		size += len(line) + 1
	}
	if size > wire.MaxLines || len(p.Next) > wire.MaxCursor {
		return nil, shoal.Errorf(shoal.Limit, "%d bytes of the log, more than one answer can have; restrict what is asked for", size)
	}
	lines := make([]byte, 0, size)
	for _, line := range p.Lines {
		if bytes.IndexByte(line, '\n') >= 0 {
			return nil, shoal.Errorf(shoal.Internal, "the log service has a line with a newline in it")
		}
		lines = append(append(lines, line...), '\n')
	}
	return &wire.LogReply{Lines: lines, Next: p.Next, More: p.More}, nil
}
