package wire

import (
	"shoal"
	"shoal/xdr"
)

// Report says that a device, as a source of a file in a group, has sent what is proven to be wrong.
type Report struct {
	Group  shoal.Group
	File   shoal.FileID
	Device shoal.DeviceID
}

// Reports asks which devices were reported in a group.
type Reports struct{ Group shoal.Group }

// Reported is a device that was: of which user it was then, by how many users, since when, and when last, both in
// milliseconds since 1970 UTC.
type Reported struct {
	Device shoal.DeviceID
	User   string
	Users  uint32
	Since  int64
	Latest int64
}

// ReportsReply is who was reported, by the most users first; More says that there are others.
type ReportsReply struct {
	Revision uint64
	Entries  []Reported
	More     bool
}

func (m *Report) Append(b []byte) []byte {
	b = xdr.AppendString(b, m.Group)
	b = xdr.AppendFixed(b, m.File[:])
	return xdr.AppendFixed(b, m.Device[:])
}

func (m *Report) decode(d *xdr.Decoder) {
	m.Group = group(d)
	copy(m.File[:], d.Fixed(len(m.File)))
	copy(m.Device[:], d.Fixed(len(m.Device)))
}

func (m *Reports) Append(b []byte) []byte { return xdr.AppendString(b, m.Group) }
func (m *Reports) decode(d *xdr.Decoder)  { m.Group = group(d) }

func (m *ReportsReply) Append(b []byte) []byte {
	b = xdr.AppendUint64(b, m.Revision)
	b = xdr.AppendUint32(b, uint32(len(m.Entries)))
	for i := range m.Entries {
		e := &m.Entries[i]
		b = xdr.AppendFixed(b, e.Device[:])
		b = xdr.AppendString(b, e.User)
		b = xdr.AppendUint32(b, e.Users)
		b = xdr.AppendInt64(b, e.Since)
		b = xdr.AppendInt64(b, e.Latest)
	}
	return xdr.AppendBool(b, m.More)
}

func (m *ReportsReply) decode(d *xdr.Decoder) {
	m.Revision = d.Uint64()
	m.Entries = make([]Reported, d.Count(MaxList, 32+minLabel+4+8+8))
	for i := range m.Entries {
		e := &m.Entries[i]
		copy(e.Device[:], d.Fixed(len(e.Device)))
		e.User, e.Users, e.Since, e.Latest = user(d), d.Uint32(), d.Int64(), d.Int64()
	}
	m.More = d.Bool()
}
