package session

import (
	"context"
	"time"

	"shoal"
	"shoal/server/meta"
	"shoal/server/registry"
	"shoal/wire"
)

// inviteLasts is the longest that an invite can be used (rule G6).
const inviteLasts = 30 * 24 * time.Hour

// changeOf is what a verb of GROUP does.
func changeOf(m *wire.GroupChange) meta.Mutation {
	user := meta.Username(m.User)
	switch m.Verb {
	case wire.CreateGroup:
		return &meta.CreateGroup{Group: m.Group, Grace: time.Duration(m.Grace) * time.Second}
	case wire.JoinGroup:
		return &meta.RequestJoin{Group: m.Group}
	case wire.LeaveGroup:
		return &meta.LeaveGroup{Group: m.Group}
	case wire.AcceptUser:
		return &meta.AcceptRequest{Group: m.Group, User: user}
	case wire.RejectUser:
		return &meta.RejectRequest{Group: m.Group, User: user}
	case wire.RemoveUser:
		return &meta.RemoveMember{Group: m.Group, User: user}
	case wire.DeleteGroup:
		return &meta.DeleteGroup{Group: m.Group}
	case wire.TransferGroup:
		return &meta.TransferGroup{Group: m.Group, To: user}
	}
	return nil
}

// group answers GROUP.
func (s *Session) group(ctx context.Context, m *wire.GroupChange) (reply *wire.MutationReply, err error) {
	about := string(m.Group)
	if m.User != "" {
		about += "/" + m.User
	}
	defer func(begin time.Time) { s.audit("group "+m.Verb.String(), about, shoal.Object{}, begin, err) }(time.Now())
	change := changeOf(m)
	if change == nil {
		return nil, shoal.Errorf(shoal.Unsupported, "this server does not know the verb %v of GROUP", m.Verb)
	}
	return s.changed(s.mutate(ctx, m.Sequence, change))
}

// groups answers GROUPS (rule G5).
func (s *Session) groups(ctx context.Context, m *wire.Groups) (*wire.GroupsReply, error) {
	if _, _, err := s.asUser(ctx); err != nil {
		return nil, err
	}
	revision, groups, more := s.host.Registry.Groups(s.device, shoal.Group(m.After), int(m.Limit))
	reply := &wire.GroupsReply{Revision: revision, More: more}
	for _, g := range groups {
		e := wire.GroupEntry{Group: g.Group.Name, Owner: string(g.Group.Owner), Role: roleOf(g.Role), Grace: uint32(g.Group.Grace / time.Second)}
		if g.Role >= registry.Member {
			e.Members, e.Epoch = uint32(g.Members), g.Group.Epoch
		}
		reply.Entries = append(reply.Entries, e)
	}
	return reply, nil
}

func roleOf(r registry.Role) wire.Role {
	switch r {
	case registry.Asking:
		return wire.RoleRequested
	case registry.Member:
		return wire.RoleMember
	case registry.Owner:
		return wire.RoleOwner
	}
	return wire.RoleNone
}

// within is what the device is in a group, which must be at least the role given.
func (s *Session) within(ctx context.Context, g shoal.Group, least registry.Role) (registry.Standing, uint64, error) {
	if _, _, err := s.asUser(ctx); err != nil {
		return registry.Standing{}, 0, err
	}
	revision, is := s.host.Registry.Standing(s.device, g)
	switch {
	case is.Role < registry.Member:
		return is, 0, registry.NoGroup(g)
	case is.Role < least:
		return is, 0, meta.NotOwner(g, is.Group.Owner)
	}
	return is, revision, nil
}

// members answers MEMBERS.
func (s *Session) members(ctx context.Context, m *wire.Members) (*wire.MembersReply, error) {
	asking, least := false, registry.Member
	if m.Which == wire.MembersAsking {
		asking, least = true, registry.Owner
	}
	if _, _, err := s.within(ctx, m.Group, least); err != nil {
		return nil, err
	}
	revision, found, more := s.host.Registry.People(m.Group, asking, meta.Username(m.After), int(m.Limit))
	reply := &wire.MembersReply{Revision: revision, More: more}
	for _, p := range found {
		reply.Entries = append(reply.Entries, wire.MemberEntry{User: string(p.User), Since: p.Since.UnixMilli()})
	}
	return reply, nil
}

// invite answers INVITE.
func (s *Session) invite(ctx context.Context, m *wire.Invite) (reply *wire.MutationReply, err error) {
	defer func(begin time.Time) { s.audit("invite", string(m.Group), shoal.Object{}, begin, err) }(time.Now())
	if err := s.secure(); err != nil {
		return nil, err
	}
	expires := time.UnixMilli(m.Expires)
	if latest := time.Now().Add(inviteLasts); expires.After(latest) {
		expires = latest
	}
	return s.changed(s.mutate(ctx, m.Sequence, &meta.CreateInvite{Group: m.Group, Hash: m.CodeHash, Expires: expires}))
}

// stopShare answers STOP_SHARE.
func (s *Session) stopShare(ctx context.Context, m *wire.StopShare) (reply *wire.MutationReply, err error) {
	defer func(begin time.Time) {
		s.audit("stop-share", object(m.Group, m.Name), shoal.Object{ID: m.File}, begin, err)
	}(time.Now())
	return s.changed(s.mutate(ctx, m.Sequence, &meta.StopShare{Group: m.Group, Name: m.Name, File: m.File}))
}
