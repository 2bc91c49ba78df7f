package meta

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"shoal"
)

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
