package session

import (
	"context"
	"time"

	"shoal"
	"shoal/server/registry"
	"shoal/server/swarms"
	"shoal/wire"
)

// A session may report so many devices in a row, and then one in each reportPause (rule R4).
const (
	reportBurst = 10
	reportPause = 6 * time.Second
)

// mayReport takes one report from what the session has left of them.
func (s *Session) mayReport(now time.Time) error {
	due := s.reportsDue
	if due.Before(now) {
		due = now
	}
	if due = due.Add(reportPause); due.Sub(now) > reportBurst*reportPause {
		return shoal.Errorf(shoal.Limit, "more than %d reports in a row; one is taken every %v then (rule R4)", reportBurst, reportPause)
	}
	s.reportsDue = due
	return nil
}

// report answers REPORT.
func (s *Session) report(ctx context.Context, m *wire.Report) (_ *wire.Empty, err error) {
	begin, of := time.Now(), shoal.Object{ID: m.File}
	defer func() { s.audit("report", object(m.Group, shoal.Name(m.Device.String())), of, begin, err) }()
	if err := s.upToDate(ctx); err != nil {
		return nil, err
	}
	_, found, _, err := s.host.Registry.Lookup(s.device, &wire.Lookup{Group: m.Group, File: m.File})
	if err == nil {
		err = s.mayReport(begin)
	}
	if err != nil {
		return nil, err
	}
	of = found.Content
	by, _ := s.host.Registry.Who(s.device)
	who, _ := s.host.Registry.Who(m.Device)
	switch who.User {
	case "":
		return nil, swarms.NoSource(m.Device, m.Group)
	case by.User:
		return nil, shoal.Errorf(shoal.BadRequest, "%v is a device of your own; look at its disk and memory (rule R2)", m.Device)
	}
	err = s.host.Swarms.Report(swarms.Report{
		Swarm: shoal.Swarm{Group: m.Group, Object: of}, Device: m.Device, User: string(who.User), By: string(by.User),
	}, begin)
	if err != nil {
		return nil, err
	}
	if s.host.Registry.Enter(s.device, m.Group) != nil { // what ended meanwhile found no report to end
		s.host.Swarms.Retract(m.Group, string(by.User))
	}
	return new(wire.Empty), nil
}

// reports answers REPORTS.
func (s *Session) reports(ctx context.Context, m *wire.Reports) (*wire.ReportsReply, error) {
	least := registry.Owner
	if who, _ := s.host.Registry.Who(s.device); who.Admin && m.Group == shoal.Public { // which nobody owns
		least = registry.Member
	}
	_, revision, err := s.within(ctx, m.Group, least)
	if err != nil {
		return nil, err
	}
	reply := &wire.ReportsReply{Revision: revision}
	reply.Entries, reply.More = s.host.Swarms.Reported(m.Group, time.Now())
	return reply, nil
}

// retract ends the reports in a group by users who are not in it any more (rule R3).
func (h *Host) retract(g shoal.Group) {
	for _, user := range h.Swarms.Reporters(g) {
		if !h.Registry.IsIn(g, user) {
			h.Swarms.Retract(g, user)
		}
	}
}
