package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/identity"
	"shoal/rpclog"
	"shoal/server/audit"
	"shoal/server/enrichment"
	"shoal/wire"
	"shoal/wire/wiretest"
)

// audited is a host that audits, and how its entries are read: all that have been written, after everything else.
func audited(t *testing.T) (h *Host, entries func() []map[string]any) {
	h = newHost(overPlaintext)
	var out bytes.Buffer
	h.Audit = audit.New(zerolog.New(&out), nil)
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { h.Audit.Run(ctx) })
	entries = sync.OnceValue(func() (all []map[string]any) {
		synctest.Wait()
		cancel()
		run.Wait()
		for line := range strings.Lines(out.String()) {
			var e map[string]any
			must(t, json.Unmarshal([]byte(line), &e))
			all = append(all, e)
		}
		return all
	})
	t.Cleanup(func() { entries() })
	return h, entries
}

// wantEntry fails the test unless an entry has these values.
func wantEntry(t *testing.T, e map[string]any, user shoal.DeviceID, operation, object, outcome string) {
	t.Helper()
	name := user.String()
	if user == (shoal.DeviceID{}) {
		name = ""
	}
	for key, v := range map[string]string{rpclog.KeyUser: name, rpclog.KeyOperation: operation, rpclog.KeyObject: object, rpclog.KeyOutcome: outcome} {
		if got, _ := e[key].(string); got != v {
			t.Errorf("%s is %q, want %q: %v", key, got, v, e)
		}
	}
	if e[rpclog.KeyRemote] == "" || e[rpclog.KeyDuration] == nil {
		t.Errorf("an entry without an address or a duration: %v", e)
	}
}

// Who comes, changes something, or is refused, is told one by one; reads are counted.
func TestAudit(t *testing.T) {
	state := newState(t)
	synctest.Test(t, func(t *testing.T) {
		h, entries := audited(t)
		state.serve(h)
		c := connect(t, h)
		device := c.key.Device()
		_, err := c.publish(1, "a b", objectOf(1))
		must(t, err)
		_, err = c.publish(2, "a b", objectOf(2))
		want(t, err, shoal.NameTaken, "")
		for range 3 {
			_, err = c.list("", 10)
			must(t, err)
			_, err = c.lookup("a b", shoal.FileID{})
			must(t, err)
		}
		_, err = c.lookup("b", shoal.FileID{})
		want(t, err, shoal.NotFound, "")
		must(t, c.announce(c.candidates(time.Hour), offerOf(1, 4)))
		want(t, c.announce(nil, offerOf(1, 5)), shoal.BadRequest, "")
		want(t, c.Call(wire.KindLog, &wire.Log{}, &wire.LogReply{}), shoal.Denied, "--log-reader")
		_, err = c.unpublish(3, "a b", objectOf(1).ID)
		must(t, err)
		c.Send(make([]byte, wire.HeaderSize))
		c.wantBye(shoal.BadRequest, "rule F2")

		got := entries()
		if len(got) != 8 {
			t.Fatalf("%d entries: %v", len(got), got)
		}
		wantEntry(t, got[0], device, "connect", "", "ok")
		wantEntry(t, got[1], device, "publish", "public/a b", "ok")
		wantEntry(t, got[2], device, "publish", "public/a b", "name-taken")
		wantEntry(t, got[3], device, "announce", "", "bad-request")
		wantEntry(t, got[4], device, "log", "", "denied")
		wantEntry(t, got[5], device, "unpublish", "public/a b", "ok")
		wantEntry(t, got[6], device, "disconnect", "", "bad-request")
		if e := got[1]; e["file"] != objectOf(1).ID.String() || e["size"] != float64(objectOf(1).Size) || e["session"] != 1.0 {
			t.Errorf("published: %v", e)
		}
		if e := got[7]; e["op"] != "read" || e["user"] != device.String() || e["list"] != 3.0 || e["lookup"] != 4.0 || e["log"] != 1.0 || e["failed"] != 2.0 {
			t.Errorf("read: %v", e)
		}
	})
}

// Connections that do not get in are told, too, with the reason.
func TestAuditOfRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, entries := audited(t)
		// One that goes away, one that speaks another protocol, one that is not the key it says.
		a, b := wiretest.Pipe()
		ended := serve(t.Context(), h, b)
		a.Close()
		<-ended
		a, b = wiretest.Pipe()
		ended = serve(t.Context(), h, b)
		if _, err := a.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		<-ended
		a.Close()
		a, b = wiretest.Pipe()
		ended = serve(t.Context(), h, b)
		_, err := identity.Initiator{
			Key: identity.NewKey(), Wanted: wire.ServicePeer, Transport: overPlaintext, Accept: func(*wire.HelloReply) error { return nil },
		}.Open(t.Context(), a)
		want(t, err, shoal.Unsupported, "")
		<-ended
		a.Close()
		got := entries()
		if len(got) != 3 {
			t.Fatalf("%d entries: %v", len(got), got)
		}
		wantEntry(t, got[0], shoal.DeviceID{}, "connect", "", "unreachable")
		wantEntry(t, got[1], shoal.DeviceID{}, "connect", "", "bad-request")
		wantEntry(t, got[2], shoal.DeviceID{}, "connect", "", "unsupported")
		for i, level := range []string{"info", "warn", "warn"} {
			if got[i]["level"] != level {
				t.Errorf("entry %d has level %v", i, got[i]["level"])
			}
		}
	})
}

