package sender

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"shoal/rpclog"
)

func TestServiceAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, testKey)
		f.down = true
		var c console
		w := mustStart(t, f.config(t.TempDir(), &c))
		n := 0
		for range 300 {
			log(w, n, n+5)
			n += 5
			time.Sleep(flushEvery)
		}
		time.Sleep(flushEvery)
		wantCounts(t, w, Counts{Sent: 1500, Spooled: 1500})
		if f.dials < 5 || f.dials > 30 || c.told("does not take entries") != 1 {
			t.Errorf("%d calls in a minute; console: %s", f.dials, c.text.String())
		}
		f.set(func() { f.down = false })
		time.Sleep(2 * lastPause)
		log(w, n, n+1)
		time.Sleep(quietDrain)
		checkNumbers(t, f.received(w), n+1)
		wantCounts(t, w, Counts{Sent: 1501, Stored: 1501})
		if c.told("takes entries again") != 1 || f.again > 0 {
			t.Errorf("%d entries came twice; console: %s", f.again, c.text.String())
		}
		must(t, closeNow(w))
	})
}

func TestServiceHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, testKey)
		stuck := make(chan struct{})
		f.answer = func(_ *rpclog.Batch, honest func() rpclog.Result) ([]byte, error) {
			<-stuck
			return rpclog.AppendResult(nil, honest()), nil
		}
		var c console
		w := mustStart(t, f.config(t.TempDir(), &c))
		n := 0
		for range 100 {
			log(w, n, n+10)
			n += 10
			time.Sleep(flushEvery)
		}
		if got := w.Counts(); got.Stored != 0 || got.Lost != 0 || got.Spooled < 900 {
			t.Errorf("counts while it hangs: %+v", got)
		}
		f.set(func() { f.answer = nil })
		time.Sleep(2 * (callTimeout + lastPause))
		checkNumbers(t, f.received(w), n)
		close(stuck)
		synctest.Wait()
		checkNumbers(t, f.received(w), n)
		wantCounts(t, w, Counts{Sent: 1000, Stored: 1000})
		must(t, closeNow(w))
	})
}

func TestSpoolIsSentByTheNextProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, testKey)
		f.down = true
		var c console
		dir := filepath.Join(t.TempDir(), "spool")
		first := mustStart(t, f.config(dir, &c))
		log(first, 0, 100)
		time.Sleep(time.Second)
		log(first, 100, 150)
		start := time.Now()
		must(t, closeNow(first))
		if took := time.Since(start); took > 500*time.Millisecond {
			t.Errorf("closing took %v although there is nobody to send to", took)
		}
		wantCounts(t, first, Counts{Sent: 150, Spooled: 150})

		second := mustStart(t, f.config(dir, &c))
		wantCounts(t, second, Counts{Earlier: 150})
		log(second, 0, 10)
		time.Sleep(time.Second)
		wantCounts(t, second, Counts{Sent: 10, Spooled: 10, Earlier: 150})
		f.set(func() { f.down = false })
		time.Sleep(2 * lastPause)
		checkNumbers(t, f.received(first), 150)
		checkNumbers(t, f.received(second), 10)
		if f.order[0] != first.pump.sender || f.order[len(f.order)-1] != second.pump.sender || first.pump.sender == second.pump.sender {
			t.Errorf("order %v", f.order)
		}
		wantCounts(t, second, Counts{Sent: 10, Stored: 10})
		must(t, closeNow(second))
	})
}

func TestSpoolOverflows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, testKey)
		var c console
		config := f.config(t.TempDir(), &c)
		config.SpoolLimit = 20_000
		w := mustStart(t, config)
		n := 0
		for round := range 3 {
			f.hangUp()
			for range 200 {
				log(w, n, n+2)
				n += 2
				time.Sleep(flushEvery)
			}
			if c.told("cannot be kept on disk") != round+1 {
				t.Errorf("console: %s", c.text.String())
			}
			f.set(func() { f.down = false })
			time.Sleep(2 * lastPause)
		}
		must(t, closeNow(w))
		lost := checkNumbers(t, f.received(w), n)
		wantCounts(t, w, Counts{Sent: uint64(n), Stored: uint64(n - lost), Lost: uint64(lost)})
		if lost < n/3 || lost > n-100 {
			t.Errorf("%d of %d lost", lost, n)
		}
	})
}

func TestLossSurvivesTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, testKey)
		f.down = true
		var c console
		config := f.config(t.TempDir(), &c)
		config.SpoolLimit = 20_000
		w := mustStart(t, config)
		for i := range 300 {
			log(w, i, i+1)
			time.Sleep(flushEvery)
		}
		must(t, closeNow(w))
		f.down = false
		next := mustStart(t, config)
		time.Sleep(time.Second)
		must(t, closeNow(next))
		lost := checkNumbers(t, f.received(w), 300)
		if c := w.Counts(); c.Sent != 300 || int(c.Lost) != lost || int(c.Spooled) != 300-lost || lost == 0 {
			t.Errorf("%d lost; counts %+v", lost, c)
		}
	})
}

func TestSpoolOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, testKey)
		var c, d console
		dir := t.TempDir()
		w, other := mustStart(t, f.config(dir, &c)), mustStart(t, f.config(dir, &d))
		if c.told("memory only") != 0 || d.told("memory only") != 1 {
			t.Errorf("console: %s", d.text.String())
		}
		log(other, 0, 7)
		time.Sleep(time.Second)
		wantCounts(t, other, Counts{Sent: 7, Stored: 7})
		f.hangUp()
		n := 7
		for range 100 {
			log(other, n, n+1)
			n++
			time.Sleep(flushEvery)
		}
		f.set(func() { f.down = false })
		time.Sleep(2 * lastPause)
		must(t, closeNow(other))
		must(t, closeNow(w))
		lost := checkNumbers(t, f.received(other), n)
		wantCounts(t, other, Counts{Sent: uint64(n), Stored: uint64(n - lost), Lost: uint64(lost)})
		if lost == 0 {
			t.Error("memory is bounded, but nothing was lost")
		}
	})
}

func TestSpoolThatCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, testKey)
		f.down = true
		var c console
		dir := t.TempDir()
		w := mustStart(t, f.config(dir, &c))
		log(w, 0, 10)
		time.Sleep(time.Second)
		files, err := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix))
		if err != nil || len(files) != 1 {
			t.Fatal(files, err)
		}
		readOnly, err := os.Open(files[0])
		must(t, err)
		synctest.Wait()
		writable := w.pump.queue.spool.segments[0].file // the pump is asleep
		w.pump.queue.spool.segments[0].file = readOnly
		n := 10
		for range 100 {
			log(w, n, n+1)
			n++
			time.Sleep(flushEvery)
		}
		if c.told("cannot be kept on disk") != 1 {
			t.Errorf("console: %s", c.text.String())
		}
		synctest.Wait()
		w.pump.queue.spool.segments[0].file = writable
		must(t, readOnly.Close())
		for range 5 {
			log(w, n, n+1)
			n++
			time.Sleep(flushEvery)
		}
		f.set(func() { f.down = false })
		time.Sleep(2 * lastPause)
		must(t, closeNow(w))
		lost := checkNumbers(t, f.received(w), n)
		wantCounts(t, w, Counts{Sent: uint64(n), Stored: uint64(n - lost), Lost: uint64(lost)})
		if lost < 90 || c.told("kept on disk again") != 1 {
			t.Errorf("%d lost; console: %s", lost, c.text.String())
		}
	})
}
