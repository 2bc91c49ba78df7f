package meta

import (
	"time"

	"shoal"
)

const (
	// MaxUsername is the longest Username in bytes.
	MaxUsername = 64
	// MaxDevices is how many devices a user can have.
	MaxDevices = 64
	// MaxLabel is the longest label of a device in bytes.
	MaxLabel = 255
	// maxPassword is the longest hash of a password in bytes, as text.
	maxPassword = 512
	// maxKeys and maxKey bound the statements of a realm, in number and bytes each.
	maxKeys, maxKey = 64, 4096
)

// Username names a user. It obeys the rules of shoal.Name and is at most MaxUsername bytes long. Only ParseUsername makes
// one from what a stranger sent.
type Username string

// ParseUsername checks s as shoal.ParseName does, with MaxUsername as the limit. The error has code BadRequest.
func ParseUsername(s string) (Username, error) {
	if len(s) > MaxUsername {
		return "", shoal.Errorf(shoal.BadRequest, "the user name is %d bytes long; at most %d are allowed", len(s), MaxUsername)
	}
	_, err := shoal.ParseName(s)
	return Username(s), err
}

// Record is one thing that is kept: a pointer to one of the types below. Times are of the server that wrote them.
type Record interface {
	key() key
	append(b []byte) []byte // the value, without its version
	decode(d *decoder)
}

// User is somebody who can log in.
type User struct {
	Name     Username
	Password string // a hash, in the PHC string format
	Created  time.Time
	Admin    bool
	Devices  []shoal.DeviceID // that are enrolled
}

// Device is an installation that acts for a user.
type Device struct {
	ID       shoal.DeviceID
	User     Username
	Enrolled time.Time
	Label    string // for people
}

// Group is a group of users. One of its members owns it.
type Group struct {
	Name    shoal.Group
	Owner   Username
	First   uint64 // its epoch when it was made, higher than any of an earlier group of that name
	Epoch   uint64 // raised whenever a right in the group is taken away
	Created time.Time
	Grace   time.Duration // how long transfers go on without a server; whole seconds
}

// publicGrace is the offline grace of shoal.Public.
const publicGrace = 12 * time.Hour

// PublicGroup is shoal.Public as it is before its epoch was raised first. All users are its members, without a Member each,
// and nobody owns it.
func PublicGroup() *Group { return &Group{Name: shoal.Public, First: 1, Epoch: 1, Grace: publicGrace} }

// Member says that a user is in a group.
type Member struct {
	Group shoal.Group
	User  Username
	Since time.Time
}

// JoinRequest says that a user wants to be in a group.
type JoinRequest struct {
	Group shoal.Group
	User  Username
	Since time.Time
}

// Object is what a name stands for in a group.
type Object struct {
	Group     shoal.Group
	Name      shoal.Name
	Content   shoal.Object
	Publisher Username
	Device    shoal.DeviceID // that published it
	Published time.Time
	Shared    bool // the publisher's copies are offered; each other user's have a Share
	Mirrors   []shoal.Mirror
}

// Share says that the copies of a user other than the publisher are offered. It counts only while the user is a member.
type Share struct {
	Group shoal.Group
	Name  shoal.Name
	User  Username
}

// Invite lets one who knows a code become a user and a member of a group.
type Invite struct {
	Hash    [32]byte // SHA-256 of the code
	Group   shoal.Group
	By      Username
	Epoch   uint64 // of the group when the invite was made
	Expires time.Time
}

// Realm is the realm's public side. Its statements are signed elsewhere, and opaque here.
type Realm struct {
	Root       shoal.RealmKey
	Tickets    [][]byte // certificates of keys that sign tickets
	Successors [][]byte // certificates of root keys that follow
	FirstCode  [32]byte // SHA-256 of the code that makes the first user; zero when there is none (any more)
	Settled    bool     // there has been a user
}
