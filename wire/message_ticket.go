package wire

import (
	"shoal"
	"shoal/xdr"
)

// TicketRequest asks for a ticket of a group for the device that asks.
type TicketRequest struct{ Group shoal.Group }

// TicketReply is a ticket: a chain that ends in one. Epoch is the group's, Now the server's time in milliseconds since 1970 UTC.
type TicketReply struct {
	Revision uint64
	Ticket   []byte
	Epoch    uint64
	Now      int64
}

// EpochReason says why a group's epoch is told.
type EpochReason uint32

// The reasons. They are for people; what is to be done is the same.
const (
	EpochCurrent EpochReason = 0 // nothing happened just now
	EpochMember  EpochReason = 1 // somebody left or was removed
	EpochDevice  EpochReason = 2 // a member's device was revoked
	EpochOwner   EpochReason = 3 // the group has another owner
	EpochDeleted EpochReason = 4 // there is no such group any more
)

func (r EpochReason) String() string {
	return verbName([]string{"current", "member", "device", "owner", "deleted"}, uint32(r)+1)
}

// Epoch tells a group's epoch: tickets with a lower one do not count any more.
type Epoch struct {
	Group  shoal.Group
	Epoch  uint64
	Reason EpochReason
}

// GoneReason says what is gone.
type GoneReason uint32

// The reasons.
const (
	GoneDeleted GoneReason = 1 // no name in the group stands for the file, or the asker is not in the group
	GoneStopped GoneReason = 2 // the user stopped sharing it, maybe on another device
)

func (r GoneReason) String() string { return verbName([]string{"deleted", "stopped"}, uint32(r)) }

// Gone tells that a file is not to be offered in a group any more.
type Gone struct {
	Group  shoal.Group
	File   shoal.FileID
	Reason GoneReason
}

// Revocation is a chain that ends in REVOKED.
type Revocation struct{ Chain []byte }

// Renew gives a handle another ticket, before the one that it has ends.
type Renew struct {
	Handle uint32
	Ticket []byte
}

func (m *TicketRequest) Append(b []byte) []byte { return xdr.AppendString(b, m.Group) }
func (m *TicketRequest) decode(d *xdr.Decoder)  { m.Group = group(d) }

func (m *TicketReply) Append(b []byte) []byte {
	b = xdr.AppendUint64(b, m.Revision)
	b = xdr.AppendOpaque(b, m.Ticket)
	b = xdr.AppendUint64(b, m.Epoch)
	return xdr.AppendInt64(b, m.Now)
}

func (m *TicketReply) decode(d *xdr.Decoder) {
	m.Revision = d.Uint64()
	m.Ticket = d.Opaque(MaxStatement)
	m.Epoch = d.Uint64()
	m.Now = d.Int64()
}

func (m *Epoch) Append(b []byte) []byte {
	b = xdr.AppendUint64(xdr.AppendString(b, m.Group), m.Epoch)
	return xdr.AppendUint32(b, uint32(m.Reason))
}

func (m *Epoch) decode(d *xdr.Decoder) {
	m.Group = group(d)
	m.Epoch = d.Uint64()
	m.Reason = EpochReason(enumFrom(d, "epoch_reason", 0, uint32(EpochDeleted)))
}

func (m *Gone) Append(b []byte) []byte {
	b = xdr.AppendFixed(xdr.AppendString(b, m.Group), m.File[:])
	return xdr.AppendUint32(b, uint32(m.Reason))
}

func (m *Gone) decode(d *xdr.Decoder) {
	m.Group = group(d)
	copy(m.File[:], d.Fixed(len(m.File)))
	m.Reason = GoneReason(enum(d, "gone_reason", uint32(GoneStopped)))
}

func (m *Revocation) Append(b []byte) []byte { return xdr.AppendOpaque(b, m.Chain) }
func (m *Revocation) decode(d *xdr.Decoder)  { m.Chain = d.Opaque(MaxStatement) }

func (m *Renew) Append(b []byte) []byte {
	return xdr.AppendOpaque(xdr.AppendUint32(b, m.Handle), m.Ticket)
}

func (m *Renew) decode(d *xdr.Decoder) {
	m.Handle = d.Uint32()
	m.Ticket = d.Opaque(MaxStatement)
}
