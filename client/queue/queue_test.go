package queue

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/client/peer"
)

// world is a queue whose downloads do what a test tells them.
type world struct {
	*testing.T
	*Queue
	path      string
	began     chan *work
	runs      []*work // that have begun, and nobody has asked for
	discarded chan Download
	stop      func() // as the end of a daemon does
}

// work is a download that runs.
type work struct {
	Wish
	Reporter
	ctx context.Context
	end chan error
}

const (
	mib    = 1 << 20
	object = 20 * mib // bytes of each
)

func newWorld(t *testing.T, atOnce int) *world {
	w := &world{T: t, path: filepath.Join(t.TempDir(), "downloads.db"), began: make(chan *work, 100), discarded: make(chan Download, 100)}
	w.open(atOnce)
	return w
}

// open opens the queue, and runs it until the test or stop ends.
func (w *world) open(atOnce int) {
	w.Helper()
	var err error
	w.Queue, err = Open(Config{Path: w.path, AtOnce: atOnce, Fetch: w.fetch, Log: zerolog.Nop(), Discard: func(d Download) error {
		w.discarded <- d
		return nil
	}})
	must(w.T, err)
	ctx, cancel := context.WithCancel(w.Context())
	q, done := w.Queue, make(chan struct{})
	go func() {
		defer close(done)
		q.Run(ctx)
	}()
	ended := false
	w.stop = func() {
		if !ended {
			ended = true
			cancel()
			<-done
			must(w.T, q.Close())
		}
	}
	w.Cleanup(func() { w.stop() })
}

func (w *world) fetch(ctx context.Context, wish Wish, r Reporter) (Outcome, error) {
	r.Found(shoal.Name(wish.Target), shoal.Object{Size: object}, wish.Out+wish.Target)
	run := &work{wish, r, ctx, make(chan error, 1)}
	w.began <- run
	select {
	case err := <-run.end:
		return Outcome{Served: err == nil}, err
	case <-ctx.Done():
		return Outcome{}, shoal.Errorf(shoal.Canceled, "stopped")
	}
}

func wish(target string) Wish { return Wish{Group: shoal.Public, Target: target, Out: "/folder/"} }

func (w *world) add(targets ...string) (ids []uint64) {
	w.Helper()
	wishes := make([]Wish, len(targets))
	for i, target := range targets {
		wishes[i] = wish(target)
	}
	added, err := w.Add(w.Context(), wishes)
	must(w.T, err)
	for _, d := range added {
		ids = append(ids, d.ID)
	}
	return ids
}

// next is the download of target, which begins now or soon; the test's time goes on until it does. Those that begin at one
// time do so in any order; which can, tells none.
func (w *world) next(target string) *work {
	w.Helper()
	for {
		if i := slices.IndexFunc(w.runs, func(run *work) bool { return run.Target == target }); i >= 0 {
			run := w.runs[i]
			w.runs = slices.Delete(w.runs, i, i+1)
			return run
		}
		select {
		case run := <-w.began:
			w.runs = append(w.runs, run)
		case <-time.After(time.Hour):
			w.Fatalf("%s is not fetched; the downloads are: %s", target, w.states())
		}
	}
}

// none makes sure that nothing more begins now.
func (w *world) none() {
	w.Helper()
	synctest.Wait()
	if n := len(w.runs) + len(w.began); n > 0 {
		w.Fatalf("%d further downloads have begun: %s", n, w.states())
	}
}

// states are the downloads' targets and states, in their order.
func (w *world) states() string {
	w.Helper()
	synctest.Wait()
	all, _, err := w.List(w.Context())
	must(w.T, err)
	var texts []string
	for _, d := range all {
		texts = append(texts, fmt.Sprintf("%s %s", d.Wish.Target, d.State))
	}
	return strings.Join(texts, ", ")
}

func (w *world) want(states string) {
	w.Helper()
	if got := w.states(); got != states {
		w.Fatalf("the downloads are: %s; want: %s", got, states)
	}
}

