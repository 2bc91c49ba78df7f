package meta

import (
	"crypto/sha256"

	"shoal"
	"shoal/xdr"
)

// ID says who asks for a mutation, and which of the asker's it is.
type ID struct {
	Device   shoal.DeviceID // proven by the caller
	Sequence uint64         // used by the device for nothing else, and higher than all before
	Holder   bool           // asked for by whoever holds the server's state folder, who may make and delete users
}

// Mutation is a change that can be asked for: one of the types in this package. What it may do is decided from the state
// at the time of its transaction.
type Mutation interface {
	// check refuses what cannot be right whatever the state is. The error has code BadRequest.
	check() error
	// append adds what the asker said, and nothing that the server made of it, to b.
	append(b []byte) []byte
	// decide reads and writes in t, or refuses with an error that has a code. It may be called more than once, and must
	// do the same for the same state.
	decide(t *transaction) error
}

// digest tells requests apart: that of another mutation differs.
type digest [16]byte

// digestOf hashes the mutation with its kind, a number that stands for the same type forever.
func digestOf(m Mutation) (d digest) {
	sum := sha256.Sum256(m.append(xdr.AppendUint32(make([]byte, 0, 128), kindOf(m))))
	copy(d[:], sum[:])
	return d
}

func kindOf(m Mutation) uint32 {
	switch m.(type) {
	case *CreateUser:
		return 1
	case *DeleteUser:
		return 2
	case *EnrolDevice:
		return 3
	case *RevokeDevice:
		return 4
	case *CreateGroup:
		return 5
	case *DeleteGroup:
		return 6
	case *TransferGroup:
		return 7
	case *RequestJoin:
		return 8
	case *LeaveGroup:
		return 9
	case *AcceptRequest:
		return 10
	case *RejectRequest:
		return 11
	case *RemoveMember:
		return 12
	case *CreateInvite:
		return 13
	case *Publish:
		return 14
	case *Unpublish:
		return 15
	case *StopShare:
		return 16
	case *SetRealm:
		return 17
	case *SetPassword:
		return 18
	case *AddDevice:
		return 19
	case *Revoke:
		return 20
	}
	panic("a mutation without a number")
}

func checkUser(u Username) error {
	_, err := ParseUsername(string(u))
	return err
}

func checkGroup(g shoal.Group) error {
	_, err := shoal.ParseGroup(string(g))
	return err
}

func checkName(n shoal.Name) error {
	_, err := shoal.ParseName(string(n))
	return err
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func noGroup(g shoal.Group) error {
	return shoal.Errorf(shoal.NotFound, "there is no group %q, or you are not in it", g)
}

// NotOwner is the error for what only a group's owner may do, and nobody in shoal.Public.
func NotOwner(g shoal.Group, owner Username) error {
	if g == shoal.Public {
		return shoal.Errorf(shoal.Denied, "every user is in the group %q, and nobody owns it; make a group of your own (shoal group create)", g)
	}
	return shoal.Errorf(shoal.Denied, "only the owner of the group %q, %q, may do this", g, owner)
}
