package tickets

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/client/tickets/ticketstest"
	"shoal/identity"
)

// counter hands out tickets over the counter, as a test wants it to.
type counter struct {
	*ticketstest.Office
	realm  *Realm
	device shoal.DeviceID

	mu     sync.Mutex // guards the rest
	asked  []time.Time
	answer func() ([]byte, error) // nil for a good ticket
}

func (c *counter) fetch(ctx context.Context, group shoal.Group) ([]byte, error) {
	for !c.Up.Load() { // the session waits for a connection
		if !sleep(ctx, 10*time.Millisecond) {
			return nil, context.Cause(ctx)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, time.Now())
	if c.answer != nil {
		return c.answer()
	}
	return c.Ticket(c.device, func(t *identity.Ticket) { t.Group = group }), nil
}

func (c *counter) answerBy(answer func() ([]byte, error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = answer
}

func (c *counter) times() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.asked)
}

// within runs a test on virtual time.
func within(t *testing.T, do func(t *testing.T, c *counter, k *Keeper)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := ticketstest.New(t)
		c := &counter{Office: o, realm: realmOf(o), device: identity.NewKey().Device()}
		k := NewKeeper(c.realm, c.device, c.fetch, zerolog.Nop())
		do(t, c, k)
		k.Wait()
	})
}

// good waits for a lease to have a ticket, and fails the test unless it is a good one.
func (c *counter) good(l *Lease) {
	c.TB.Helper()
	<-l.news
	c.stillGood(l)
}

func (c *counter) stillGood(l *Lease) {
	c.TB.Helper()
	raw, err := l.Current()
	if err == nil {
		_, err = c.realm.Admit(c.device, lab, raw)
	}
	must(c.TB, err)
}

// A ticket is good at any time while it is in use, and the server is not asked for it more often than need be.
func TestKeeperRenews(t *testing.T) {
	within(t, func(t *testing.T, c *counter, k *Keeper) {
		l := k.Use(lab)
		c.good(l)
		for range 24 * 12 {
			time.Sleep(5 * time.Minute)
			c.stillGood(l)
		}
		if n := c.times(); n < 24*6 || n > 24*60/5+1 {
			t.Errorf("asked %d times in a day", n)
		}
		every := map[time.Duration]bool{}
		for i := range c.asked[1:] {
			every[c.asked[i+1].Sub(c.asked[i]).Round(time.Second)] = true
		}
		if len(every) < 20 {
			t.Errorf("not spread: %v", every)
		}
		second := k.Use(lab) // shares it
		c.good(second)
		before := c.times()
		l.Close()
		c.stillGood(second)
		second.Close()
		time.Sleep(time.Hour)
		if c.times() != before {
			t.Error("it is renewed when nobody uses it any more")
		}
		l = k.Use(lab)
		c.good(l)
		l.Close()
	})
}

// Without a server a ticket counts until its grace is over; with one again, it is renewed before anybody notices.
func TestKeeperOffline(t *testing.T) {
	within(t, func(t *testing.T, c *counter, k *Keeper) {
		l := k.Use(lab)
		defer l.Close()
		c.good(l)
		c.Away(50*time.Minute + 30*time.Second)
		for range 100 {
			time.Sleep(time.Minute)
			c.stillGood(l)
		}
		c.Up.Store(false)
		raw, _ := l.Current()
		ticket, _, err := c.realm.verify(c.device, lab, raw)
		must(t, err)
		for len(l.news) > 0 {
			<-l.news
		}
		<-l.news
		if over := ticket.Expires.Add(time.Hour); time.Now().Before(over) || time.Since(over) > fetchTimeout+time.Second {
			t.Errorf("it ended %v after the grace", time.Since(over))
		}
		if raw, err := l.Current(); raw != nil || !errors.Is(err, shoal.Unreachable) {
			t.Errorf("after the grace: %v", err)
		}
	})
}

