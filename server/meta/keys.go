package meta

import (
	"encoding/binary"
	"fmt"
	"strings"

	"shoal"
)

// key is where something is kept, below the store's prefix.
type key string

const (
	versionKey key = "v"
	realmKey   key = "k"
)

// revocationKeys is what those of revocations begin with.
const revocationKeys key = "c/"

func userKey(u Username) key            { return key("u/" + u) }
func deviceKey(d shoal.DeviceID) key    { return key("d/" + string(d[:])) }
func groupKey(g shoal.Group) key        { return key("g/" + g) }
func inviteKey(hash [32]byte) key       { return key("i/" + string(hash[:])) }
func revocationKey(k [32]byte) key      { return revocationKeys + key(k[:]) }
func floorKey(d shoal.DeviceID) key     { return key("f/" + string(d[:])) }
func deletedUserKey(u Username) key     { return key("t/u/" + u) }
func departedKey(u Username) key        { return key("t/o/" + u) }
func deletedGroupKey(g shoal.Group) key { return key("t/g/" + g) }

func memberKey(g shoal.Group, u Username) key  { return key("m/" + string(g) + "/" + string(u)) }
func requestKey(g shoal.Group, u Username) key { return key("r/" + string(g) + "/" + string(u)) }
func placeKey(u Username, g shoal.Group) key   { return key("x/" + string(u) + "/" + string(g)) }

func objectKey(g shoal.Group, n shoal.Name) key   { return key("o/" + string(g) + "/" + string(n)) }
func manifestKey(g shoal.Group, n shoal.Name) key { return key("h/" + string(g) + "/" + string(n)) }
func shareKey(g shoal.Group, n shoal.Name, u Username) key {
	return key("s/" + string(g) + "/" + string(n) + "/" + string(u))
}

func outcomeKey(id ID) key {
	return key("a/" + string(id.Device[:]) + "/" + string(binary.BigEndian.AppendUint64(nil, id.Sequence)))
}

// isObject reports whether the key is of an Object.
func (k key) isObject() bool { return strings.HasPrefix(string(k), "o/") }

// end is the first key after all that begin with k, which must not end in 0xff.
func (k key) end() key { return k[:len(k)-1] + key(k[len(k)-1]+1) }

// recordKinds are the letters before the first '/' of keys whose values are Records; in this order they are listed, so
// that what is referred to comes before what refers to it.
var recordKinds = [...]key{realmKey, revocationKeys, "u/", "d/", "g/", "m/", "r/", "i/", "o/", "s/"}

// parseKey returns the record that a key stands for, with what the key says of it; nil where the key is not of a Record.
func parseKey(k key) (Record, error) {
	if k == realmKey {
		return &Realm{}, nil
	}
	kind, rest, _ := strings.Cut(string(k), "/")
	p := &keyParser{rest: rest}
	var r Record
	switch kind {
	case "u":
		r = &User{Name: p.user()}
	case "d":
		r = &Device{ID: shoal.DeviceID(p.fixed())}
	case "g":
		r = &Group{Name: p.group()}
	case "m":
		r = &Member{Group: p.group(), User: p.user()}
	case "r":
		r = &JoinRequest{Group: p.group(), User: p.user()}
	case "o":
		r = &Object{Group: p.group(), Name: p.name()}
	case "s":
		r = &Share{Group: p.group(), Name: p.name(), User: p.user()}
	case "c":
		r = &Revocation{Key: p.fixed()}
	case "i":
		r = &Invite{Hash: p.fixed()}
	case "v", "x", "t", "a", "f", "h":
		return nil, nil
	default:
		p.bad = true
	}
	if p.bad || p.rest != "" {
		return nil, shoal.Errorf(shoal.Unsupported, "the state has a key %q that this version does not know; use the version that wrote it", string(k))
	}
	return r, nil
}

// keyParser takes a key apart, from its beginning.
type keyParser struct {
	rest string
	bad  bool
}

func (p *keyParser) part() string {
	part, rest, more := strings.Cut(p.rest, "/")
	p.bad = p.bad || part == "" || more && rest == ""
	p.rest = rest
	return part
}

func (p *keyParser) user() Username     { return Username(p.part()) }
func (p *keyParser) group() shoal.Group { return shoal.Group(p.part()) }
func (p *keyParser) name() shoal.Name   { return shoal.Name(p.part()) }

func (p *keyParser) fixed() (id [32]byte) {
	if len(p.rest) < len(id) {
		p.bad = true
		return id
	}
	copy(id[:], p.rest)
	p.rest = p.rest[len(id):]
	return id
}

func (r *User) key() key        { return userKey(r.Name) }
func (r *Device) key() key      { return deviceKey(r.ID) }
func (r *Group) key() key       { return groupKey(r.Name) }
func (r *Member) key() key      { return memberKey(r.Group, r.User) }
func (r *JoinRequest) key() key { return requestKey(r.Group, r.User) }
func (r *Object) key() key      { return objectKey(r.Group, r.Name) }
func (r *Share) key() key       { return shareKey(r.Group, r.Name, r.User) }
func (r *Invite) key() key      { return inviteKey(r.Hash) }
func (r *Realm) key() key       { return realmKey }

// String shows a key without control characters.
func (k key) String() string { return fmt.Sprintf("%q", string(k)) }
