// Package histories is a model of users, devices and groups: it says which answer to a request is the right one after
// which earlier requests. It is written from what the protocol promises (PROTOCOL.md section 6, "Users, devices and groups",
// and the table of who may ask for what), not from what a server does. Tests let many clients ask for much at a time, and
// porcupine finds out whether the answers could have been given one after the other.
//
// In the model nobody is an admin, and no group has been there before.
package histories

import (
	"maps"
	"slices"
	"strings"

	"shoal"
)

// State is all that there is. It does not change: a request makes another one of it.
type State struct {
	users   map[string]bool // whether the user is there; false for one who was deleted
	devices map[shoal.DeviceID]string
	groups  map[shoal.Group]Group
}

// Group is what a group is. A group that is not there has no owner, and the epoch at which it was deleted, or 0.
type Group struct {
	Owner    string
	Epoch    uint64
	Members  string // in order, each with a comma after it; the owner is one
	Requests string
}

// Seen is the group as one sees it who does not know what was there before.
func (g Group) Seen() Group {
	if g.Owner == "" {
		return Group{}
	}
	return g
}

// With adds a user to a list as in Group.
func With(list, user string) string {
	all := append(split(list), user)
	slices.Sort(all)
	return strings.Join(all, ",") + ","
}

func without(list, user string) string {
	var left string
	for _, s := range split(list) {
		if s != user {
			left += s + ","
		}
	}
	return left
}

func has(list, user string) bool { return slices.Contains(split(list), user) }

func split(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(list, ","), ",")
}

func (s State) equal(other State) bool {
	return maps.Equal(s.groups, other.groups) && maps.Equal(s.devices, other.devices) && maps.Equal(s.users, other.users)
}

// Enrol returns the state with a user who has a device more; the zero State is one without any.
func (s State) Enrol(user string, device shoal.DeviceID) State {
	return s.withUser(user, true).withDevice(device, user)
}

func (s State) withUser(user string, there bool) State {
	s.users = set(s.users, user, there)
	return s
}

// withDevice enrols a device, or ends its enrolment where user is "".
func (s State) withDevice(d shoal.DeviceID, user string) State {
	s.devices = set(s.devices, d, user)
	if user == "" {
		delete(s.devices, d)
	}
	return s
}

func (s State) withGroup(name shoal.Group, g Group) State {
	s.groups = set(s.groups, name, g)
	return s
}

// set returns a copy of a map with another value in it.
func set[K comparable, V any](m map[K]V, k K, v V) map[K]V {
	copied := make(map[K]V, len(m)+1)
	maps.Copy(copied, m)
	copied[k] = v
	return copied
}