// get is the download with that number.
func (w *world) get(id uint64) Download {
	w.Helper()
	synctest.Wait()
	all, _, err := w.List(w.Context())
	must(w.T, err)
	i := slices.IndexFunc(all, func(d Download) bool { return d.ID == id })
	if i < 0 {
		w.Fatalf("there is no download %d", id)
	}
	return all[i]
}

// So many run at a time, first in, first out.
func TestFirstInFirstOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.add("a", "b", "c")
		w.add("d")
		a, b := w.next("a"), w.next("b")
		w.none()
		w.want("a running, b running, c queued, d queued")
		b.end <- nil
		c := w.next("c")
		w.want("a running, b done, c running, d queued")
		a.end <- nil
		d := w.next("d")
		c.end <- nil
		d.end <- nil
		w.want("a done, b done, c done, d done")
		w.none()
		if d := w.get(1); d.Ended.IsZero() || !d.Served || d.Held != object || d.Path != "/folder/a" || d.Name != "a" || d.Fault != nil {
			t.Errorf("a download that is done: %+v", d)
		}
	})
}

// The same wish is not fulfilled twice at a time.
func TestSameWishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		if ids := w.add("a", "b", "a"); !slices.Equal(ids, []uint64{1, 2, 1}) {
			t.Errorf("the numbers are %v", ids)
		}
		a := w.next("a")
		if ids := w.add("b", "a"); !slices.Equal(ids, []uint64{2, 1}) {
			t.Errorf("queued again, the numbers are %v", ids)
		}
		a.end <- nil
		b := w.next("b")
		if ids := w.add("a"); ids[0] != 3 {
			t.Errorf("wanted again when it was done, the number is %d", ids[0])
		}
		b.end <- nil
		w.next("a").end <- nil
		w.want("a done, b done, a done")
	})
}

// What may pass is tried again, later each time until something comes, and others go before it.
func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		a := w.add("a", "b")[0]
		away := shoal.Errorf(shoal.NoSources, "nobody has it")
		w.next("a").end <- away
		b := w.next("b")
		if d := w.get(a); d.State != Queued || d.Attempts != 1 || d.Fault == nil || d.Fault.Code != shoal.NoSources || d.Retry.IsZero() {
			t.Errorf("a download to be tried again: %+v", d)
		}
		time.Sleep(10 * time.Second)
		w.none() // b has the place
		b.end <- nil
		run := w.next("a")
		for n := 2; n < 12; n++ {
			began := time.Now()
			run.end <- away
			run = w.next("a")
			pause := time.Since(began)
			least := min(retryFirst<<(n-1), retryMost) * 3 / 4
			if most := least * 5 / 3; pause < least || pause > most {
				t.Errorf("attempt %d came after %v, want %v to %v", n+1, pause, least, most)
			}
		}
		run.Report(peer.Status{Size: object, Held: mib})
		began := time.Now()
		run.end <- away
		run = w.next("a")
		if pause := time.Since(began); pause > 2*retryFirst {
			t.Errorf("what got something was tried again after %v", pause)
		}
		run.end <- nil
		if d := w.get(a); d.State != Done || d.Attempts != 0 || d.Fault != nil || !d.Retry.IsZero() {
			t.Errorf("in the end: %+v", d)
		}
	})
}

// What waiting does not mend fails; and may be resumed by whoever mends it.
func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		for code, moves := range map[shoal.Code]bool{
			shoal.NotFound: false, shoal.Denied: false, shoal.Exists: false, shoal.BadRequest: false, shoal.Untrusted: false, shoal.Internal: false,
			shoal.Unreachable: true, shoal.Busy: true, shoal.NoSpace: true, shoal.Corrupt: true,
		} {
			target := code.Error()
			id := w.add(target)[0]
			w.next(target).end <- shoal.Errorf(code, "it is so")
			if d := w.get(id); d.State.Moves() != moves || d.Fault.Code != code || d.Fault.Text != "it is so" || d.Ended.IsZero() != moves {
				t.Errorf("after %v: %+v", code, d)
			}
			if !moves {
				_, err := w.Resume(w.Context(), id)
				must(t, err)
			}
			w.next(target).end <- nil
			if d := w.get(id); d.State != Done {
				t.Errorf("%v, tried again, is %s", code, d.State)
			}
		}
	})
}