// A server that is away for less than the rest of a ticket's time is not even noticed by those who still reach it.
func TestKeeperMissesNoRenewal(t *testing.T) {
	within(t, func(t *testing.T, c *counter, k *Keeper) {
		l := k.Use(lab)
		defer l.Close()
		c.good(l)
		for range 12 {
			time.Sleep(10 * time.Minute)
			c.Away(2 * time.Minute)
			for range 24 {
				time.Sleep(5 * time.Second)
				raw, err := l.Current()
				must(t, err)
				if ticket, _, err := c.realm.verify(c.device, lab, raw); err != nil || !ticket.Lasts(time.Now(), true) {
					t.Fatalf("the ticket has expired: %v", err)
				}
			}
		}
	})
}

// What the server says for good ends a lease; what may pass is asked again.
func TestKeeperRefused(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(c *counter) ([]byte, error)
		code   shoal.Code // Known() where it ends the lease
	}{
		"not a member": {func(*counter) ([]byte, error) { return nil, shoal.Errorf(shoal.NotFound, "no such group") }, shoal.NotFound},
		"denied":       {func(*counter) ([]byte, error) { return nil, shoal.Denied }, shoal.Denied},
		"another's":    {func(c *counter) ([]byte, error) { return c.Ticket(identity.NewKey().Device(), nil), nil }, shoal.Denied},
		"another group's": {func(c *counter) ([]byte, error) {
			return c.Ticket(c.device, func(t *identity.Ticket) { t.Group = "other" }), nil
		}, shoal.Denied},
		"forged": {func(c *counter) ([]byte, error) { return ticketstest.New(c.TB).Ticket(c.device, nil), nil }, shoal.Untrusted},
		"busy":   {func(*counter) ([]byte, error) { return nil, shoal.Busy }, 0},
		"behind": {func(c *counter) ([]byte, error) {
			return c.Ticket(c.device, ticketstest.AtEpoch(2)), nil
		}, 0},
		"expired":       {func(c *counter) ([]byte, error) { return c.Ticket(c.device, ticketstest.Ago(time.Hour)), nil }, 0},
		"no connection": {func(*counter) ([]byte, error) { return nil, context.DeadlineExceeded }, 0},
	} {
		for _, first := range []bool{true, false} {
			within(t, func(t *testing.T, counter *counter, k *Keeper) {
				counter.realm.Raise(lab, 3)
				refuse := func() { counter.answerBy(func() ([]byte, error) { return c.answer(counter) }) }
				if first {
					refuse()
				}
				l := k.Use(lab)
				defer l.Close()
				if !first {
					counter.good(l)
					refuse()
					k.Refresh("other")
					k.Refresh(lab)
				}
				time.Sleep(retryMost)
				raw, err := l.Current()
				if c.code.Known() {
					if raw != nil || shoal.CodeOf(err) != c.code || len(l.News()) == 0 {
						t.Errorf("%s: got %v", name, err)
					}
					before := counter.times()
					counter.answerBy(nil)
					time.Sleep(time.Hour)
					if counter.times() != before {
						t.Errorf("%s: asked again", name)
					}
					again := k.Use(lab)
					counter.good(again)
					again.Close()
					return
				}
				if must(t, err); (raw == nil) != first || counter.times() < 3 {
					t.Errorf("%s: asked %d times, and the ticket is %x", name, counter.times(), raw)
				}
				counter.answerBy(nil)
				time.Sleep(2 * retryMost)
				counter.good(l)
			})
		}
	}
}

// When an epoch is raised, there is a new ticket before the old one stops counting.
func TestKeeperRefreshes(t *testing.T) {
	within(t, func(t *testing.T, c *counter, k *Keeper) {
		l := k.Use(lab)
		defer l.Close()
		c.good(l)
		raw, _ := l.Current()
		old, err := c.realm.Admit(c.device, lab, raw)
		must(t, err)
		c.answerBy(func() ([]byte, error) { return c.Ticket(c.device, ticketstest.AtEpoch(4)), nil })
		c.realm.Raise(lab, 4)
		began := time.Now()
		k.Refresh("")
		<-l.news
		if time.Since(began) > settle/2 {
			t.Errorf("it took %v", time.Since(began))
		}
		c.stillGood(l)
		must(t, c.realm.Check(old))
		time.Sleep(settle)
		if err := c.realm.Check(old); !errors.Is(err, identity.RefusedEpoch) {
			t.Errorf("the old one: %v", err)
		}
	})
}