// What is published is asked about with its head, and the answer is told to everybody.
func TestFactsOfPublications(t *testing.T) {
	state := newState(t)
	synctest.Test(t, func(t *testing.T) {
		h := state.serve(newHost(overPlaintext))
		service := enricher{}
		h.Facts = enrichment.New(h.Registry, service, zerolog.Nop())
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		c := connect(t, h)
		o := shoal.Object{ID: shoal.FileID{1}, Size: 4}
		must(t, c.Call(wire.KindPublish, &wire.Publish{Sequence: 1, Group: shoal.Public, Name: "a", Content: o, Head: []byte("type")}, &wire.MutationReply{}))
		// The frame's buffer is used again.
		_, err := c.publish(2, "something else that is long enough to overwrite it", objectOf(2))
		must(t, err)
		found, err := c.lookup("a", shoal.FileID{})
		must(t, err)
		if *found.Facts != (shoal.Facts{State: shoal.Pending}) {
			t.Errorf("at first: %+v", *found.Facts)
		}
		run.Go(func() { h.Facts.Run(ctx) })
		synctest.Wait()
		facts := shoal.Facts{State: shoal.Known, MediaType: "text/type"}
		if found, err = c.lookup("a", shoal.FileID{}); err != nil || *found.Facts != facts {
			t.Errorf("LOOKUP: %+v, %v", *found.Facts, err)
		}
		if listed, err := c.list("", 1); err != nil || *listed.Entries[0].Facts != facts {
			t.Errorf("LIST: %+v, %v", *listed.Entries[0].Facts, err)
		}
		c.close()
		cancel()
		run.Wait()
	})
}

// enricher says that a file is of the type that its head says.
type enricher struct{}

func (enricher) Enrich(_ context.Context, _ shoal.Name, _ int64, head []byte) (shoal.Facts, error) {
	return shoal.Facts{MediaType: "text/" + string(head)}, nil
}

// LOG passes the question on, and the answer back; while the log is read, what was asked before has been answered.
func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(overPlaintext)
		var asked rpclog.Query
		var by shoal.DeviceID
		release := make(chan struct{})
		answer := rpclog.Page{Lines: [][]byte{[]byte(`{"a":1}`), []byte(`{"b":2}`)}, Next: "next", More: true}
		var fails error
		h.ReadLog = func(_ context.Context, device shoal.DeviceID, q rpclog.Query) (rpclog.Page, error) {
			asked, by = q, device
			<-release
			return answer, fails
		}
		c := connect(t, h)
		ask := wire.Log{User: "u", Operation: "o", Level: 3, Since: 1_700_000_000_123, Grep: "g", Unverified: true, Last: 7, After: "x"}
		c.Send(wire.AppendRequest(wire.AppendRequest(nil, wire.KindPing, 8, &wire.Empty{}), wire.KindLog, 9, &ask))
		must(t, c.Answer(8, wire.KindPing, &wire.Empty{}))
		release <- struct{}{}
		var reply wire.LogReply
		must(t, c.Answer(9, wire.KindLog, &reply))
		if string(reply.Lines) != "{\"a\":1}\n{\"b\":2}\n" || reply.Next != "next" || !reply.More {
			t.Errorf("got %+v", reply)
		}
		since := asked.Since
		asked.Since = time.Time{}
		if asked != (rpclog.Query{User: "u", Operation: "o", Level: rpclog.Warn, Grep: "g", Unverified: true, Last: 7, After: "x"}) ||
			!since.Equal(time.UnixMilli(1_700_000_000_123)) || by != c.key.Device() {
			t.Errorf("asked %+v since %v by %v", asked, since, by)
		}
		close(release)
		for _, bad := range []struct {
			answer rpclog.Page
			fails  error
			code   shoal.Code
		}{
			{rpclog.Page{}, shoal.Errorf(shoal.BadRequest, "what?"), shoal.BadRequest},
			{rpclog.Page{}, errors.New("a detail"), shoal.Internal},
			{rpclog.Page{Lines: [][]byte{make([]byte, wire.MaxLines)}}, nil, shoal.Limit},
			{rpclog.Page{Next: strings.Repeat("x", wire.MaxCursor+1)}, nil, shoal.Limit},
			{rpclog.Page{Lines: [][]byte{[]byte("a\nb")}}, nil, shoal.Internal},
		} {
			answer, fails = bad.answer, bad.fails
			want(t, c.Call(wire.KindLog, &wire.Log{}, &reply), bad.code, "")
			if !asked.Since.IsZero() {
				t.Errorf("asked since %v", asked.Since)
			}
		}
		// The longest there can be.
		answer, fails = rpclog.Page{Lines: [][]byte{make([]byte, wire.MaxLines-1)}}, nil
		must(t, c.Call(wire.KindLog, &wire.Log{}, &reply))
		if len(reply.Lines) != wire.MaxLines {
			t.Errorf("%d bytes", len(reply.Lines))
		}
		c.close()
	})
}

// A server that stops does not wait for the log.
func TestLogWhenStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(overPlaintext)
		h.ReadLog = func(ctx context.Context, _ shoal.DeviceID, _ rpclog.Query) (rpclog.Page, error) {
			<-ctx.Done()
			return rpclog.Page{}, ctx.Err()
		}
		ctx, cancel := context.WithCancel(t.Context())
		a, b := wiretest.Pipe()
		c := join(t, identity.NewKey(), overPlaintext, a, serve(ctx, h, b))
		c.Send(wire.AppendRequest(nil, wire.KindLog, 9, &wire.Log{}))
		synctest.Wait()
		start := time.Now()
		cancel()
		c.wantBye(shoal.Busy, "stopping")
		if took := time.Since(start); took > stopTimeout+lingerTimeout {
			t.Errorf("it took %v", took)
		}
	})
}
