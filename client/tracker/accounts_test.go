package tracker

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/wire"
)

// Each call says on the wire what it is called with, and a mutation that is asked again has the number that it had.
func TestAccountCalls(t *testing.T) {
	within(t, func(t *testing.T, s *server) {
		s.security = identity.Transport{Security: wire.TLS}
		tr, _ := s.track(nil)
		ctx := t.Context()
		device := identity.NewKey().Device()
		hash := [32]byte{1}
		file := shoal.FileID{2}
		for _, c := range []struct {
			kind  wire.Kind
			call  func() error
			got   wire.Message
			want  wire.Message // but for the sequence number
			reply wire.Message
		}{
			{wire.KindRegister, func() error {
				group, err := tr.Register(ctx, "ann", []byte("password"), []byte("code"), "laptop")
				if group != "lab" {
					t.Errorf("in the group %q", group)
				}
				return err
			}, new(wire.Register), &wire.Register{User: "ann", Password: []byte("password"), Code: []byte("code"), Label: "laptop"}, &wire.RegisterReply{Group: "lab"}},
			{
				wire.KindLogin, func() error { return tr.Login(ctx, "ann", []byte("password"), "laptop") },
				new(wire.Login), &wire.Login{User: "ann", Password: []byte("password"), Label: "laptop"}, &wire.MutationReply{},
			},
			{
				wire.KindPassword, func() error { return tr.ChangePassword(ctx, []byte("password"), []byte("another")) },
				new(wire.PasswordChange), &wire.PasswordChange{Was: []byte("password"), Password: []byte("another")}, &wire.MutationReply{},
			},
			{wire.KindLogout, func() error { return tr.Logout(ctx) }, new(wire.Logout), &wire.Logout{}, &wire.MutationReply{}},
			{
				wire.KindAccount, func() error { return tr.DeleteUser(ctx, "bob") },
				new(wire.Account), &wire.Account{Verb: wire.DeleteUser, User: "bob"}, &wire.MutationReply{},
			},
			{
				wire.KindAccount, func() error { return tr.RevokeDevice(ctx, device) },
				new(wire.Account), &wire.Account{Verb: wire.RevokeDevice, Device: device}, &wire.MutationReply{},
			},
			{
				wire.KindGroup, func() error { return tr.ChangeGroup(ctx, wire.AcceptUser, "lab", "bob") },
				new(wire.GroupChange), &wire.GroupChange{Verb: wire.AcceptUser, Group: "lab", User: "bob"}, &wire.MutationReply{},
			},
			{
				wire.KindGroup, func() error { return tr.CreateGroup(ctx, "lab", 77) },
				new(wire.GroupChange), &wire.GroupChange{Verb: wire.CreateGroup, Group: "lab", Grace: 77}, &wire.MutationReply{},
			},
			{
				wire.KindInvite, func() error { return tr.Invite(ctx, "lab", hash, 99) },
				new(wire.Invite), &wire.Invite{Group: "lab", CodeHash: hash, Expires: 99}, &wire.MutationReply{},
			},
			{
				wire.KindStopShare, func() error { return tr.StopShare(ctx, "lab", "it", file) },
				new(wire.StopShare), &wire.StopShare{Group: "lab", Name: "it", File: file}, &wire.MutationReply{},
			},
		} {
			func() {
				var sequences []uint64
				s.answerBy(func(f wire.Frame) ([]byte, bool, bool) {
					if f.Kind != c.kind {
						return nil, false, false
					}
					must(t, wire.Decode(slices.Clone(f.Body), c.got))
					sequence := reflect.ValueOf(c.got).Elem().FieldByName("Sequence")
					sequences = append(sequences, sequence.Uint())
					sequence.SetUint(0)
					if len(sequences) == 1 {
						return nil, false, true // the answer gets lost
					}
					return wire.AppendReply(nil, f.Kind, f.ID, c.reply), true, false
				})
				must(t, c.call())
				if !reflect.DeepEqual(c.got, c.want) {
					t.Errorf("%v: got %#v, want %#v", c.kind, c.got, c.want)
				}
				if len(sequences) != 2 || sequences[0] != sequences[1] || sequences[0] == 0 {
					t.Errorf("%v is numbered %v", c.kind, sequences)
				}
			}()
		}
	})
}

// Passwords and codes are not even sent over plaintext.
func TestSecretsOverPlaintext(t *testing.T) {
	within(t, func(t *testing.T, s *server) {
		tr, _ := s.track(nil)
		s.answerBy(func(f wire.Frame) ([]byte, bool, bool) {
			if f.Kind != wire.KindAnnounce {
				t.Errorf("%v was sent", f.Kind)
			}
			return nil, false, false
		})
		_, err := tr.Register(t.Context(), "ann", []byte("password"), nil, "")
		for _, err := range []error{err, tr.Login(t.Context(), "ann", []byte("password"), ""), tr.Invite(t.Context(), "lab", [32]byte{1}, 1)} {
			wantCode(t, err, shoal.Denied)
		}
	})
}

