package wire

import (
	"fmt"

	"shoal"
	"shoal/xdr"
)

// Publish makes Name stand for Content in Group. Head is the file's beginning: empty, or Content.HeadSize() bytes.
// Manifest, the XDR of a ManifestReply, goes with Mirrors alone.
type Publish struct {
	Sequence uint64
	Group    shoal.Group
	Name     shoal.Name
	Content  shoal.Object
	Head     []byte
	Mirrors  []shoal.Mirror
	Manifest []byte
}

// Unpublish takes Name away if it stands for File.
type Unpublish struct {
	Sequence uint64
	Group    shoal.Group
	Name     shoal.Name
	File     shoal.FileID
}

// MutationReply gives the revision at which the mutation holds.
type MutationReply struct{ Revision uint64 }

// List asks for at most Limit names after After ("" is the beginning), in the order of their bytes.
type List struct {
	Group shoal.Group
	After string
	Limit uint32
}

// Entry is one published name, and how many copies there are.
type Entry struct {
	Name    shoal.Name
	Content shoal.Object
	shoal.Availability
	Facts *shoal.Facts // nil for none; not to be changed, as others may share it
}

// ListReply is a part of the list.
type ListReply struct {
	Revision uint64
	Entries  []Entry
	More     bool
}

// Lookup finds an object by name, or by FileID where Name is empty.
type Lookup struct {
	Group shoal.Group
	Name  shoal.Name
	File  shoal.FileID
}

// Source is one process of a device that serves an object, or a part of it. Candidates is a statement by the device.
type Source struct {
	Session    uint64
	Device     shoal.DeviceID
	Pieces     uint32
	Candidates []byte
}

// LookupReply is an object and who has it. The Availability counts all its sources.
type LookupReply struct {
	Revision uint64
	Name     shoal.Name
	Content  shoal.Object
	shoal.Availability
	Missing []shoal.Span   // pieces that no source has (rule S13)
	Facts   *shoal.Facts   // as an Entry's
	Sources []Source       // mirrors are none
	Mirrors []shoal.Mirror // not to be changed, as others may share it
	// PrivateMirrors says that mirrors may be in private networks.
	PrivateMirrors bool
}

// Offer says how many pieces of a swarm's object this process serves, and which ones if it is neither none nor all of them; 0
// ends it.
type Offer struct {
	Swarm    shoal.Swarm
	Pieces   uint32
	Bitfield shoal.Bitfield
}

// Announce replaces the session's candidates, unless empty, and its offers for the swarms named.
type Announce struct {
	Candidates []byte
	Offers     []Offer
}

const (
	byName = 1
	byFile = 2
)

func (m *Publish) Append(b []byte) []byte {
	b = xdr.AppendUint64(b, m.Sequence)
	b = xdr.AppendString(b, m.Group)
	b = xdr.AppendString(b, m.Name)
	b = appendObject(b, m.Content)
	b = xdr.AppendOpaque(b, m.Head)
	return xdr.AppendOpaque(appendMirrors(b, m.Mirrors), m.Manifest)
}

func (m *Publish) decode(d *xdr.Decoder) {
	m.Sequence = d.Uint64()
	m.Group = group(d)
	m.Name = name(d)
	m.Content = object(d)
	m.Head = d.Opaque(shoal.MaxHead)
	if n := len(m.Head); d.Err() == nil && n != 0 && n != m.Content.HeadSize() {
		check(d, "S8", fmt.Errorf("a head of %d bytes, of a file of %d", n, m.Content.Size))
	}
	m.Mirrors = mirrors(d)
	m.Manifest = keptManifest(d, m.Mirrors)
}

func (m *Unpublish) Append(b []byte) []byte {
	b = xdr.AppendUint64(b, m.Sequence)
	b = xdr.AppendString(b, m.Group)
	b = xdr.AppendString(b, m.Name)
	return xdr.AppendFixed(b, m.File[:])
}

func (m *Unpublish) decode(d *xdr.Decoder) {
	m.Sequence = d.Uint64()
	m.Group = group(d)
	m.Name = name(d)
	copy(m.File[:], d.Fixed(len(m.File)))
}

func (m *MutationReply) Append(b []byte) []byte { return xdr.AppendUint64(b, m.Revision) }
func (m *MutationReply) decode(d *xdr.Decoder)  { m.Revision = d.Uint64() }

func (m *List) Append(b []byte) []byte {
	b = xdr.AppendString(b, m.Group)
	b = xdr.AppendString(b, m.After)
	return xdr.AppendUint32(b, m.Limit)
}

func (m *List) decode(d *xdr.Decoder) {
	m.Group = group(d)
	m.After = label(d, shoal.MaxName)
	m.Limit = listLimit(d)
}

func (m *ListReply) Append(b []byte) []byte {
	b = xdr.AppendUint64(b, m.Revision)
	b = xdr.AppendUint32(b, uint32(len(m.Entries)))
	for i := range m.Entries {
		e := &m.Entries[i]
		b = xdr.AppendString(b, e.Name)
		b = appendObject(b, e.Content)
		b = appendAvailability(b, e.Availability)
		b = appendFacts(b, e.Facts)
	}
	return xdr.AppendBool(b, m.More)
}

