package enrichment

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"shoal"
	"shoal/server/meta"
	"shoal/server/registry"
	"shoal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// question is what the service was asked.
type question struct {
	name shoal.Name
	size int64
	head string
}

// service is an enrichment service that does what a test says.
type service struct {
	mu    sync.Mutex // guards what is below
	does  func(context.Context, question) (shoal.Facts, error)
	asked []question
}

func (s *service) Enrich(ctx context.Context, name shoal.Name, size int64, head []byte) (shoal.Facts, error) {
	q := question{name, size, string(head)}
	s.mu.Lock()
	s.asked = append(s.asked, q)
	does := s.does
	s.mu.Unlock()
	return does(ctx, q)
}

func (s *service) set(does func(context.Context, question) (shoal.Facts, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.does = does
}

func (s *service) questions() []question {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// answers says of what type a file is by its head, which real services do not do so simply.
func answers(_ context.Context, q question) (shoal.Facts, error) {
	return shoal.Facts{MediaType: "text/" + q.head, Category: "text"}, nil
}

func absent(context.Context, question) (shoal.Facts, error) {
	return shoal.Facts{}, shoal.Errorf(shoal.Unreachable, "nobody listens")
}

func hung(ctx context.Context, _ question) (shoal.Facts, error) {
	<-ctx.Done()
	return shoal.Facts{}, ctx.Err()
}

// device acts for a user, so that it may ask.
var device = shoal.DeviceID{1}

func objectOf(i int) shoal.Object {
	return shoal.Object{ID: shoal.FileID{byte(i), byte(i >> 8), 1}, Size: 100_000}
}

// world is a registry and a queue on virtual time.
type world struct {
	*testing.T
	registry *registry.Registry
	turn     sync.Mutex // held by who feeds it
	service  *service
	queue    *Queue
}

// newRegistry is one that knows a user.
func newRegistry() *registry.Registry {
	r := registry.New()
	r.Apply([]meta.Event{
		{Record: &meta.User{Name: "ann", Devices: []shoal.DeviceID{device}}},
		{Record: &meta.Device{ID: device, User: "ann"}},
	}, 1)
	return r
}

// within runs a test whose service does something at first. The queue runs until the test ends.
func within(t *testing.T, does func(context.Context, question) (shoal.Facts, error), test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, registry: newRegistry(), service: &service{does: does}}
		w.queue = New(w.registry, w.service, zerolog.Nop())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.queue.Run(ctx)
		}()
		test(w)
		cancel()
		<-done
	})
}

// publish does what a session does.
func (w *world) publish(name shoal.Name, o shoal.Object, head string) {
	w.Helper()
	if !w.claim(name, o) {
		w.Fatalf("%q stands for something else", name)
	}
	w.queue.Published(shoal.Public, name, o, []byte(head))
}

func (w *world) unpublish(name shoal.Name, o shoal.Object) {
	w.Helper()
	if !w.release(name, o) {
		w.Fatalf("%q does not stand for that", name)
	}
	w.queue.Unpublished(shoal.Public, name)
}

// claim makes a name stand for an object, unless it stands for another one.
func (w *world) claim(name shoal.Name, o shoal.Object) bool {
	w.turn.Lock()
	defer w.turn.Unlock()
	stands, there := w.stands(name)
	if !there {
		w.registry.Apply([]meta.Event{{Record: &meta.Object{Group: shoal.Public, Name: name, Content: o}}}, w.registry.Revision()+1)
	}
	return !there || stands == o
}

// release takes a name away if it stands for the object.
func (w *world) release(name shoal.Name, o shoal.Object) bool {
	w.turn.Lock()
	defer w.turn.Unlock()
	stands, there := w.stands(name)
	if !there || stands != o {
		return false
	}
	w.registry.Apply([]meta.Event{{Record: &meta.Object{Group: shoal.Public, Name: name}, Deleted: true}}, w.registry.Revision()+1)
	return true
}

func (w *world) stands(name shoal.Name) (o shoal.Object, there bool) {
	_, found, _, err := w.registry.Lookup(device, &wire.Lookup{Group: shoal.Public, Name: name})
	return found.Content, err == nil
}

// want waits until nothing happens any more and compares what is known of a name.
func (w *world) want(name shoal.Name, state shoal.FactsState, mediaType string) {
	w.Helper()
	synctest.Wait()
	_, found, _, err := w.registry.Lookup(device, &wire.Lookup{Group: shoal.Public, Name: name})
	if err != nil {
		w.Fatal(err)
	}
	if found.Facts.State != state || found.Facts.MediaType != mediaType {
		w.Errorf("%s: %+v, want %v and %q", name, *found.Facts, state, mediaType)
	}
}