// Lists come page by page, and one that goes round in circles is not followed.
func TestListsOfPeople(t *testing.T) {
	within(t, func(t *testing.T, s *server) {
		tr, _ := s.track(nil)
		all := make([]wire.UserEntry, 2500)
		for i := range all {
			all[i] = wire.UserEntry{User: fmt.Sprintf("user %04d", i), Created: int64(i)}
		}
		circle := false
		s.answerBy(func(f wire.Frame) ([]byte, bool, bool) {
			if f.Kind != wire.KindUsers {
				return nil, false, false
			}
			var m wire.Users
			must(t, wire.Decode(f.Body, &m))
			from, _ := slices.BinarySearchFunc(all, m.After, func(e wire.UserEntry, after string) int {
				if e.User <= after {
					return -1
				}
				return 1
			})
			if circle {
				from = 0
			}
			to := min(len(all), from+int(m.Limit))
			return wire.AppendReply(nil, f.Kind, f.ID, &wire.UsersReply{Entries: all[from:to], More: to < len(all)}), true, false
		})
		got, err := tr.Users(t.Context())
		must(t, err)
		if !slices.Equal(got, all) {
			t.Errorf("got %d users", len(got))
		}
		circle = true
		_, err = tr.Users(t.Context())
		wantCode(t, err, shoal.Untrusted)
	})
}

// A list of names that goes round in a circle would never end, and take all memory.
func TestListInACircle(t *testing.T) {
	within(t, func(t *testing.T, s *server) {
		tr, _ := s.track(nil)
		s.answerBy(func(f wire.Frame) ([]byte, bool, bool) {
			page := wire.ListReply{Entries: []wire.Entry{{Name: "a", Facts: &shoal.Facts{}}}, More: true}
			return wire.AppendReply(nil, f.Kind, f.ID, &page), f.Kind == wire.KindList, false
		})
		_, err := tr.List(t.Context(), shoal.Public)
		wantCode(t, err, shoal.Untrusted)
	})
}

// What the server tells by itself arrives, in order, and nothing else may come.
func TestEvents(t *testing.T) {
	within(t, func(t *testing.T, s *server) {
		var mu sync.Mutex
		var heard []string
		note := func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			heard = append(heard, fmt.Sprintf(format, args...))
		}
		s.events = Events{
			Epoch:   func(m *wire.Epoch) { note("%s at %d", m.Group, m.Epoch) },
			Gone:    func(m *wire.Gone) { note("%x gone from %s", m.File[:1], m.Group) },
			Revoked: func(chain []byte) { note("revoked %x", chain) },
		}
		tr, _ := s.track(nil)
		tell := func(events ...[]byte) {
			s.answerBy(func(f wire.Frame) ([]byte, bool, bool) {
				return slices.Concat(append(events, wire.AppendReply(nil, f.Kind, f.ID, &wire.Empty{}))...), f.Kind == wire.KindPing, false
			})
			must(t, tr.Ping(t.Context()))
		}
		tell(
			wire.AppendEvent(nil, wire.KindRevoked, &wire.Revocation{Chain: []byte{1, 2, 3, 4}}),
			wire.AppendEvent(nil, wire.KindEpoch, &wire.Epoch{Group: "lab", Epoch: 7}),
			wire.AppendEvent(nil, wire.KindGone, &wire.Gone{Group: "lab", File: shoal.FileID{9}, Reason: wire.GoneDeleted}),
		)
		want := []string{"revoked 01020304", "lab at 7", "09 gone from lab"}
		mu.Lock()
		if !slices.Equal(heard, want) {
			t.Errorf("heard %q", heard)
		}
		mu.Unlock()
		before := s.connections()
		s.answerBy(func(f wire.Frame) ([]byte, bool, bool) {
			return wire.AppendEvent(nil, wire.KindHave, &wire.Have{}), f.Kind == wire.KindList, false
		})
		_, err := tr.List(t.Context(), shoal.Public)
		wantCode(t, err, shoal.BadRequest)
		must(t, tr.Ping(t.Context()))
		if s.connections() != before+1 {
			t.Error("a peer's event does not end the connection")
		}
	})
}

// A device that may not announce anything stays connected, and says everything again when that has changed.
func TestAnnounceDenied(t *testing.T) {
	within(t, func(t *testing.T, s *server) {
		var denied atomic.Int32
		s.events.Denied = func() { denied.Add(1) }
		tr, _ := s.track(nil)
		s.answerBy(func(f wire.Frame) ([]byte, bool, bool) {
			return wire.AppendError(nil, f.Kind, f.ID, shoal.Denied), f.Kind == wire.KindAnnounce, false
		})
		tr.Offer(swarmOf(1), nil)
		time.Sleep(time.Minute)
		if n := s.connections(); n != 1 {
			t.Errorf("%d connections", n)
		}
		if denied.Load() == 0 {
			t.Error("nobody is told")
		}
		s.answerBy(nil)
		s.mu.Lock()
		s.announced = nil
		s.mu.Unlock()
		tr.Reconnect()
		time.Sleep(time.Second)
		must(t, tr.Announced(t.Context()))
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.announced) != 1 || len(s.announced[0].Offers) != 1 || len(s.announced[0].Candidates) == 0 {
			t.Errorf("announced %+v", s.announced)
		}
	})
}

// The server's time is this machine's when none was learned, and a lost connection does not count at once.
func TestReachable(t *testing.T) {
	within(t, func(t *testing.T, s *server) {
		tr, _ := s.track(nil)
		must(t, tr.Ping(t.Context()))
		if tr.Reachable() {
			t.Error("others have had no time to be back")
		}
		time.Sleep(2*retryMost + time.Second)
		if !tr.Reachable() {
			t.Error("there is a connection")
		}
		s.set(true)
		s.hangUp()
		synctest.Wait()
		if tr.Reachable() {
			t.Error("there is no connection")
		}
		if _, err := tr.Whoami(context.Background()); !errors.Is(err, shoal.Unreachable) {
			t.Errorf("got %v", err)
		}
	})
}
