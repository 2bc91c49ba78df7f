package histories

import (
	"shoal"
	"shoal/wire"
)

// change is what comes of a verb of GROUP: an error's code, or another group.
func (g Group) change(by string, verb wire.GroupVerb, user string) (shoal.Code, Group) {
	switch verb {
	case wire.CreateGroup:
		if g.Owner != "" {
			return shoal.Exists, g
		}
		return 0, Group{Owner: by, Epoch: g.Epoch + 1, Members: With("", by)}
	case wire.JoinGroup:
		return g.join(by)
	case wire.LeaveGroup:
		return g.leave(by)
	}
	switch {
	case !has(g.Members, by):
		return shoal.NotFound, g
	case g.Owner != by:
		return shoal.Denied, g
	}
	return g.own(verb, user)
}

func (g Group) join(by string) (shoal.Code, Group) {
	switch {
	case g.Owner == "":
		return shoal.NotFound, g
	case has(g.Members, by):
		return shoal.Exists, g
	case !has(g.Requests, by):
		g.Requests = With(g.Requests, by)
	}
	return 0, g
}

func (g Group) leave(by string) (shoal.Code, Group) {
	switch {
	case has(g.Requests, by):
		g.Requests = without(g.Requests, by)
		return 0, g
	case !has(g.Members, by):
		return shoal.NotFound, g
	case g.Owner == by:
		return shoal.Denied, g
	}
	return 0, g.expel(by)
}

// own is what comes of a verb that is the owner's.
func (g Group) own(verb wire.GroupVerb, user string) (shoal.Code, Group) {
	switch verb {
	case wire.DeleteGroup:
		return 0, Group{Epoch: g.Epoch + 1}
	case wire.AcceptUser, wire.RejectUser:
		if !has(g.Requests, user) {
			return shoal.NotFound, g
		}
		g.Requests = without(g.Requests, user)
		if verb == wire.AcceptUser {
			g.Members = With(g.Members, user)
		}
	case wire.RemoveUser, wire.TransferGroup:
		switch {
		case !has(g.Members, user):
			return shoal.NotFound, g
		case verb == wire.RemoveUser && user == g.Owner:
			return shoal.Denied, g
		case verb == wire.RemoveUser:
			return 0, g.expel(user)
		case user != g.Owner:
			g.Owner = user
			g.Epoch++
		}
	}
	return 0, g
}

func (g Group) expel(user string) Group {
	g.Members = without(g.Members, user)
	g.Epoch++
	return g
}
