package check

import (
	"encoding/hex"
	"regexp"
	"slices"
	"time"

	"shoal"
	"shoal/wire"
)

// device is what a device has said on any connection.
type device struct {
	highest   uint64 // sequence number
	at        time.Time
	on        *Conn
	mutations bounded[uint64, *mutated]
}

// mutated is a mutation, and what became of it.
type mutated struct {
	kind     wire.Kind
	body     [32]byte // its hash
	first    *Conn
	done     bool
	revision uint64
	repeated bool
}

// keptOutcomes is how many a server must remember (rule S1).
const keptOutcomes = 128

// sequenceOf is the sequence number of a mutation.
func sequenceOf(m wire.Message) (uint64, bool) {
	switch m := m.(type) {
	case *wire.Publish:
		return m.Sequence, true
	case *wire.Unpublish:
		return m.Sequence, true
	case *wire.Register:
		return m.Sequence, true
	case *wire.Login:
		return m.Sequence, true
	case *wire.Logout:
		return m.Sequence, true
	case *wire.Account:
		return m.Sequence, true
	case *wire.PasswordChange:
		return m.Sequence, true
	case *wire.GroupChange:
		return m.Sequence, true
	case *wire.Invite:
		return m.Sequence, true
	case *wire.StopShare:
		return m.Sequence, true
	}
	return 0, false
}

// mutation takes a request that has a sequence number (rule S1).
func (c *Conn) mutation(f *Frame, sequence uint64) {
	known := &c.trace.lore.devices
	d := known.get(c.Device)
	if d == nil {
		d = &device{mutations: newBounded[uint64, *mutated](4 * keptOutcomes)}
		known.put(c.Device, d)
	}
	switch was := d.mutations.get(sequence); {
	case was != nil && (was.kind != f.Kind || was.body != sum(f.Body)):
		c.violate(f, "S1", "the sequence number %d was used for another mutation", sequence)
	case was != nil:
		was.repeated = true
	case sequence < d.highest && (c == d.on || f.At.Sub(d.at) > slack):
		c.violate(f, "S1", "the sequence number %d after %d", sequence, d.highest)
	default:
		d.mutations.put(sequence, &mutated{kind: f.Kind, body: sum(f.Body), first: c})
	}
	if sequence > d.highest {
		d.highest, d.at, d.on = sequence, f.At, c
	}
}

// mutatedBy is what is known of the mutation that a reply is about; nil for nothing.
func (c *Conn) mutatedBy(f *Frame) *mutated {
	sequence, _ := sequenceOf(requestOf(f))
	if d := c.trace.lore.devices.get(c.Device); d != nil {
		return d.mutations.get(sequence)
	}
	return nil
}

// outcome holds rule S1: the same outcome each time.
func (c *Conn) outcome(f *Frame) {
	was := c.mutatedBy(f)
	if was == nil {
		return
	}
	m, done := f.Message.(*wire.MutationReply)
	switch {
	case done && was.done && m.Revision != was.revision:
		c.violate(f, "S1", "the revision %d, where the same mutation was answered by %d", m.Revision, was.revision)
	case done:
		was.done, was.revision = true, m.Revision
	case was.done:
		if e, ok := f.Message.(*wire.ErrorReply); ok && e.Code != shoal.StaleRequest && !slices.Contains(ofServer, e.Code) {
			c.violate(f, "S1", "an error, where the same mutation was carried out before")
		}
	}
}

// carriedOut holds the rules of what a mutation leads to, the first time that it is.
func (c *Conn) carriedOut(f *Frame) {
	if was := c.mutatedBy(f); was == nil || was.repeated {
		return
	}
	switch m := requestOf(f).(type) {
	case *wire.Login, *wire.PasswordChange, *wire.Invite:
		c.violate(f, "A2", "it was served in plaintext")
	case *wire.Logout:
		c.server.left = f.At
	case *wire.Publish:
		c.published(f, m)
	case *wire.GroupChange:
		c.changed(f, m)
	case *wire.StopShare:
		told := c.server.gone[goneFile{m.Group, m.File}]
		if told == nil || told.At.Before(f.Request.At) || told.Message.(*wire.Gone).Reason != wire.GoneStopped {
			c.owe(duty{"E2", f.At.Add(time.Second), Responder, "no GONE after STOP_SHARE", func(f *Frame) bool {
				g, ok := f.Message.(*wire.Gone)
				return ok && g.Group == m.Group && g.File == m.File && g.Reason == wire.GoneStopped
			}})
		}
	}
}

// published holds rule W3.
func (c *Conn) published(f *Frame, m *wire.Publish) {
	if len(m.Mirrors) == 0 {
		return
	}
	sorted := slices.Sorted(slices.Values(m.Mirrors))
	kept := m.Content.Pieces() <= keptPieces
	switch {
	case len(slices.Compact(sorted)) < len(m.Mirrors):
		c.violate(f, "W3", "a mirror is there twice")
	case kept != (len(m.Manifest) > 0):
		c.violate(f, "W3", "a manifest of %d bytes for %d pieces", len(m.Manifest), m.Content.Pieces())
	case kept:
		if err := c.verifyKept(m.Manifest, m.Content); err != nil {
			c.violate(f, "W3", "%v", err)
		}
	}
}

// keptPieces is of how many pieces an object has a manifest that a server keeps, at most.
const keptPieces = 1980

// changed holds the rules of a group that was changed (G2, G4, G10, E1).
func (c *Conn) changed(f *Frame, m *wire.GroupChange) {
	if m.Group == shoal.Public {
		rule := map[wire.GroupVerb]string{wire.CreateGroup: "G2"}[m.Verb]
		if rule == "" {
			rule = "G10"
		}
		c.violate(f, rule, "the verb %v in %q", m.Verb, m.Group)
		return
	}
	if m.Verb != wire.RemoveUser && m.Verb != wire.DeleteGroup {
		return // which may have changed nothing
	}
	if told := c.server.epochs[m.Group]; told.at.Before(f.Request.At) {
		was := c.serverLore().epochs[m.Group]
		c.owe(duty{"E1", f.At.Add(time.Second), Responder, "no EPOCH after GROUP", func(f *Frame) bool {
			e, ok := f.Message.(*wire.Epoch)
			return ok && e.Group == m.Group && e.Epoch > was.epoch
		}})
	}
}

var anID = regexp.MustCompile(`[0-9a-f]{64}`)

// serverRefused takes an error: what it says must be so.
func (c *Conn) serverRefused(f *Frame, e *wire.ErrorReply) {
	switch m := requestOf(f).(type) {
	case *wire.Publish:
		if e.Code == shoal.NameTaken {
			ids := anID.FindAllString(e.Text, -1)
			slices.Sort(ids)
			if !slices.Contains(ids, hex.EncodeToString(m.Content.ID[:])) || len(slices.Compact(ids)) < 2 {
				c.violate(f, "S2", "both FileIDs must be in the text")
			}
		}
	case *wire.Announce:
		if held := len(c.server.offers) + len(m.Offers); e.Code == shoal.Limit && held <= maxOffers && !c.blind {
			c.violate(f, "S7", "%d offers are too many", held)
		}
	}
}
