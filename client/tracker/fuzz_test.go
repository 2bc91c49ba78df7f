package tracker

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/tests/bounds"
	"shoal/tests/frames"
	"shoal/wire"
)

// told are the events that FuzzServer sends, those that break a rule last.
var told = []wire.Kind{wire.KindEpoch, wire.KindGone, wire.KindRevoked, wire.KindBye, wire.KindHave, wire.KindWithdraw, wire.KindCancel}

// FuzzServer has a server answer whatever it likes to whatever it is asked: every call ends, with an answer that obeys the
// rules or an error that has a code, and so does the Tracker.
func FuzzServer(f *testing.F) {
	for how := range byte(16) {
		f.Add([]byte{how, how + 1, how + 2, 0, how, 1, 2, 3, 0, how, 1, 0, 0, how, 1, 2, 0, 0, how, 7, 7, 0, how, 9, 0, 0, how})
		f.Add([]byte{how, how, 0, 1, how, 0, 1, 1, 1, how, 1, how, how, how, 0, how, 1, how, 1, how, 0, 3, how, how})
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		bounds.HoldSaid(t, func() int {
			var said atomic.Int64
			within(t, func(t *testing.T, s *server) {
				script := frames.New(b)
				known := identity.SignCandidates(s.key, []identity.Candidate{{Security: wire.Plaintext, Addr: netip.MustParseAddrPort("192.0.2.1:7401")}}, time.Now(), time.Hour)
				script.Know(shoal.Public, shoal.Group("lab"), shoal.Name("a"), object(1), object(2), object(1).ID, s.key.Device(), known, shoal.Mirror("http://a/"))
				which := script.Bytes(3)
				var turn sync.Mutex // guards script
				s.answerBy(func(f wire.Frame) (reply []byte, done, hangUp bool) {
					right := s.note(f)
					turn.Lock()
					step := frames.Step{Bytes: right}
					if !script.Over() {
						step = script.Answer(f.Header, right, told)
						hangUp = script.Byte() == 33
					}
					turn.Unlock()
					said.Add(int64(len(step.Bytes)))
					time.Sleep(step.Wait)
					return step.Bytes, true, hangUp
				})
				tr, stop := s.track(nil)
				tr.Offer(swarmOf(1), nil)
				askSome(t, tr, which)
				if err := stop(); err != nil && shoal.CodeOf(err) == shoal.Internal {
					t.Errorf("the end without a code: %v", err)
				}
			})
			return int(said.Load())
		})
	})
}

// asking is a question to a server, and what goes for its answer.
type asking struct {
	what string
	ask  func(context.Context, *testing.T, *Tracker) error
}

var questions = []asking{
	{"LIST", func(ctx context.Context, t *testing.T, tr *Tracker) error {
		entries, err := tr.List(ctx, shoal.Public)
		if !slices.IsSortedFunc(entries, func(a, b wire.Entry) int { return strings.Compare(string(a.Name), string(b.Name)) }) {
			t.Errorf("the names are %+v", entries)
		}
		return err
	}},
	{"LOOKUP by name", func(ctx context.Context, t *testing.T, tr *Tracker) error {
		found, err := tr.LookupName(ctx, shoal.Public, "a")
		if err == nil && found.Name != "a" {
			t.Errorf("%q was found instead of a", found.Name)
		}
		return err
	}},
	{"LOOKUP by FileID", func(ctx context.Context, t *testing.T, tr *Tracker) error {
		found, err := tr.LookupFile(ctx, shoal.Public, object(1).ID)
		if err == nil && found.Object.ID != object(1).ID {
			t.Errorf("%v was found instead of %v", found.Object, object(1))
		}
		return err
	}},
	{"USERS", func(ctx context.Context, t *testing.T, tr *Tracker) error { _, err := tr.Users(ctx); return err }},
	{"GROUPS", func(ctx context.Context, t *testing.T, tr *Tracker) error { _, err := tr.Groups(ctx); return err }},
	{"MEMBERS", func(ctx context.Context, t *testing.T, tr *Tracker) error {
		_, err := tr.Members(ctx, "lab", wire.MembersIn)
		return err
	}},
	{"DEVICES", func(ctx context.Context, t *testing.T, tr *Tracker) error { _, err := tr.Devices(ctx, ""); return err }},
	{"WHOAMI", func(ctx context.Context, t *testing.T, tr *Tracker) error { _, err := tr.Whoami(ctx); return err }},
	{"TICKET", func(ctx context.Context, t *testing.T, tr *Tracker) error {
		_, err := tr.Ticket(ctx, "lab")
		return err
	}},
	{"REPORTS", func(ctx context.Context, t *testing.T, tr *Tracker) error {
		_, _, err := tr.Reports(ctx, "lab")
		return err
	}},
	{"KEPT_MANIFEST", func(ctx context.Context, t *testing.T, tr *Tracker) error {
		_, err := tr.KeptManifest(ctx, swarmOf(1))
		return err
	}},
	{"LOG", func(ctx context.Context, t *testing.T, tr *Tracker) error {
		_, err := tr.Log(ctx, &wire.Log{})
		return err
	}},
	{"PUBLISH", func(ctx context.Context, t *testing.T, tr *Tracker) error {
		return tr.Publish(ctx, shoal.Public, "a", object(1), nil)
	}},
	{"UNPUBLISH", func(ctx context.Context, t *testing.T, tr *Tracker) error {
		return tr.Unpublish(ctx, shoal.Public, "a", object(1).ID)
	}},
}

// askSome asks for one thing after the other, and gives up on each after some seconds.
func askSome(t *testing.T, tr *Tracker, which []byte) {
	for _, w := range which {
		one := questions[int(w)%len(questions)]
		ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, shoal.Errorf(shoal.Unreachable, "no answer"))
		if err := one.ask(ctx, t, tr); err != nil && strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%s: %q", one.what, err)
		}
		cancel()
	}
}
