package meta

import (
	"slices"
	"strings"

	"shoal"
)

// groupModel is what a group is, in words that can be compared.
type groupModel struct {
	there    bool
	owner    Username
	epoch    uint64 // kept when the group is deleted
	members  string // sorted, each with a comma
	requests string
}

func (g groupModel) has(in string, u Username) bool {
	return slices.Contains(strings.Split(in, ","), string(u))
}

func with(in string, u Username) string {
	all := append(slices.DeleteFunc(strings.Split(in, ","), func(s string) bool { return s == "" }), string(u))
	slices.Sort(all)
	return strings.Join(all, ",") + ","
}

func without(in string, u Username) string {
	var left string
	for s := range strings.SplitSeq(in, ",") {
		if s != "" && s != string(u) {
			left += s + ","
		}
	}
	return left
}

// asked is what somebody did: a mutation, or a look at a group where that is nil.
type asked struct {
	group    shoal.Group
	by       Username
	mutation Mutation
}

// answered is what came back.
type answered struct {
	code shoal.Code
	seen groupModel // by a look
}

// stepGroup says whether an answer is right in a state, and which state follows. It is written from what the mutations
// promise, not from what they do.
func stepGroup(state, input, output any) (bool, any) {
	g, in, out := state.(groupModel), input.(asked), output.(answered)
	if in.mutation == nil {
		want := g
		if !g.there {
			want = groupModel{}
		}
		return out.seen == want, g
	}
	code, next := mayGroup(g, in)
	if code != 0 {
		next = g
	}
	return out.code == code, next
}

func mayGroup(g groupModel, in asked) (shoal.Code, groupModel) {
	member, owner := g.there && g.has(g.members, in.by), g.there && g.owner == in.by
	ownerOnly := shoal.Code(0)
	switch {
	case !member:
		ownerOnly = shoal.NotFound
	case !owner:
		ownerOnly = shoal.Denied
	}
	next := g
	switch m := in.mutation.(type) {
	case *CreateGroup:
		if g.there {
			return shoal.Exists, g
		}
		return 0, groupModel{there: true, owner: in.by, epoch: g.epoch + 1, members: with("", in.by)}
	case *DeleteGroup:
		return ownerOnly, groupModel{epoch: g.epoch + 1}
	case *TransferGroup:
		if ownerOnly != 0 {
			return ownerOnly, g
		}
		if !g.has(g.members, m.To) {
			return shoal.NotFound, g
		}
		if next.owner = m.To; m.To != g.owner {
			next.epoch++
		}
		return 0, next
	case *RequestJoin:
		switch {
		case !g.there:
			return shoal.NotFound, g
		case member:
			return shoal.Exists, g
		case g.has(g.requests, in.by):
			return 0, g
		}
		next.requests = with(g.requests, in.by)
		return 0, next
	case *LeaveGroup:
		switch {
		case g.there && g.has(g.requests, in.by):
			next.requests = without(g.requests, in.by)
			return 0, next
		case !member:
			return shoal.NotFound, g
		case owner:
			return shoal.Denied, g
		}
		next.members = without(g.members, in.by)
		next.epoch++
		return 0, next
	case *AcceptRequest:
		if ownerOnly != 0 {
			return ownerOnly, g
		}
		if !g.has(g.requests, m.User) {
			return shoal.NotFound, g
		}
		next.requests, next.members = without(g.requests, m.User), with(g.members, m.User)
		return 0, next
	case *RemoveMember:
		switch {
		case ownerOnly != 0:
			return ownerOnly, g
		case m.User == g.owner:
			return shoal.Denied, g
		case !g.has(g.members, m.User):
			return shoal.NotFound, g
		}
		next.members = without(g.members, m.User)
		next.epoch++
		return 0, next
	}
	panic("a mutation that the model does not know")
}
