package passwords

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"shoal"
)

// attempts are logins that are let through one after the other; each tells when.
type attempts struct {
	k    *Keeper
	all  sync.WaitGroup
	mu   sync.Mutex // guards what is below
	done []string
	took map[string]time.Duration
	errs map[string]error
}

func newAttempts() *attempts {
	return &attempts{k: virtual(), took: map[string]time.Duration{}, errs: map[string]error{}}
}

// start begins a hash for the address n, and returns when it waits or is turned away.
func (a *attempts) start(ctx context.Context, n int, name string) {
	begin := time.Now()
	a.all.Go(func() {
		_, err := a.k.Hash(ctx, address(n), []byte(rightPassword))
		a.mu.Lock()
		defer a.mu.Unlock()
		a.done, a.took[name], a.errs[name] = append(a.done, name), time.Since(begin), err
	})
	synctest.Wait()
}

// of returns how long an attempt took and how it ended, zeros if it has not.
func (a *attempts) of(name string) (took time.Duration, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.took[name], a.errs[name]
}

// Addresses are served in turn, and each one's attempts in order.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttempts()
		for _, c := range []struct {
			from int
			name string
		}{{1, "a1"}, {1, "a2"}, {1, "a3"}, {1, "a4"}, {2, "b1"}, {2, "b2"}, {3, "c1"}} {
			a.start(t.Context(), c.from, c.name)
		}
		if n := a.k.Waiting(); n != 6 {
			t.Errorf("%d wait", n)
		}
		a.all.Wait()
		if got, want := fmt.Sprint(a.done), "[a1 a2 b1 c1 a3 b2 a4]"; got != want {
			t.Errorf("served %v, want %v", got, want)
		}
		for name, want := range map[string]time.Duration{"a1": 1, "a2": 2, "b1": 3, "c1": 4, "a4": 7} {
			if took, err := a.of(name); took != want*hashTakes || err != nil {
				t.Errorf("%s took %v, %v", name, took, err)
			}
		}
		a.start(t.Context(), 1, "later")
		a.all.Wait()
		if took, err := a.of("later"); took != hashTakes || err != nil || a.k.Waiting() != 0 {
			t.Errorf("with nobody there it took %v, %v; %d wait", took, err, a.k.Waiting())
		}
	})
}

// One address cannot take more than its places; nor can it keep all places from others.
func TestPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttempts()
		for i := range maxPerNetwork + 3 {
			a.start(t.Context(), 0, fmt.Sprintf("greedy %d", i))
		}
		for _, i := range []int{maxPerNetwork + 1, maxPerNetwork + 2} { // one is at work, and all places are taken
			name := fmt.Sprintf("greedy %d", i)
			if took, err := a.of(name); shoal.CodeOf(err) != shoal.Busy || took != 0 {
				t.Errorf("%s: %v after %v", name, err, took)
			}
		}
		n := 0
		for from := 1; a.k.Waiting() < maxWaiting; from++ {
			for range 4 {
				a.start(t.Context(), from, fmt.Sprintf("other %d", n))
				n++
			}
		}
		// All is full: a newcomer gets the last place of the longest line, at once.
		a.start(t.Context(), 1000, "newcomer")
		if _, err := a.of(fmt.Sprintf("greedy %d", maxPerNetwork)); shoal.CodeOf(err) != shoal.Busy {
			t.Errorf("the last of the longest line: %v", err)
		}
		if a.k.Waiting() != maxWaiting {
			t.Errorf("%d wait", a.k.Waiting())
		}
		a.all.Wait()
		lines := time.Duration((maxWaiting-maxPerNetwork)/4 + 3)
		if took, err := a.of("newcomer"); err != nil || took > lines*hashTakes {
			t.Errorf("the newcomer took %v, %v, where %d lines are served in turn", took, err, lines)
		}
	})
}

// With a line of one for each of as many addresses as there are places, who comes then is turned away at once.
func TestAllPlacesTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttempts()
		for i := range maxWaiting + 1 {
			a.start(t.Context(), i, fmt.Sprint(i))
		}
		a.start(t.Context(), 100_000, "over")
		_, err := a.of("over")
		wantCode(t, err, shoal.Busy)
		a.all.Wait()
		for i := range maxWaiting + 1 {
			if _, err := a.of(fmt.Sprint(i)); err != nil {
				t.Errorf("%d: %v", i, err)
			}
		}
	})
}

