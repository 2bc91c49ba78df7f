package check

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/wire"
)

// serverSide is what a connection with a server has shown.
type serverSide struct {
	process *process // the initiator's
	owed    map[string]bool
	revoked map[string]bool        // chains that were told on this connection
	epochs  map[shoal.Group]heard  // that were
	members map[shoal.Group]uint64 // epochs at which the initiator was in the group, as it got a ticket
	gone    map[goneFile]*Frame    // likewise
	offers  map[shoal.Swarm]bool
	listed  bool // candidates were announced
	pages   map[string]page
	reports burst
	left    time.Time // when a LOGOUT was asked for that was carried out
	user    *wire.WhoamiReply
}

type goneFile struct {
	group shoal.Group
	file  shoal.FileID
}

// established begins what follows the handshake.
func (c *Conn) established(f *Frame) {
	if c.Service != wire.ServiceServer {
		return
	}
	c.server = serverSide{
		process: newProcess(c.Device, c), owed: map[string]bool{}, revoked: map[string]bool{},
		epochs: map[shoal.Group]heard{}, members: map[shoal.Group]uint64{}, gone: map[goneFile]*Frame{}, offers: map[shoal.Swarm]bool{}, pages: map[string]page{},
	}
	for chain, r := range c.serverLore().revoked {
		if f.At.Sub(r.at) > slack && c.now(f.At).Add(slack).Before(r.expires) {
			c.server.owed[chain] = true
		}
	}
}

// toServer takes a request to a server.
func (c *Conn) toServer(f *Frame) {
	if sequence, is := sequenceOf(f.Message); is {
		c.mutation(f, sequence)
	}
	switch m := f.Message.(type) {
	case *wire.Register, *wire.Login, *wire.PasswordChange, *wire.Invite:
		c.violate(f, "A2", "it has a secret, and the connection is in plaintext")
	case *wire.Announce:
		c.announced(f, m)
	case *wire.Publish:
		if id := m.Content.ID; len(m.Head) > 0 && int64(len(m.Head)) == m.Content.Size && sum(m.Head) != id {
			c.violate(f, "S8", "the head is not that of the file")
		}
	}
}

// fromServer takes the reply to a request.
func (c *Conn) fromServer(f *Frame) {
	if c.server.process == nil {
		return
	}
	if len(c.server.owed) > 0 && !c.blind {
		c.server.owed = nil
		c.violate(f, "E4", "ahead of REVOKED, which this server told others")
	}
	if _, is := sequenceOf(requestOf(f)); is {
		c.outcome(f)
	}
	if m, failed := f.Message.(*wire.ErrorReply); failed {
		c.serverRefused(f, m)
		return
	}
	switch m := f.Message.(type) {
	case *wire.RegisterReply:
		c.violate(f, "A2", "it was served in plaintext")
	case *wire.MutationReply:
		c.carriedOut(f)
	case *wire.LookupReply:
		c.found(f, m)
	case *wire.TicketReply:
		c.ticket(f, m)
	case *wire.LogReply:
		checkLines(f, m)
	case *wire.WhoamiReply:
		c.whoami(f, m)
	case *wire.ReportsReply:
		c.reported(f, m)
	case *wire.KeptManifestReply:
		c.keptManifest(f, m)
	case *wire.Empty:
		switch asked := requestOf(f).(type) {
		case *wire.Announce:
			c.offered(f, asked)
		case *wire.Report:
			c.report4(f, asked)
		}
	default:
		c.page(f)
	}
}

// requestOf is the message that a reply answers; nil where it is not known.
func requestOf(f *Frame) wire.Message {
	if f.Request == nil {
		return nil
	}
	return f.Request.Message
}

// whoami holds rule A7: an enrolment that was ended is over.
func (c *Conn) whoami(f *Frame, m *wire.WhoamiReply) {
	if left := c.server.left; !left.IsZero() && f.Request != nil && !f.Request.At.Before(left) && time.UnixMilli(m.Enrolled).Before(c.now(left).Add(-slack)) {
		c.violate(f, "A7", "the enrolment of %v, after LOGOUT", time.UnixMilli(m.Enrolled).UTC())
	}
	c.server.user = m
}

// ticket holds rule K1.
func (c *Conn) ticket(f *Frame, m *wire.TicketReply) {
	said, wrong := follow(m.Ticket, identity.SaysTicket, nil, about(time.UnixMilli(m.Now)))
	if wrong != nil {
		c.violate(f, wrong.rule, "the ticket: %s", wrong.text)
		return
	}
	t, asked := said.ticket, requestOf(f)
	request, _ := asked.(*wire.TicketRequest)
	switch {
	case t.Device != c.Device:
		c.violate(f, "K1", "the ticket is for another device")
	case request != nil && t.Group != request.Group:
		c.violate(f, "K1", "the ticket is for the group %q", t.Group)
	case t.Epoch != m.Epoch:
		c.violate(f, "K1", "the ticket has the epoch %d, and the group %d", t.Epoch, m.Epoch)
	case t.Rights != identity.MayFetch|identity.MayOffer:
		c.violate(f, "K1", "a member's rights are 1 and 2, not %b", t.Rights)
	case t.Issued.Sub(time.UnixMilli(m.Now)).Abs() > justNow:
		c.violate(f, "K1", "the ticket was issued at %v", t.Issued.UTC())
	case time.UnixMilli(m.Now).Sub(c.now(f.At)).Abs() > ticketAge:
		c.violate(f, "K1", "the server's time is said to be %v", time.UnixMilli(m.Now).UTC())
	case c.handshake.certificate != nil && !slices.Contains(said.keys, c.handshake.certificate.root) && !slices.Contains(c.handshake.certificate.keys, said.root):
		c.violate(f, "K1", "the ticket is by another realm than the server")
	default:
		c.epochTold(f, t.Group, m.Epoch)
		if len(c.server.members) < maxGroups {
			c.server.members[t.Group] = m.Epoch
		}
	}
	c.checkRevoked(f, said)
}

const (
	justNow   = time.Second
	ticketAge = 10 * time.Second // how long a reply may wait to be sent
)

// checkLines holds rule S10.
func checkLines(f *Frame, m *wire.LogReply) {
	for line := range bytes.Lines(m.Lines) {
		if !bytes.HasSuffix(line, []byte("\n")) || !json.Valid(line) {
			f.Conn.violate(f, "S10", "%.40q is no line", line)
			return
		}
	}
}

// keptManifest holds rules M1 and W7.
func (c *Conn) keptManifest(f *Frame, m *wire.KeptManifestReply) {
	asked, ok := requestOf(f).(*wire.KeptManifest)
	if !ok {
		return
	}
	if err := c.verifyKept(m.Manifest, shoal.Object{ID: asked.File, Size: -1}); err != nil {
		rule := "M1"
		if len(m.Manifest) == 0 {
			rule = "W7"
		}
		c.violate(f, rule, "the manifest: %v", err)
	}
}

// verifyKept verifies the XDR of a manifest; a size of -1 is the one that it says.
func (c *Conn) verifyKept(raw []byte, o shoal.Object) error {
	var m wire.ManifestReply
	if err := wire.Decode(raw, &m); err != nil {
		return err
	}
	if o.Size < 0 {
		o.Size = m.Size
	}
	err := m.Verify(o)
	if err == nil {
		c.trace.lore.keepManifest(o, &m.Manifest)
	}
	return err
}
