package meta

import (
	"math"
	"time"

	"shoal"
	"shoal/xdr"
)

// recordVersion is the version of all values that this program writes and reads, but for Objects that have mirrors: those
// have mirroredVersion, so that a program which does not know mirrors loses none.
const (
	recordVersion   = 1
	mirroredVersion = 2
)

// encode returns the value of a record.
func encode(r Record) []byte {
	version := byte(recordVersion)
	if o, is := r.(*Object); is && len(o.Mirrors) > 0 {
		version = mirroredVersion
	}
	return r.append(append(make([]byte, 0, 128), version))
}

// decodeRecord returns the record at a key; nil where the key is not of a Record. The error has code Unsupported where
// the value has a version that this program does not know, and Corrupt where it makes no sense.
func decodeRecord(k key, value []byte) (Record, error) {
	r, err := parseKey(k)
	if r == nil || err != nil {
		return nil, err
	}
	d, err := newDecoder(k, value)
	if err != nil {
		return nil, err
	}
	r.decode(d)
	return r, d.finish(k)
}

// decoder reads a value.
type decoder struct {
	xdr.Decoder
	version byte
}

func newDecoder(k key, value []byte) (*decoder, error) {
	if len(value) == 0 {
		return nil, shoal.Errorf(shoal.Corrupt, "the state's value of %v is empty", k)
	}
	if v := value[0]; v != recordVersion && (v != mirroredVersion || !k.isObject()) {
		return nil, shoal.Errorf(shoal.Unsupported, "the state's value of %v has version %d; this program reads version %d only: "+
			"use the version of shoal that wrote it", k, v, recordVersion)
	}
	return &decoder{*xdr.NewDecoder(value[1:]), value[0]}, nil
}

func (d *decoder) finish(k key) error {
	if err := d.Finish(); err != nil {
		return shoal.Errorf(shoal.Corrupt, "the state's value of %v: %w", k, err)
	}
	return nil
}

// time reads milliseconds since 1970, 0 for the zero time.
func (d *decoder) time() time.Time {
	if ms := d.Int64(); ms != 0 {
		return time.UnixMilli(ms).UTC()
	}
	return time.Time{}
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return xdr.AppendInt64(b, 0)
	}
	return xdr.AppendInt64(b, t.UnixMilli())
}

func (d *decoder) fixed() (v [32]byte) {
	copy(v[:], d.Fixed(len(v)))
	return v
}

func (d *decoder) user() Username { return Username(d.String(MaxUsername)) }

func appendStatements(b []byte, all [][]byte) []byte {
	b = xdr.AppendUint32(b, uint32(len(all)))
	for _, s := range all {
		b = xdr.AppendOpaque(b, s)
	}
	return b
}

func (d *decoder) statements() (all [][]byte) {
	for range d.Count(maxKeys, 4) {
		all = append(all, append([]byte(nil), d.Opaque(maxKey)...))
	}
	return all
}

func (r *User) append(b []byte) []byte {
	b = xdr.AppendString(b, r.Password)
	b = appendTime(b, r.Created)
	b = xdr.AppendBool(b, r.Admin)
	b = xdr.AppendUint32(b, uint32(len(r.Devices)))
	for _, d := range r.Devices {
		b = xdr.AppendFixed(b, d[:])
	}
	return b
}

func (r *User) decode(d *decoder) {
	r.Password = d.String(maxPassword)
	r.Created = d.time()
	r.Admin = d.Bool()
	for range d.Count(MaxDevices, 32) {
		r.Devices = append(r.Devices, d.fixed())
	}
}

func (r *Device) append(b []byte) []byte {
	return xdr.AppendString(appendTime(xdr.AppendString(b, r.User), r.Enrolled), r.Label)
}

func (r *Device) decode(d *decoder) {
	r.User, r.Enrolled, r.Label = d.user(), d.time(), d.String(MaxLabel)
}

func (r *Group) append(b []byte) []byte {
	b = xdr.AppendUint64(xdr.AppendUint64(xdr.AppendString(b, r.Owner), r.First), r.Epoch)
	return xdr.AppendInt64(appendTime(b, r.Created), int64(r.Grace/time.Second))
}

func (r *Group) decode(d *decoder) {
	r.Owner, r.First, r.Epoch, r.Created = d.user(), d.Uint64(), d.Uint64(), d.time()
	seconds := d.Int64()
	if seconds < 0 || seconds > int64(math.MaxInt64/time.Second) {
		d.Fail("a grace of %d seconds", seconds)
	}
	r.Grace = time.Duration(seconds) * time.Second
}

func (r *Member) append(b []byte) []byte { return appendTime(b, r.Since) }
func (r *Member) decode(d *decoder)      { r.Since = d.time() }

func (r *JoinRequest) append(b []byte) []byte { return appendTime(b, r.Since) }
func (r *JoinRequest) decode(d *decoder)      { r.Since = d.time() }

func (r *Object) append(b []byte) []byte {
	b = xdr.AppendInt64(xdr.AppendFixed(b, r.Content.ID[:]), r.Content.Size)
	b = appendTime(xdr.AppendFixed(xdr.AppendString(b, r.Publisher), r.Device[:]), r.Published)
	b = xdr.AppendBool(b, r.Shared)
	if len(r.Mirrors) > 0 {
		b = appendMirrors(b, r.Mirrors)
	}
	return b
}

func (r *Object) decode(d *decoder) {
	r.Content = shoal.Object{ID: d.fixed(), Size: d.Int64()}
	r.Publisher, r.Device, r.Published, r.Shared = d.user(), d.fixed(), d.time(), d.Bool()
	if d.version == mirroredVersion {
		r.Mirrors = make([]shoal.Mirror, d.Count(shoal.MaxMirrors, 4))
		for i := range r.Mirrors {
			r.Mirrors[i] = shoal.Mirror(d.String(shoal.MaxMirror))
		}
		if len(r.Mirrors) == 0 {
			d.Fail("no mirrors, where there should be some")
		}
	}
}

func (r *Share) append(b []byte) []byte { return b }
func (r *Share) decode(*decoder)        {}

func (r *Invite) append(b []byte) []byte {
	b = xdr.AppendString(xdr.AppendString(b, r.Group), r.By)
	return appendTime(xdr.AppendUint64(b, r.Epoch), r.Expires)
}

func (r *Invite) decode(d *decoder) {
	r.Group, r.By, r.Epoch, r.Expires = shoal.Group(d.String(shoal.MaxGroup)), d.user(), d.Uint64(), d.time()
}

func (r *Realm) append(b []byte) []byte {
	b = xdr.AppendFixed(b, r.Root[:])
	b = appendStatements(appendStatements(b, r.Tickets), r.Successors)
	return xdr.AppendBool(xdr.AppendFixed(b, r.FirstCode[:]), r.Settled)
}

func (r *Realm) decode(d *decoder) {
	r.Root = d.fixed()
	r.Tickets, r.Successors = d.statements(), d.statements()
	r.FirstCode, r.Settled = d.fixed(), d.Bool()
}
