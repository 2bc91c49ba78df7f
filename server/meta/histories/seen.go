package histories

import (
	"cmp"
	"fmt"
	"slices"

	"shoal/wire"
)

// SeeGroup tells of a group as Look sees it.
func SeeGroup(g Group) string { return fmt.Sprintf("%+v", g.Seen()) }

// SeeGroups tells of the entries of a reply to GROUPS, in their order.
func SeeGroups(entries []wire.GroupEntry) (seen string) {
	for _, e := range entries {
		seen += fmt.Sprintf("%s of %s, %v, %d members, epoch %d; ", e.Group, e.Owner, e.Role, e.Members, e.Epoch)
	}
	return seen
}

// SeeMembers tells of the entries of a reply to MEMBERS.
func SeeMembers(entries []wire.MemberEntry) (seen string) {
	for _, e := range entries {
		seen += e.User + ","
	}
	return seen
}

// SeeDevices tells of the entries of a reply to DEVICES, in any order.
func SeeDevices(entries []wire.DeviceEntry) string {
	var all []string
	for _, e := range entries {
		all = append(all, e.Device.String())
	}
	slices.Sort(all)
	return fmt.Sprint(all)
}

func (s State) devicesOf(user string) string {
	var entries []wire.DeviceEntry
	for d, of := range s.devices {
		if of == user {
			entries = append(entries, wire.DeviceEntry{Device: d})
		}
	}
	return SeeDevices(entries)
}

func (s State) groupsOf(user string) string {
	var entries []wire.GroupEntry
	for name, g := range s.groups {
		e := wire.GroupEntry{Group: name, Owner: g.Owner, Role: wire.RoleMember, Members: uint32(len(split(g.Members))), Epoch: g.Epoch}
		switch {
		case g.Owner == user:
			e.Role = wire.RoleOwner
		case has(g.Members, user):
		case has(g.Requests, user):
			e.Role, e.Members, e.Epoch = wire.RoleRequested, 0, 0
		default:
			continue
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b wire.GroupEntry) int { return cmp.Compare(a.Group, b.Group) })
	return SeeGroups(entries)
}
