package meta

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

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

// look reads a group out of a sink, as one moment has it.
func (s *state) look(g shoal.Group) (m groupModel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	record, is := s.records[groupKey(g)].(*Group)
	if !is {
		return m
	}
	m = groupModel{there: true, owner: record.Owner, epoch: record.Epoch}
	for k := range maps.Keys(s.records) {
		switch r := s.records[k].(type) {
		case *Member:
			if r.Group == g {
				m.members = with(m.members, r.User)
			}
		case *JoinRequest:
			if r.Group == g {
				m.requests = with(m.requests, r.User)
			}
		}
	}
	return m
}

// TestHistory lets many change the same few groups and look at them through two servers, one of which loses answers, and
// checks that all could have happened one after the other.
func TestHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	names := []Username{"ann", "bob", "cat", "dan", "eve", "fay"}
	w.users(names...)
	lossy := another(w.Store)
	lossy.client = lossyClient(t, w.Store, 20)
	servers := []*Store{w.Store, lossy}
	var sinks []*state
	var feeds []*Feed
	for _, s := range servers {
		sink := newState()
		sinks, feeds = append(sinks, sink), append(feeds, follow(t, s, sink))
	}
	start := time.Now()
	const steps = 60
	histories := make([][]porcupine.Operation, 2*len(names))
	var run sync.WaitGroup
	for client := range histories {
		run.Go(func() {
			server := client % 2
			n := 1 + client/2
			for range steps {
				g := shoal.Group(fmt.Sprint("group ", rand.IntN(3)))
				in := asked{group: g, by: names[n-1], mutation: randomMutation(g, names[rand.IntN(len(names))])}
				var out answered
				call := time.Since(start)
				if in.mutation == nil {
					if err := feeds[server].Barrier(t.Context()); err != nil {
						t.Errorf("looking: %v", err)
						return
					}
					out.seen = sinks[server].look(g)
				} else {
					o, err := servers[server].Apply(t.Context(), w.id(device(n)), in.mutation)
					if err != nil && o.Code == 0 {
						t.Errorf("%T: %v", in.mutation, err)
						return
					}
					out.code = o.Code
				}
				histories[client] = append(histories[client], porcupine.Operation{
					ClientId: client, Input: in, Call: int64(call), Output: out, Return: int64(time.Since(start)),
				})
			}
		})
	}
	run.Wait()
	model := porcupine.Model{
		Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
			parts := make(map[shoal.Group][]porcupine.Operation)
			for _, o := range all {
				g := o.Input.(asked).group
				parts[g] = append(parts[g], o)
			}
			return slices.Collect(maps.Values(parts))
		},
		Init: func() any { return groupModel{} },
		Step: stepGroup,
	}
	all := slices.Concat(histories...)
	codes := make(map[shoal.Code]int)
	for _, o := range all {
		codes[o.Output.(answered).code]++
	}
	t.Logf("%d operations, by outcome %v", len(all), codes)
	if result := porcupine.CheckOperationsTimeout(model, all, 20*time.Second); result != porcupine.Ok {
		t.Errorf("the history is %v", result)
	}
	// A history with one answer changed is refused, so the model sees something.
	for i := range all {
		if o := all[i].Output.(answered); o.seen.there {
			o.seen.epoch++
			all[i].Output = o
			break
		}
	}
	if result := porcupine.CheckOperationsTimeout(model, all, 20*time.Second); result == porcupine.Ok {
		t.Error("a wrong history is found right")
	}
}

// randomMutation returns something to do to a group, or nil for a look.
func randomMutation(g shoal.Group, other Username) Mutation {
	switch n := rand.IntN(16); n {
	case 0, 1:
		return &CreateGroup{Group: g}
	case 2:
		return &DeleteGroup{Group: g}
	case 3:
		return &TransferGroup{Group: g, To: other}
	case 4, 5, 6:
		return &RequestJoin{Group: g}
	case 7:
		return &LeaveGroup{Group: g}
	case 8, 9, 10:
		return &AcceptRequest{Group: g, User: other}
	case 11:
		return &RemoveMember{Group: g, User: other}
	}
	return nil
}

// TestUserHistory does the same with users who are made and deleted.
func TestUserHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sink := newState()
	f := follow(t, w.Store, sink)
	type made struct {
		user Username
		what int // 0 make, 1 delete, 2 look
	}
	start := time.Now()
	histories := make([][]porcupine.Operation, 8)
	var run sync.WaitGroup
	for client := range histories {
		run.Go(func() {
			for range 60 {
				in := made{Username(fmt.Sprint("user ", rand.IntN(30))), rand.IntN(3)}
				call, code := time.Since(start), shoal.Code(0)
				var err error
				switch in.what {
				case 0:
					_, err = w.holder(&CreateUser{User: in.user, Password: "$"})
				case 1:
					_, err = w.holder(&DeleteUser{User: in.user})
				default:
					if err = f.Barrier(t.Context()); err == nil && sink.at(userKey(in.user)) == nil {
						err = noUser(in.user)
					}
				}
				if err != nil {
					code = shoal.CodeOf(err)
				}
				histories[client] = append(histories[client], porcupine.Operation{
					ClientId: client, Input: in, Call: int64(call), Output: code, Return: int64(time.Since(start)),
				})
			}
		})
	}
	run.Wait()
	model := porcupine.Model{
		Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
			parts := make(map[Username][]porcupine.Operation)
			for _, o := range all {
				u := o.Input.(made).user
				parts[u] = append(parts[u], o)
			}
			return slices.Collect(maps.Values(parts))
		},
		Init: func() any { return "never" },
		Step: func(state, input, output any) (bool, any) {
			what, code := input.(made).what, output.(shoal.Code)
			switch {
			case what == 0 && state == "never":
				return code == 0, "there"
			case what == 0:
				return code == shoal.Exists, state
			case state != "there":
				return code == shoal.NotFound, state
			case what == 1:
				return code == 0, "gone"
			}
			return code == 0, state
		},
	}
	if result := porcupine.CheckOperationsTimeout(model, slices.Concat(histories...), 20*time.Second); result != porcupine.Ok {
		t.Errorf("the history is %v", result)
	}
}
