package meta

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"shoal"
	"shoal/server/meta/histories"
	"shoal/wire"
)

// look reads a group out of a sink, as one moment has it.
func (s *state) look(name shoal.Group) (g histories.Group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	record, is := s.records[groupKey(name)].(*Group)
	if !is {
		return g
	}
	g.Owner, g.Epoch = string(record.Owner), record.Epoch
	for k := range s.records {
		switch r := s.records[k].(type) {
		case *Member:
			if r.Group == name {
				g.Members = histories.With(g.Members, string(r.User))
			}
		case *JoinRequest:
			if r.Group == name {
				g.Requests = histories.With(g.Requests, string(r.User))
			}
		}
	}
	return g
}

// changeOf is what a verb of GROUP stands for.
func changeOf(m *wire.GroupChange) Mutation {
	user := Username(m.User)
	return map[wire.GroupVerb]Mutation{
		wire.CreateGroup: &CreateGroup{Group: m.Group}, wire.DeleteGroup: &DeleteGroup{Group: m.Group},
		wire.TransferGroup: &TransferGroup{Group: m.Group, To: user}, wire.JoinGroup: &RequestJoin{Group: m.Group},
		wire.LeaveGroup: &LeaveGroup{Group: m.Group}, wire.AcceptUser: &AcceptRequest{Group: m.Group, User: user},
		wire.RejectUser: &RejectRequest{Group: m.Group, User: user}, wire.RemoveUser: &RemoveMember{Group: m.Group, User: user},
	}[m.Verb]
}

// randomQuestion returns something to do to a group, or a look at it.
func randomQuestion(g shoal.Group, other Username) any {
	often := map[wire.GroupVerb]int{
		wire.CreateGroup: 2, wire.DeleteGroup: 1, wire.TransferGroup: 1, wire.JoinGroup: 3, wire.LeaveGroup: 1,
		wire.AcceptUser: 3, wire.RejectUser: 1, wire.RemoveUser: 1,
	}
	n := rand.IntN(17)
	for verb := wire.CreateGroup; verb <= wire.TransferGroup; verb++ {
		if n -= often[verb]; n < 0 {
			m := &wire.GroupChange{Verb: verb, Group: g}
			if verb.NamesUser() {
				m.User = string(other)
			}
			return m
		}
	}
	return histories.Look{Group: g}
}

// TestHistory lets many change the same few groups and look at them through two servers, one of which loses answers, and
// checks that all could have happened one after the other.
func TestHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	names := []Username{"ann", "bob", "cat", "dan", "eve", "fay"}
	w.users(names...)
	var before histories.State
	for i, name := range names {
		before = before.Enrol(string(name), device(i+1))
	}
	lossy := another(t, w.Store)
	lossy.client = lossyClient(t, w.Store, 20)
	servers := []*Store{w.Store, lossy}
	var sinks []*state
	var feeds []*Feed
	for _, s := range servers {
		sink := newState()
		sinks, feeds = append(sinks, sink), append(feeds, follow(t, s, sink))
	}
	all := askAtOnce(t, 2*len(names), func(client int) (asked histories.Asked, answered histories.Answered, err error) {
		server, g := client%2, shoal.Group(fmt.Sprint("group ", rand.IntN(3)))
		asked = histories.Asked{By: device(1 + client/2), What: randomQuestion(g, names[rand.IntN(len(names))])}
		if m, changes := asked.What.(*wire.GroupChange); changes {
			var o Outcome
			if o, err = servers[server].Apply(t.Context(), w.id(asked.By), changeOf(m)); o.Code != 0 {
				err = nil
			}
			answered.Code = o.Code
		} else if err = feeds[server].Barrier(t.Context()); err == nil {
			answered.Seen = histories.SeeGroup(sinks[server].look(g))
		}
		return asked, answered, err
	})
	model := histories.From(before, func(a histories.Asked) string {
		if m, changes := a.What.(*wire.GroupChange); changes {
			return string(m.Group)
		}
		return string(a.What.(histories.Look).Group)
	})
	codes := make(map[shoal.Code]int)
	for _, o := range all {
		codes[o.Output.(histories.Answered).Code]++
	}
	t.Logf("%d operations, by outcome %v", len(all), codes)
	if err := histories.Check(model, all); err != nil {
		t.Error(err)
	}
}

// askAtOnce lets clients ask, each one thing after the other.
func askAtOnce(t *testing.T, clients int, ask func(client int) (histories.Asked, histories.Answered, error)) []porcupine.Operation {
	const steps = 60
	start := time.Now()
	done := make([][]porcupine.Operation, clients)
	var run sync.WaitGroup
	for client := range done {
		run.Go(func() {
			for range steps {
				call := time.Since(start)
				asked, answered, err := ask(client)
				if err != nil {
					t.Errorf("%+v: %v", asked.What, err)
					return
				}
				done[client] = append(done[client], histories.Did(client, asked, call, answered, time.Since(start)))
			}
		})
	}
	run.Wait()
	return slices.Concat(done...)
}

// TestUserHistory does the same with users who are made and deleted.
func TestUserHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sink := newState()
	f := follow(t, w.Store, sink)
	all := askAtOnce(t, 8, func(int) (asked histories.Asked, answered histories.Answered, err error) {
		user := fmt.Sprint("user ", rand.IntN(30))
		asked.Holder = true
		switch rand.IntN(3) {
		case 0:
			asked.What = &wire.Register{User: user}
			_, err = w.holder(&CreateUser{User: Username(user), Password: "$"})
		case 1:
			asked.What = &wire.Account{Verb: wire.DeleteUser, User: user}
			_, err = w.holder(&DeleteUser{User: Username(user)})
		default:
			asked.What = histories.LookUser{User: user}
			if err = f.Barrier(t.Context()); err == nil && sink.at(userKey(Username(user))) == nil {
				err = noUser(Username(user))
			}
		}
		if err != nil {
			answered.Code = shoal.CodeOf(err)
		}
		return asked, answered, nil
	})
	model := histories.From(histories.State{}, func(a histories.Asked) string {
		switch m := a.What.(type) {
		case *wire.Register:
			return m.User
		case *wire.Account:
			return m.User
		}
		return a.What.(histories.LookUser).User
	})
	if err := histories.Check(model, all); err != nil {
		t.Error(err)
	}
}