// The end of the process ends nothing else: what ran runs again, before the others, and what was paused still is.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		ids := w.add("a", "b", "c", "d", "e")
		_, err := w.Pause(w.Context(), ids[3]) // before it is its turn
		must(t, err)
		w.next("a").end <- nil
		w.next("b").end <- shoal.Errorf(shoal.Unreachable, "the server is away")
		run := w.next("c")
		run.Report(peer.Status{Size: object, Held: 3 * mib})
		w.next("e")
		w.stop()
		<-run.ctx.Done()
		_, _, err = w.List(w.Context())
		wantCode(t, err, shoal.Unreachable)
		w.open(3)
		c, e, b := w.next("c"), w.next("e"), w.next("b") // which need not wait any more
		w.none()
		c.end <- nil
		e.end <- nil
		b.end <- nil
		w.want("a done, b done, c done, d paused, e done")
		if d := w.get(ids[2]); d.Took == 0 && d.Held != object {
			t.Errorf("what ran before and after: %+v", d)
		}
		if id := w.add("f")[0]; id != 6 {
			t.Errorf("the next number is %d", id)
		}
	})
}

// A cancellation that a crash interrupted is carried through.
func TestCancelIsCarriedThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.stop()
		j, err := openJournal(w.path)
		must(t, err)
		must(t, j.add([]*Download{{Wish: wish("a"), State: Canceling, Path: "/folder/a"}, {Wish: wish("b"), State: Queued}}))
		must(t, j.close())
		w.open(1)
		w.next("b")
		w.want("b running")
		if d := <-w.discarded; d.Path != "/folder/a" {
			t.Errorf("what is removed is %+v", d)
		}
	})
}

// Progress is what came lately, and who gave what.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		id := w.add("a")[0]
		run := w.next("a")
		status := peer.Status{Size: object, Sources: []peer.SourceStatus{
			{Device: shoal.DeviceID{1}, Session: 1, Bytes: mib},
			{Device: shoal.DeviceID{1}, Session: 2, Connected: true, Bytes: mib},
			{Device: shoal.DeviceID{2}, Bytes: 3 * mib},
			{Device: shoal.DeviceID{3}},
		}}
		for range 100 { // 1 MiB/s for ten seconds, then nothing
			status.Held += mib / 10
			run.Report(status)
			time.Sleep(100 * time.Millisecond)
		}
		d := w.get(id)
		if d.Rate < 0.99*mib || d.Rate > 1.01*mib || d.Held != status.Held || d.State != Running || d.Took != 10*time.Second {
			t.Errorf("while it runs: %+v", d)
		}
		if want := []Share{{Device: shoal.DeviceID{2}, Bytes: 3 * mib}, {Device: shoal.DeviceID{1}, Connected: true, Bytes: 2 * mib}}; !slices.Equal(d.Shares, want) {
			t.Errorf("the shares are %+v, want %+v", d.Shares, want)
		}
		status.Held, status.Resumed = status.Held+5*mib, 5*mib // as when a part is opened: nothing has come
		run.Report(status)
		if d := w.get(id); d.Rate > 1.01*mib || d.Held != status.Held {
			t.Errorf("with what was there: %+v", d)
		}
		status.Waiting = true
		for range 100 {
			run.Report(status)
			time.Sleep(100 * time.Millisecond)
		}
		if d := w.get(id); d.Rate != 0 || !d.Waiting {
			t.Errorf("while nothing comes: %+v", d)
		}
	})
}

// Files that are no queue are refused, and what is damaged in one does not keep the rest from being there.
func TestDamage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.add("a", "b", "c")
		w.next("a").end <- nil
		_, err := Open(Config{Path: w.path})
		wantCode(t, err, shoal.Busy)
		w.stop()
		damage(t, w.path)
		w.open(1)
		w.next("c").end <- nil
		w.want("a done, c done")
	})
}