func TestPublishedIsEnriched(t *testing.T) {
	within(t, answers, func(w *world) {
		w.publish("a", objectOf(1), "plain")
		w.publish("b", objectOf(2), "")
		empty := objectOf(3)
		empty.Size = 0
		w.publish("c", empty, "")
		w.want("a", shoal.Known, "text/plain")
		w.want("b", shoal.Withheld, "text/")
		w.want("c", shoal.Known, "text/")
		if got := w.service.questions(); !slices.Equal(got, []question{{"a", 100_000, "plain"}, {"b", 100_000, ""}, {"c", 0, ""}}) {
			t.Errorf("asked %+v", got)
		}
		// What is known is not asked again, and what was withheld is when it is given.
		w.publish("a", objectOf(1), "html")
		w.publish("b", objectOf(2), "")
		w.publish("b", objectOf(2), "css")
		w.want("a", shoal.Known, "text/plain")
		w.want("b", shoal.Known, "text/css")
		if n := len(w.service.questions()); n != 4 {
			t.Errorf("asked %d times", n)
		}
		if w.queue.waiting.heads != 0 || len(w.queue.waiting.jobs) != 0 {
			t.Errorf("kept: %d bytes of heads, %d jobs", w.queue.waiting.heads, len(w.queue.waiting.jobs))
		}
	})
}

// The caller's buffer is used again for the next frame.
func TestHeadIsCopied(t *testing.T) {
	within(t, absent, func(w *world) {
		w.publish("a", objectOf(1), "")
		head := []byte("plain")
		w.queue.Published(shoal.Public, "a", objectOf(1), head)
		copy(head, "XXXXX")
		w.service.set(answers)
		time.Sleep(time.Minute)
		w.want("a", shoal.Known, "text/plain")
	})
}

// What is published while the service is away is filled in, in order, when it is back; and meanwhile it is asked seldom.
func TestServiceReturns(t *testing.T) {
	for name, away := range map[string]func(context.Context, question) (shoal.Facts, error){"absent": absent, "hung": hung} {
		t.Run(name, func(t *testing.T) {
			within(t, away, func(w *world) {
				for i := range 100 {
					w.publish(shoal.Name(fmt.Sprint(i)), objectOf(i), fmt.Sprintf("x%d", i))
				}
				time.Sleep(10 * time.Minute)
				for i := range 100 {
					w.want(shoal.Name(fmt.Sprint(i)), shoal.Pending, "")
				}
				n := len(w.service.questions())
				if n < 10 || n > 60 {
					t.Errorf("asked %d times in 10 minutes", n)
				}
				w.service.set(answers)
				time.Sleep(time.Minute)
				for i := range 100 {
					w.want(shoal.Name(fmt.Sprint(i)), shoal.Known, fmt.Sprintf("text/x%d", i))
				}
				if got := len(w.service.questions()) - n; got > 101 {
					t.Errorf("asked %d times for 100", got)
				}
			})
		})
	}
}

// What is unpublished, or stands for something else by the time of the answer, gets no facts of the old content.
func TestStaleFacts(t *testing.T) {
	within(t, absent, func(w *world) {
		w.publish("a", objectOf(1), "old")
		w.publish("b", objectOf(1), "old")
		w.publish("c", objectOf(1), "old")
		synctest.Wait()
		w.unpublish("a", objectOf(1))
		w.unpublish("b", objectOf(1))
		w.publish("b", objectOf(2), "new")
		w.unpublish("c", objectOf(1))
		w.publish("c", objectOf(1), "again")
		w.service.set(answers)
		time.Sleep(time.Minute)
		w.want("b", shoal.Known, "text/new")
		w.want("c", shoal.Known, "text/again")
		for _, q := range w.service.questions()[3:] {
			if q.name == "a" {
				t.Error("asked for what is gone")
			}
		}
	})
}

// The same, while the question is on its way.
func TestStaleAnswer(t *testing.T) {
	within(t, nil, func(w *world) {
		release := make(chan struct{})
		w.service.set(func(ctx context.Context, q question) (shoal.Facts, error) {
			<-release
			return answers(ctx, q)
		})
		w.publish("a", objectOf(1), "old")
		synctest.Wait()
		w.unpublish("a", objectOf(1))
		w.publish("a", objectOf(2), "new")
		w.want("a", shoal.Pending, "")
		release <- struct{}{}
		w.want("a", shoal.Pending, "")
		release <- struct{}{}
		w.want("a", shoal.Known, "text/new")
	})
}

