package queue

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"shoal"
	"shoal/client/peer"
)

// A download that is paused leaves its place to others, and goes on from what it has in its turn.
func TestPauseAndResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		a := w.add("a", "b", "c")[0]
		run := w.next("a")
		run.Report(peer.Status{Size: object, Held: 3 * mib, Sources: []peer.SourceStatus{{Device: shoal.DeviceID{1}, Connected: true, Bytes: 3 * mib}}})
		d, err := w.Pause(w.Context(), a)
		must(t, err)
		if d.State != Paused {
			t.Errorf("it is %s", d.State)
		}
		<-run.ctx.Done()
		b := w.next("b")
		w.want("a paused, b running, c queued")
		_, err = w.Pause(w.Context(), a) // again, which changes nothing
		must(t, err)
		if d := w.get(a); d.Held != 3*mib || d.Rate != 0 || len(d.Shares) != 1 || d.Shares[0] != (Share{Device: shoal.DeviceID{1}, Bytes: 3 * mib}) || d.Fault != nil {
			t.Errorf("a paused download: %+v", d)
		}
		_, err = w.Resume(w.Context(), a)
		must(t, err)
		b.end <- nil
		run = w.next("a") // not c: it was there first
		run.Report(peer.Status{Size: object, Held: 5 * mib, Resumed: 3 * mib, Sources: []peer.SourceStatus{{Device: shoal.DeviceID{1}, Bytes: 2 * mib}}})
		run.end <- nil
		if d := w.get(a); d.State != Done || d.Shares[0].Bytes != 5*mib {
			t.Errorf("when it is done: %+v", d)
		}
		_, err = w.Pause(w.Context(), a)
		wantCode(t, err, shoal.BadRequest)
		_, err = w.Resume(w.Context(), a)
		wantCode(t, err, shoal.BadRequest)
		for _, err := range []error{err1(w.Pause(w.Context(), 99)), err1(w.Resume(w.Context(), 99)), err1(w.Cancel(w.Context(), 99))} {
			wantCode(t, err, shoal.NotFound)
		}
	})
}

func err1[T any](_ T, err error) error { return err }

// A pause that is taken back at once does not end the download.
func TestResumeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		a := w.add("a")[0]
		w.next("a")
		_, err := w.Pause(w.Context(), a)
		must(t, err)
		_, err = w.Resume(w.Context(), a)
		must(t, err)
		w.next("a").end <- nil
		w.want("a done")
	})
}

// What is canceled leaves nothing behind, whatever its state; what is done keeps its file.
func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		cancel := func(id uint64) {
			t.Helper()
			_, err := w.Cancel(w.Context(), id)
			must(t, err)
		}
		ids := w.add("failed", "running", "queued", "done")
		w.next("failed").end <- shoal.NotFound
		run := w.next("running")
		w.want("failed failed, running running, queued queued, done queued")
		for _, id := range []uint64{ids[2], ids[0], ids[1]} {
			cancel(id)
		}
		<-run.ctx.Done()
		w.next("done").end <- nil
		w.want("done done")
		cancel(ids[3])
		w.want("")
		for range 3 {
			if d := <-w.discarded; d.Wish.Target == "done" || (d.Path == "") != (d.Wish.Target == "queued") {
				t.Errorf("of what was canceled is removed what is left of %+v", d)
			}
		}
		if len(w.discarded) > 0 {
			t.Errorf("a file that was done is removed")
		}
	})
}

// Finished downloads are forgotten when somebody says so, and the oldest when there are very many.
func TestClear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		w.add("a", "b", "c")
		w.next("a").end <- nil
		w.next("b").end <- shoal.Denied
		w.next("c")
		synctest.Wait()
		n, err := w.Clear(w.Context())
		must(t, err)
		if n != 2 {
			t.Errorf("%d were cleared", n)
		}
		w.want("c running")
		w.stop()
		j, err := openJournal(w.path)
		must(t, err)
		old := make([]*Download, keepFinished)
		for i := range old {
			old[i] = &Download{Wish: wish(fmt.Sprint(i)), State: Done, Ended: time.Now().Add(time.Duration(i) - time.Hour)}
		}
		must(t, j.add(old))
		must(t, j.close())
		w.open(3)
		w.next("c").end <- nil
		w.add("d")
		w.next("d").end <- shoal.Denied
		synctest.Wait()
		all, _, err := w.List(w.Context())
		must(t, err)
		if len(all) != keepFinished || all[0].Wish.Target != "c" || all[1].Wish.Target != "2" {
			t.Errorf("%d are listed, the second is %s", len(all), all[1].Wish.Target)
		}
	})
}

func TestWishesThatCannotBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		for _, bad := range []Wish{
			{},
			{Group: "a/b", Target: "x", Out: "/"},
			{Group: shoal.Public, Target: "..", Out: "/"},
			{Group: shoal.Public, Target: "x", Out: "relative"},
			{Group: shoal.Public, Target: "x", Out: "/a\x00b"},
			{Group: shoal.Public, Target: "x", Out: "/a\xff"},
			{Group: shoal.Public, Target: "x", Out: "/", Timeout: -1},
		} {
			_, err := w.Add(w.Context(), []Wish{wish("good"), bad})
			wantCode(t, err, shoal.BadRequest)
		}
		many := make([]Wish, most+1)
		for i := range many {
			many[i] = wish(fmt.Sprint(i))
		}
		_, err := w.Add(w.Context(), many)
		wantCode(t, err, shoal.Limit)
		w.want("")
	})
}