// Addresses where logins failed have every fourth turn, and make room for others.
func TestSuspected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttempts()
		for n := 1; n <= 4+maxWaiting; n++ {
			a.k.brakes.failed(fmt.Sprint(n), network(address(n)), time.Now())
		}
		a.start(t.Context(), 0, "at work")
		for n := 1; n <= 4; n++ {
			a.start(t.Context(), n, fmt.Sprintf("s%d", n))
		}
		for n := range 5 {
			a.start(t.Context(), 1000+n, fmt.Sprintf("u%d", n))
		}
		a.all.Wait()
		if got, want := fmt.Sprint(a.done), "[at work u0 u1 u2 s1 u3 u4 s2 s3 s4]"; got != want {
			t.Errorf("served %v, want %v", got, want)
		}
		a.start(t.Context(), 0, "at work again")
		for n := range maxWaiting {
			a.start(t.Context(), 5+n, fmt.Sprintf("t%d", n))
		}
		a.start(t.Context(), 1, "one more")
		a.start(t.Context(), 1000, "welcome")
		if _, err := a.of("one more"); shoal.CodeOf(err) != shoal.Busy {
			t.Errorf("one more of the suspected: %v", err)
		}
		a.all.Wait()
		if took, err := a.of("welcome"); err != nil || took > 3*hashTakes {
			t.Errorf("another took %v, %v", took, err)
		}
		// It is forgotten in a minute.
		time.Sleep(addrForgets)
		if a.k.brakes.suspects(network(address(1)), time.Now()) {
			t.Error("an address is suspected after a minute without failures")
		}
	})
}

// Who gives up leaves the line, and delays nobody.
func TestGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttempts()
		ctx, cancel := context.WithTimeout(t.Context(), hashTakes/2)
		defer cancel()
		a.start(t.Context(), 1, "first")
		for i := range maxPerNetwork - 1 {
			a.start(ctx, 2, fmt.Sprintf("impatient %d", i))
		}
		a.start(t.Context(), 2, "patient")
		a.all.Wait()
		if took, err := a.of("patient"); took != 2*hashTakes || err != nil {
			t.Errorf("the patient one took %v, %v", took, err)
		}
		for i := range maxPerNetwork - 1 {
			name := fmt.Sprintf("impatient %d", i)
			if took, err := a.of(name); took != hashTakes/2 || shoal.CodeOf(err) != shoal.Unreachable {
				t.Errorf("%s took %v, %v", name, took, err)
			}
		}
		if len(a.k.queue.lines) != 0 || len(a.k.queue.turns[unsuspected]) != 0 || a.k.queue.busy {
			t.Error("the queue is not empty")
		}
	})
}

// A turn that comes at the moment when its waiter gives up is passed on; a place that was lost is not.
func TestGivenUpAtTheTurn(t *testing.T) {
	q := newQueue()
	join := func(n int) chan error {
		turn, err := q.join(network(address(n)), unsuspected)
		must(t, err)
		return turn
	}
	if join(1) != nil {
		t.Fatal("the first has to wait")
	}
	torn, next := join(2), join(3)
	q.release()
	q.giveUp(network(address(2)), torn)
	if err := <-next; err != nil || q.waiting != 0 || !q.busy {
		t.Errorf("the next one: %v; %d wait", err, q.waiting)
	}
	greedy := []chan error{join(4), join(4)}
	for n := 5; q.waiting < maxWaiting; n++ {
		join(n)
	}
	join(1000) // which turns away the second of them
	q.giveUp(network(address(4)), greedy[1])
	if q.waiting != maxWaiting || !q.busy || len(greedy[0]) != 0 {
		t.Errorf("%d wait", q.waiting)
	}
}

// Whatever happens, there is one at a time, everybody gets an answer, and the bounds hold.
func TestQueueAtRandom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type waiting struct {
			from int
			turn chan error
		}
		q := newQueue()
		var inLine []waiting
		busy := false
		served := func() { // somebody whose turn it is, if there is one
			for i, w := range inLine {
				select {
				case err := <-w.turn:
					if err == nil && busy {
						t.Fatal("two at a time")
					}
					busy = busy || err == nil
					inLine = slices.Delete(inLine, i, i+1)
					return
				default:
				}
			}
		}
		for range rapid.IntRange(1, 700).Draw(t, "steps") {
			switch from := rapid.IntRange(0, 40).Draw(t, "from"); {
			case from <= 35:
				turn, err := q.join(network(address(from)), rank(from%2))
				if err == nil && turn == nil {
					if busy {
						t.Fatal("two at a time")
					}
					busy = true
				} else if err == nil {
					inLine = append(inLine, waiting{from, turn})
				}
				served()
			case from == 36:
				q.suspect(network(address(rapid.IntRange(0, 40).Draw(t, "suspect"))))
			case from <= 38 && busy:
				busy = false
				q.release()
				served()
			case len(inLine) > 0:
				i := rapid.IntRange(0, len(inLine)-1).Draw(t, "leaves")
				if q.leave(network(address(inLine[i].from)), inLine[i].turn) {
					inLine = slices.Delete(inLine, i, i+1)
				}
			}
			if q.waiting != len(inLine) || q.waiting > maxWaiting || len(q.lines) != len(q.turns[0])+len(q.turns[1]) || q.busy != busy {
				t.Fatalf("%d wait in %d lines, of which %d have turns; %d were expected", q.waiting, len(q.lines), len(q.turns[0])+len(q.turns[1]), len(inLine))
			}
		}
		for busy { // all get their turn
			busy = false
			q.release()
			served()
		}
		if len(inLine) != 0 || q.waiting != 0 {
			t.Fatalf("%d are left waiting", len(inLine))
		}
	})
}