func (m *ListReply) decode(d *xdr.Decoder) {
	m.Revision = d.Uint64()
	m.Entries = make([]Entry, d.Count(MaxList, 4+4+40+16+minFacts))
	all := make([]shoal.Facts, len(m.Entries))
	for i := range m.Entries {
		e := &m.Entries[i]
		e.Name, e.Content, e.Facts = name(d), object(d), &all[i]
		e.Availability = availability(d, e.Content)
		all[i] = facts(d)
	}
	m.More = d.Bool()
}

func (m *Lookup) Append(b []byte) []byte {
	b = xdr.AppendString(b, m.Group)
	if m.Name != "" {
		return xdr.AppendString(xdr.AppendUint32(b, byName), m.Name)
	}
	return xdr.AppendFixed(xdr.AppendUint32(b, byFile), m.File[:])
}

func (m *Lookup) decode(d *xdr.Decoder) {
	m.Group = groupAgain(d, m.Group)
	m.Name, m.File = "", shoal.FileID{}
	if enum(d, "lookup_by", byFile) == byName {
		m.Name = name(d)
	} else {
		copy(m.File[:], d.Fixed(len(m.File)))
	}
}

func (m *LookupReply) Append(b []byte) []byte {
	b = xdr.AppendUint64(b, m.Revision)
	b = xdr.AppendString(b, m.Name)
	b = appendObject(b, m.Content)
	b = appendAvailability(b, m.Availability)
	b = appendSpans(b, m.Missing)
	b = appendFacts(b, m.Facts)
	b = xdr.AppendUint32(b, uint32(len(m.Sources)))
	for _, s := range m.Sources {
		b = xdr.AppendUint64(b, s.Session)
		b = xdr.AppendFixed(b, s.Device[:])
		b = xdr.AppendUint32(b, s.Pieces)
		b = xdr.AppendOpaque(b, s.Candidates)
	}
	return xdr.AppendBool(appendMirrors(b, m.Mirrors), m.PrivateMirrors)
}

func (m *LookupReply) decode(d *xdr.Decoder) {
	m.Revision = d.Uint64()
	m.Name = name(d)
	m.Content = object(d)
	m.Availability = availability(d, m.Content)
	m.Missing = missing(d, m.Content, m.Availability)
	told := facts(d)
	m.Facts = &told
	m.Sources = make([]Source, d.Count(MaxSources, 8+32+4+4))
	for i := range m.Sources {
		s := &m.Sources[i]
		s.Session = d.Uint64()
		copy(s.Device[:], d.Fixed(len(s.Device)))
		s.Pieces = d.Uint32()
		s.Candidates = d.Opaque(MaxStatement)
	}
	m.Mirrors = mirrors(d)
	m.PrivateMirrors = d.Bool()
}

func (m *Announce) Append(b []byte) []byte {
	b = xdr.AppendOpaque(b, m.Candidates)
	b = xdr.AppendUint32(b, uint32(len(m.Offers)))
	for _, o := range m.Offers {
		b = xdr.AppendString(b, o.Swarm.Group)
		b = appendObject(b, o.Swarm.Object)
		b = xdr.AppendUint32(b, o.Pieces)
		b = xdr.AppendOpaque(b, o.Bitfield)
	}
	return b
}

func (m *Announce) decode(d *xdr.Decoder) {
	m.Candidates = d.Opaque(MaxStatement)
	m.Offers = make([]Offer, d.Count(MaxOffers, 4+4+40+4+4))
	for i := range m.Offers {
		o := &m.Offers[i]
		*o = Offer{shoal.Swarm{Group: group(d), Object: object(d)}, d.Uint32(), d.Opaque(maxBitfield)}
		if d.Err() == nil {
			check(d, "S11", o.check())
		}
	}
}

func appendObject(b []byte, o shoal.Object) []byte {
	return xdr.AppendInt64(xdr.AppendFixed(b, o.ID[:]), o.Size)
}

func object(d *xdr.Decoder) (o shoal.Object) {
	copy(o.ID[:], d.Fixed(len(o.ID)))
	o.Size = size(d)
	return o
}

func size(d *xdr.Decoder) int64 {
	n := d.Int64()
	check(d, "X4", shoal.Object{Size: n}.Check())
	return n
}

func name(d *xdr.Decoder) shoal.Name {
	n, err := shoal.ParseName(d.String(shoal.MaxName))
	check(d, "X3", err)
	return n
}

func group(d *xdr.Decoder) shoal.Group {
	g, err := shoal.ParseGroup(d.String(shoal.MaxGroup))
	check(d, "X3", err)
	return g
}

// groupAgain reads a group that often is the same as before.
func groupAgain(d *xdr.Decoder, before shoal.Group) shoal.Group {
	b := d.Opaque(shoal.MaxGroup)
	if before != "" && string(b) == string(before) {
		return before
	}
	g, err := shoal.ParseGroup(string(b))
	check(d, "X3", err)
	return g
}
