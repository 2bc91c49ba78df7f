package tracker

import (
	"context"
	"time"

	"shoal"
	"shoal/client/link"
	"shoal/identity"
	"shoal/wire"
)

// Source is a process that serves an object, at addresses that its device has signed; or a mirror of the object.
type Source struct {
	Device    shoal.DeviceID
	Session   uint64 // tells apart the processes of one device
	Pieces    int
	Addresses []identity.Candidate // those of this process's own transport, best first

	Mirror  shoal.Mirror // where it is, for a mirror: then Device stands for it, and is nobody's; else ""
	Private bool         // a mirror may be in a private network
}

// Found is an object and who has it.
type Found struct {
	Name               shoal.Name
	Object             shoal.Object
	shoal.Availability              // as the server counts it
	Missing            []shoal.Span // pieces that nobody has, as far as the server knows; the first 256 spans
	Facts              shoal.Facts
	Sources            []Source // up to 50 that can be asked, and the mirrors
	Mirrors            []shoal.Mirror
}

// Ping asks the server for a sign of life.
func (t *Tracker) Ping(ctx context.Context) error {
	return t.call(ctx, wire.KindPing, &wire.Empty{}, &wire.Empty{})
}

// Publish makes name stand for o in the group, now and after every reconnection. The error has code NameTaken where
// the name stands for something else.
func (t *Tracker) Publish(ctx context.Context, group shoal.Group, name shoal.Name, o shoal.Object, sample Sample) error {
	return t.publish(ctx, &wire.Publish{Group: group, Name: name, Content: o}, sample)
}

func (t *Tracker) publish(ctx context.Context, m *wire.Publish, sample Sample) error {
	m.Head = sample.of(m.Content)
	if err := t.call(ctx, wire.KindPublish, m, &wire.MutationReply{}); err != nil {
		return err
	}
	t.Restore(m.Group, m.Name, m.Content, sample)
	return nil
}

// Restore makes name be published at the next connection, and every one after it.
func (t *Tracker) Restore(group shoal.Group, name shoal.Name, o shoal.Object, sample Sample) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.published[label{group, name}] = publication{o, sample}
}

// Forget makes name not be published again at the next connection.
func (t *Tracker) Forget(group shoal.Group, name shoal.Name) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.published, label{group, name})
}

// Unpublish takes name away if it stands for file. The error has code NotFound where it does not.
func (t *Tracker) Unpublish(ctx context.Context, group shoal.Group, name shoal.Name, file shoal.FileID) error {
	t.Forget(group, name)
	m := wire.Unpublish{Group: group, Name: name, File: file}
	return t.call(ctx, wire.KindUnpublish, &m, &wire.MutationReply{})
}

// List returns all names of the group, in the order of their bytes.
func (t *Tracker) List(ctx context.Context, group shoal.Group) ([]wire.Entry, error) {
	return collect(func(after string) ([]wire.Entry, bool, error) {
		var page wire.ListReply
		err := t.call(ctx, wire.KindList, &wire.List{Group: group, After: after, Limit: wire.MaxList}, &page)
		return page.Entries, page.More, err
	}, func(e *wire.Entry) string { return string(e.Name) })
}

// LookupName finds an object by its name. The error has code NotFound where there is none.
func (t *Tracker) LookupName(ctx context.Context, group shoal.Group, name shoal.Name) (*Found, error) {
	found, err := t.lookup(ctx, &wire.Lookup{Group: group, Name: name})
	if err == nil && found.Name != name {
		return nil, shoal.Errorf(shoal.Untrusted, "the server was asked for %q and answers with %q", name, found.Name)
	}
	return found, err
}

// LookupFile finds an object by its FileID. The error has code NotFound where there is none.
func (t *Tracker) LookupFile(ctx context.Context, group shoal.Group, file shoal.FileID) (*Found, error) {
	found, err := t.lookup(ctx, &wire.Lookup{Group: group, File: file})
	if err == nil && found.Object.ID != file {
		return nil, shoal.Errorf(shoal.Untrusted, "the server was asked for %v and answers with %v", file, found.Object.ID)
	}
	return found, err
}

func (t *Tracker) lookup(ctx context.Context, m *wire.Lookup) (*Found, error) {
	var reply wire.LookupReply
	if err := t.call(ctx, wire.KindLookup, m, &reply); err != nil {
		return nil, err
	}
	found := &Found{
		Name: reply.Name, Object: reply.Content, Availability: reply.Availability, Missing: reply.Missing, Facts: *reply.Facts,
		Sources: mirrorSources(&reply), Mirrors: reply.Mirrors,
	}
	for _, s := range reply.Sources {
		source := Source{Device: s.Device, Session: s.Session, Pieces: int(s.Pieces)}
		candidates, err := identity.VerifyCandidates(s.Candidates, s.Device, t.Now())
		if err != nil {
			t.config.Log.Debug().Err(err).Stringer("device", s.Device).Msg("a source with unusable addresses")
			continue
		}
		for _, c := range candidates {
			if c.Security == t.config.Transport.Security { // rule C3
				source.Addresses = append(source.Addresses, c)
			}
		}
		if len(source.Addresses) > 0 {
			found.Sources = append(found.Sources, source)
		}
	}
	return found, nil
}

// Report tells the server that a device, as a source of a file in a group, has sent what is proven to be wrong. The error has
// code NotFound where the device serves nothing there, and Limit where there are too many reports.
func (t *Tracker) Report(ctx context.Context, group shoal.Group, file shoal.FileID, device shoal.DeviceID) error {
	return t.call(ctx, wire.KindReport, &wire.Report{Group: group, File: file, Device: device}, &wire.Empty{})
}

// Log reads a part of the realm's log. The error has code Denied where this device may not.
func (t *Tracker) Log(ctx context.Context, m *wire.Log) (*wire.LogReply, error) {
	reply := new(wire.LogReply)
	if err := t.call(ctx, wire.KindLog, m, reply); err != nil {
		return nil, err
	}
	return reply, nil
}

// begin asks the server. A mutation gets its number when it is sent for the first time, so that numbers go up on the wire
// (rule S1).
func (t *Tracker) begin(l *link.Link, kind wire.Kind, m wire.Message) link.Calling {
	if sequence := wire.Sequence(m); sequence != nil && *sequence == 0 {
		t.mu.Lock()
		defer t.mu.Unlock()
		*sequence = t.nextSequence()
	}
	return l.Begin(kind, m)
}

// nextSequence numbers this device's mutations. Several processes of a device share the numbers, so they follow the
// clock. mu is held.
func (t *Tracker) nextSequence() uint64 {
	if t.config.Sequence != nil {
		return t.config.Sequence()
	}
	t.sequence = max(t.sequence+1, uint64(time.Now().UnixNano()))
	return t.sequence
}
