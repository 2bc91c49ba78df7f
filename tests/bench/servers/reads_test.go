package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"shoal"
	"shoal/wire"
	"shoal/wire/wiretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shelf is a library that no server has.
func shelf() *library {
	l := new(library)
	for i := range 40 {
		l.objects = append(l.objects, held{name: shoal.Name(fmt.Sprintf("name %d", i)), content: shoal.Object{ID: shoal.FileID{byte(i + 1)}, Size: int64(i)}})
	}
	return l
}

// librarian answers a burst of LOOKUPs as change, which may be nil, has it.
func (l *library) librarian(t *testing.T, c *wire.Conn, change func(reply *wire.LookupReply, id *uint32)) {
	var all []byte
	for range burst {
		f, err := c.ReadFrame()
		var m wire.Lookup
		if err == nil {
			err = wire.Decode(f.Body, &m)
		}
		if err != nil {
			t.Error(err)
			return
		}
		o := l.objects[slices.IndexFunc(l.objects, func(o held) bool { return o.name == m.Name || o.content.ID == m.File })]
		reply, id := &wire.LookupReply{Revision: 5, Name: o.name, Content: o.content, Availability: shoal.Availability{Whole: 1, Least: 1}}, f.ID
		if change != nil {
			change(reply, &id)
		}
		all = wire.AppendReply(all, wire.KindLookup, id, reply)
	}
	for piece := range slices.Chunk(all, 1000) { // which is no whole number of frames
		if _, err := c.Write(piece); err != nil {
			t.Error(err)
		}
	}
}

func pipeAsker(l *library) (*asker, *wire.Conn) {
	near, far := wiretest.Pipe()
	return newAsker(near, l.newScripts()[0], bursts-1), wire.NewConn(far)
}

func TestAskerChecksReplies(t *testing.T) {
	for name, change := range map[string]func(*wire.LookupReply, *uint32){
		"":                    nil,
		"tells of another":    func(r *wire.LookupReply, _ *uint32) { r.Content.Size++ },
		"another object":      func(r *wire.LookupReply, _ *uint32) { r.Name += "x" },
		"or of no source":     func(r *wire.LookupReply, _ *uint32) { r.Whole = 0 },
		"a second reply":      func(_ *wire.LookupReply, id *uint32) { *id = (*id-1)&^1 + 1 },
		"in place of a reply": func(_ *wire.LookupReply, id *uint32) { *id += bursts * burst },
	} {
		synctest.Test(t, func(t *testing.T) {
			l := shelf()
			a, far := pipeAsker(l)
			for range 3 {
				if err := a.send(); err != nil {
					t.Fatal(err)
				}
				l.librarian(t, far, change)
				replies := 0
				for replies < burst {
					n, err := a.receive(nil)
					if (err == nil) != (change == nil) || err != nil && !strings.Contains(err.Error(), name) {
						t.Fatalf("%s: %v", name, err)
					}
					if err != nil {
						return
					}
					replies += n
				}
			}
		})
	}
}

// What a latency is counted from is when the request was due, also when it was sent later than that.
func TestSteadyLatencies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count, period, slow = 300, 5 * time.Millisecond, 7 * time.Millisecond
		l := shelf()
		a, far := pipeAsker(l)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for range count {
				time.Sleep(slow)
				l.librarian(t, far, nil)
			}
		}()
		latencies, err := a.askSteadily(time.Now(), period, count)
		<-ended
		if err != nil || len(latencies) != count*burst {
			t.Fatalf("%d latencies, %v", len(latencies), err)
		}
		for i, got := range latencies {
			k := time.Duration(i / burst)
			if want := (k+1)*slow - k*period; got != want {
				t.Fatalf("reply %d after %v, want %v", i, got, want)
			}
		}
	})
}

func TestNearest(t *testing.T) {
	for _, c := range []struct{ near, i, want int }{
		{0, 0, 0}, {0, 3, 3}, {0, bursts - 1, -1}, {5, 4, 4}, {300, 300 - 2*bursts, 300}, {300, 299 % bursts, 299}, {300, 310%bursts - bursts, 310},
	} {
		if got := nearest(c.near, c.i); got != c.want {
			t.Errorf("nearest(%d, %d) = %d, want %d", c.near, c.i, got, c.want)
		}
	}
}
