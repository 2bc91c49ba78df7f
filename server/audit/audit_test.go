package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"shoal"
	"shoal/soap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stamper is an enrichment service that does what a test says.
type stamper struct {
	mu    sync.Mutex // guards what is below
	does  func(ctx context.Context) error
	first uint64
	calls int
}

func (s *stamper) Stamp(ctx context.Context, count int) (soap.Stamp, error) {
	s.mu.Lock()
	s.calls++
	does := s.does
	s.mu.Unlock()
	if does != nil {
		if err := does(ctx); err != nil {
			return soap.Stamp{}, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.first + 1
	s.first += uint64(count)
	return soap.Stamp{Time: time.Date(2030, 5, 6, 7, 8, 9, 0, time.FixedZone("", 3600)), Zone: "Europe/Prague", First: first}, nil
}

func (s *stamper) set(does func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.does = does
}

func hung(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func absent(context.Context) error { return shoal.Errorf(shoal.Unreachable, "nobody listens") }

// output is what was written, for concurrent use.
type output struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// entries are the lines written so far, but for what is about the enrichment service.
func (o *output) entries(t *testing.T) []map[string]any {
	t.Helper()
	entries, _ := o.lines(t)
	return entries
}

func (o *output) lines(t *testing.T) (entries []map[string]any, notices []string) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for line := range strings.Lines(o.text.String()) {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if message := e["message"].(string); strings.HasPrefix(message, "the enrichment service") {
			notices = append(notices, message)
			continue
		}
		entries = append(entries, e)
	}
	return entries, notices
}

// within runs a test on virtual time, with a Log that runs until stop is called or the test ends.
func within(t *testing.T, s Stamper, test func(t *testing.T, l *Log, out *output, stop func())) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var out output
		l := New(zerolog.New(&out).Level(zerolog.InfoLevel), s)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			l.Run(ctx)
		}()
		stop := sync.OnceFunc(func() {
			cancel()
			<-done
		})
		test(t, l, &out, stop)
		stop()
	})
}

var device = shoal.DeviceID{1}

func numbered(i int) Event {
	return Event{Device: device, Operation: "publish", Object: fmt.Sprint(i), Begin: time.Now()}
}

// wantFields fails the test unless the entry has these fields and no others.
func wantFields(t *testing.T, e, fields map[string]any) {
	t.Helper()
	for name, v := range fields {
		if e[name] != v {
			t.Errorf("%s is %v, want %v", name, e[name], v)
		}
	}
	for name := range e {
		if _, known := fields[name]; !known {
			t.Errorf("there is a field %s: %v", name, e[name])
		}
	}
}

func TestEntries(t *testing.T) {
	within(t, new(stamper), func(t *testing.T, l *Log, out *output, _ func()) {
		o := shoal.Object{ID: shoal.FileID{7}, Size: 5}
		l.Record(Event{
			Device: device, Operation: "publish", Object: "public/a b", Content: o, Remote: "192.0.2.1:7", Session: 9,
			Begin: time.Now(), Duration: 1500 * time.Microsecond,
		})
		synctest.Wait()
		l.Record(Event{
			Device: device, Operation: "unpublish", Object: "public/a", Remote: "192.0.2.1:7", Begin: time.Now(),
			Err: shoal.Errorf(shoal.NotFound, "no such name"),
		})
		l.Record(Event{Operation: "connect", Err: shoal.Errorf(shoal.Unreachable, "went away"), Begin: time.Now()})
		synctest.Wait()
		got := out.entries(t)
		if len(got) != 3 {
			t.Fatalf("%d entries", len(got))
		}
		stamped := map[string]any{"stamp_time": "2030-05-06T07:08:09+01:00", "zone": "Europe/Prague"}
		with := func(stamp float64, fields map[string]any) map[string]any {
			fields["stamp"] = stamp
			for k, v := range stamped {
				fields[k] = v
			}
			return fields
		}
		wantFields(t, got[0], with(1, map[string]any{
			"level": "info", "message": "publish", "user": device.String(), "op": "publish", "object": "public/a b", "outcome": "ok",
			"remote": "192.0.2.1:7", "duration": 1.5, "file": o.ID.String(), "size": 5.0, "session": 9.0,
		}))
		wantFields(t, got[1], with(2, map[string]any{
			"level": "warn", "message": "unpublish", "user": device.String(), "op": "unpublish", "object": "public/a",
			"outcome": "not-found", "reason": "no such name", "remote": "192.0.2.1:7", "duration": 0.0,
		}))
		wantFields(t, got[2], with(3, map[string]any{
			"level": "info", "message": "connect", "op": "connect", "outcome": "unreachable", "reason": "went away", "duration": 0.0,
		}))
	})
}

// Without the service, times are the server's own, and say so.
func TestOwnClock(t *testing.T) {
	for name, s := range map[string]Stamper{"none": nil, "absent": &stamper{does: absent}} {
		t.Run(name, func(t *testing.T) {
			within(t, s, func(t *testing.T, l *Log, out *output, _ func()) {
				begin := time.Now()
				l.Record(Event{Operation: "connect", Begin: begin})
				synctest.Wait()
				zone, _ := begin.Zone()
				wantFields(t, out.entries(t)[0], map[string]any{
					"level": "info", "message": "connect", "op": "connect", "outcome": "ok", "duration": 0.0,
					"clock": "own", "stamp_time": begin.Format(time.RFC3339Nano), "zone": zone,
				})
			})
		})
	}
}

// check looks at entries that were numbered from 0: each is there once and in order, or counted as lost in its place.
func check(t *testing.T, got []map[string]any, all int) (written, lost int) {
	t.Helper()
	next := 0
	for _, e := range got {
		if n, ok := e["unwritten"].(float64); ok {
			lost += int(n)
			next += int(n)
			continue
		}
		if e["object"] != fmt.Sprint(next) {
			t.Fatalf("got %v where %d should be", e["object"], next)
		}
		next++
		written++
	}
	if next != all {
		t.Errorf("%d of %d are accounted for", next, all)
	}
	return written, lost
}

