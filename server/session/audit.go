package session

import (
	"time"

	"shoal"
	"shoal/server/audit"
)

// audit tells what the session's device did, or was refused.
func (s *Session) audit(operation, object string, content shoal.Object, begin time.Time, err error) {
	s.host.Audit.Record(audit.Event{
		Device: s.device, Operation: operation, Object: object, Content: content, Err: err,
		Remote: s.remote, Session: s.conn.Session, Begin: begin, Duration: time.Since(begin),
	})
}

// auditConnect tells that a connection was let in, as s, or was not, for which err is the reason.
func (h *Host) auditConnect(e audit.Event, s *Session, err error) {
	if s != nil {
		e.Device, e.Session = s.device, s.conn.Session
	}
	if err != nil && shoal.CodeOf(err) == shoal.Internal { // the network's: it ended before the handshake did
		err = shoal.Errorf(shoal.Unreachable, "%w", err)
	}
	if e.Err, e.Duration = err, time.Since(e.Begin); s == nil {
		h.Audit.RecordStranger(e)
	} else {
		h.Audit.Record(e)
	}
}

// object is how a name of a group is written in the log.
func object(g shoal.Group, n shoal.Name) string { return string(g) + "/" + string(n) }