// A question that the service refuses, or cannot answer though it answers others, is given up; asked again if the file
// is published again.
func TestGivenUp(t *testing.T) {
	within(t, nil, func(w *world) {
		w.service.set(func(ctx context.Context, q question) (shoal.Facts, error) {
			switch q.head {
			case "refused":
				return shoal.Facts{}, shoal.Errorf(shoal.BadRequest, "no")
			case "poison":
				return shoal.Facts{}, shoal.Errorf(shoal.Busy, "it failed")
			case "lie":
				return shoal.Facts{MediaType: "text/\x1b[2J"}, nil
			}
			return answers(ctx, q)
		})
		w.publish("a", objectOf(1), "refused")
		w.publish("b", objectOf(2), "lie")
		w.publish("c", objectOf(3), "poison")
		w.want("a", shoal.NoFacts, "")
		w.want("b", shoal.NoFacts, "")
		for i := range 10 {
			w.publish(shoal.Name(fmt.Sprint(i)), objectOf(10+i), "plain")
			time.Sleep(time.Minute)
		}
		w.want("c", shoal.NoFacts, "")
		for i := range 10 {
			w.want(shoal.Name(fmt.Sprint(i)), shoal.Known, "text/plain")
		}
		w.publish("a", objectOf(1), "plain")
		w.want("a", shoal.Known, "text/plain")
	})
}

// Beyond the limits nothing is lost but heads.
func TestBounds(t *testing.T) {
	within(t, hung, func(w *world) {
		w.queue.mu.Lock()
		w.queue.waiting = newWaiting(50, 100)
		w.queue.mu.Unlock()
		const all = 2500
		for i := range all {
			w.publish(shoal.Name(fmt.Sprintf("%04d", i)), objectOf(i), fmt.Sprintf("x%04d", i))
		}
		synctest.Wait()
		w.queue.mu.Lock()
		if n, bytes := len(w.queue.waiting.jobs), w.queue.waiting.heads; n > 50 || bytes > 100 {
			t.Errorf("%d jobs and %d bytes of heads", n, bytes)
		}
		w.queue.mu.Unlock()
		w.service.set(answers)
		time.Sleep(5 * time.Minute)
		states := map[shoal.FactsState]int{}
		for i := range all {
			_, found, _, err := w.registry.Lookup(device, &wire.Lookup{Group: shoal.Public, Name: shoal.Name(fmt.Sprintf("%04d", i))})
			if err != nil {
				t.Fatal(err)
			}
			states[found.Facts.State]++
		}
		if states[shoal.Known] < 20 || states[shoal.Known] > 21 || states[shoal.Known]+states[shoal.Withheld] != all {
			t.Errorf("the states are %v", states)
		}
		// A file that is published again supplies its head.
		w.publish("2000", objectOf(2000), "plain")
		w.want("2000", shoal.Known, "text/plain")
	})
}

// The end of Run does not wait for an answer, and without Run nothing is waited for either.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry()
		q := New(r, &service{does: hung}, zerolog.Nop())
		w := &world{T: t, registry: r, queue: q}
		w.publish("a", objectOf(1), "plain")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			q.Run(ctx)
		}()
		synctest.Wait()
		start := time.Now()
		cancel()
		<-done
		if took := time.Since(start); took != 0 {
			t.Errorf("it took %v", took)
		}
		w.publish("b", objectOf(2), "plain")
		w.want("b", shoal.Pending, "")
	})
}

func TestNoQueue(t *testing.T) {
	var q *Queue
	q.Published(shoal.Public, "a", objectOf(1), nil)
	q.Unpublished(shoal.Public, "a")
}

// Many publish, take back and replace at once: in the end each name has facts of what it stands for.
func TestConcurrentPublications(t *testing.T) {
	within(t, answers, func(w *world) {
		var everybody sync.WaitGroup
		for d := range 8 {
			everybody.Go(func() {
				for i := range 200 {
					name, o := shoal.Name(fmt.Sprint(i%5)), objectOf(d*200+i)
					if w.claim(name, o) {
						w.queue.Published(shoal.Public, name, o, []byte(fmt.Sprintf("x%d", d*200+i)))
					}
					if w.release(name, o) && i < 195 {
						w.queue.Unpublished(shoal.Public, name)
					}
				}
			})
		}
		everybody.Wait()
		for i := range 5 {
			w.publish(shoal.Name(fmt.Sprint(i)), objectOf(5000+i), fmt.Sprintf("y%d", i))
		}
		for i := range 5 {
			w.want(shoal.Name(fmt.Sprint(i)), shoal.Known, fmt.Sprintf("text/y%d", i))
		}
	})
}