// While the service hangs, the queue fills and no more; each entry is written or counted in its place.
func TestStuckStamper(t *testing.T) {
	s := new(stamper)
	within(t, s, func(t *testing.T, l *Log, out *output, _ func()) {
		s.set(hung)
		l.limit = 100
		start := time.Now()
		l.Record(numbered(0))
		synctest.Wait()
		for i := 1; i < 500; i++ {
			l.Record(numbered(i))
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("recording took %v", took)
		}
		time.Sleep(stampTimeout)
		synctest.Wait()
		if n := len(out.entries(t)); n != 1+100+1 {
			t.Errorf("%d entries after the time that a service has", n)
		}
		// From now on it costs nothing, until it is tried again.
		for i := 500; i < 550; i++ {
			l.Record(numbered(i))
			synctest.Wait()
		}
		if took := time.Since(start); took != stampTimeout {
			t.Errorf("it took %v", took)
		}
		if written, lost := check(t, out.entries(t), 550); written != 151 || lost != 399 {
			t.Errorf("%d written, %d lost", written, lost)
		}
		s.set(nil)
		time.Sleep(time.Minute)
		l.Record(numbered(550))
		synctest.Wait()
		got, notices := out.lines(t)
		check(t, got, 551)
		if len(notices) != 2 {
			t.Errorf("of the service's going and coming it says %q", notices)
		}
		if e := got[len(got)-1]; e["stamp"] != 1.0 || e["clock"] != nil {
			t.Errorf("after the service is back: %v", e)
		}
		for _, e := range got[:len(got)-1] {
			if e["clock"] != "own" {
				t.Errorf("stamped by a service that hung: %v", e)
			}
		}
	})
}

// A service that is away is tried less and less often.
func TestBreaker(t *testing.T) {
	s := &stamper{does: absent}
	within(t, s, func(t *testing.T, l *Log, out *output, _ func()) {
		for i := range 600 {
			l.Record(numbered(i))
			time.Sleep(time.Second)
		}
		check(t, out.entries(t), 600)
		if s.calls < 10 || s.calls > 60 {
			t.Errorf("called %d times in 10 minutes", s.calls)
		}
	})
}

// At the end everything that has been recorded is written, and a service that hangs is not waited for.
func TestStop(t *testing.T) {
	s := &stamper{does: hung}
	within(t, s, func(t *testing.T, l *Log, out *output, stop func()) {
		r := l.Begin(device)
		r.List(nil)
		l.Record(numbered(0))
		synctest.Wait()
		for i := 1; i < 1000; i++ {
			l.Record(numbered(i))
		}
		start := time.Now()
		stop()
		if took := time.Since(start); took != pause { // two batches
			t.Errorf("it took %v", took)
		}
		got := out.entries(t)
		if len(got) != 1001 || got[1000]["op"] != "read" {
			t.Fatalf("%d entries, the last is %v", len(got), got[len(got)-1])
		}
		check(t, got[:1000], 1000)
	})
}

// Many record at once, and somebody stops the log in the middle: what was recorded before is written once and in order.
func TestConcurrentRecords(t *testing.T) {
	within(t, new(stamper), func(t *testing.T, l *Log, out *output, stop func()) {
		l.limit = 50
		var everybody sync.WaitGroup
		for range 8 {
			everybody.Go(func() {
				r := l.Begin(device)
				defer r.End()
				for i := range 1000 {
					l.Record(numbered(i))
					r.List(nil)
				}
			})
		}
		everybody.Wait()
		stop()
		events, lists := 0.0, 0.0
		for _, e := range out.entries(t) {
			switch {
			case e["unwritten"] != nil:
				events += e["unwritten"].(float64)
			case e["op"] == "read":
				lists += e["list"].(float64)
			default:
				events++
			}
		}
		if events != 8000 || lists != 8000 {
			t.Errorf("%v events and %v lists", events, lists)
		}
	})
}

func TestNoLog(t *testing.T) {
	var l *Log
	l.Record(numbered(1))
	r := l.Begin(device)
	r.List(nil)
	r.End()
}

// What a session pays for an event that is recorded, and for a read that is counted.
func BenchmarkRecord(b *testing.B) {
	l := New(zerolog.New(io.Discard), nil)
	ctx, cancel := context.WithCancel(b.Context())
	var run sync.WaitGroup
	run.Go(func() { l.Run(ctx) })
	e := numbered(1)
	for b.Loop() {
		l.Record(e)
	}
	cancel()
	run.Wait()
}

func BenchmarkRead(b *testing.B) {
	r := New(zerolog.Nop(), nil).Begin(device)
	for b.Loop() {
		r.Lookup(nil)
	}
}

// Strangers without end leave a few lines a second, and a count.
func TestStrangers(t *testing.T) {
	within(t, nil, func(t *testing.T, l *Log, out *output, _ func()) {
		for range 10 {
			for i := range 1000 {
				e := numbered(i)
				e.Begin = time.Now()
				l.RecordStranger(e)
			}
			time.Sleep(time.Second)
		}
		l.Record(numbered(7))
		time.Sleep(countEvery)
		got := out.entries(t)
		if len(got) != 10*mostStrangers+2 {
			t.Fatalf("%d entries", len(got))
		}
		if last := got[len(got)-1]; last["level"] != "warn" || last[fieldLost] != 10*(1000.0-mostStrangers) {
			t.Errorf("the count is %v", last)
		}
	})
	(*Log)(nil).RecordStranger(Event{})
}
