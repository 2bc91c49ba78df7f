package tap

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"shoal/identity"
	"shoal/wire"
	"shoal/wire/wiretest"
)

// failing is a test that notes what it is failed for.
type failing struct {
	testing.TB
	why []string
	end []func()
}

func (f *failing) Error(args ...any)  { f.why = append(f.why, fmt.Sprint(args...)) }
func (f *failing) Cleanup(end func()) { f.end = append(f.end, end) }

// What two sides say is followed, and what is against a rule fails the test, unless it is excepted.
func TestTap(t *testing.T) {
	for _, c := range []struct {
		except []string
		fails  int
	}{{nil, 1}, {[]string{"F6"}, 0}, {[]string{"F5"}, 1}} {
		synctest.Test(t, func(t *testing.T) {
			f := &failing{TB: t}
			tap := New(f, c.except...)
			ours, theirs := wiretest.Pipe()
			plaintext := identity.Transport{Security: wire.Plaintext}
			go func() {
				e, err := identity.Responder{Key: identity.NewKey(), Serves: wire.ServicePeer, Transport: plaintext}.Accept(t.Context(), theirs)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = e.Write(wire.AppendEvent(nil, wire.KindEpoch, &wire.Epoch{Group: "lab"}))
				theirs.Close()
			}()
			e, err := identity.Initiator{
				Key: identity.NewKey(), Wanted: wire.ServicePeer, Transport: plaintext,
				Accept: func(*wire.HelloReply) error { return nil },
			}.Open(t.Context(), tap.Conn(ours))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := e.ReadFrame(); err != nil {
				t.Fatal(err)
			}
			e.Close()
			synctest.Wait()
			for _, end := range f.end {
				end()
			}
			if len(f.why) != c.fails || c.fails > 0 && !strings.HasPrefix(f.why[0], "F6") {
				t.Errorf("except %v: the test fails for %q", c.except, f.why)
			}
			if tap.Seen(wire.KindHello) != 2 || tap.Seen(wire.KindAuth) != 2 || tap.Seen(wire.KindEpoch) != 1 {
				t.Errorf("%v were seen", tap.seen)
			}
		})
	}
}
