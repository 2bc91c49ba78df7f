package server

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/identity"
	"shoal/rpclog"
	"shoal/rpclog/journal"
	"shoal/rpclog/oncrpc"
	"shoal/rpclog/service"
	"shoal/wire"
)

// logService runs a real log service with one entry in it, and returns its socket.
func logService(t *testing.T, message string) string {
	t.Helper()
	s, err := service.New(service.Config{Listen: "127.0.0.1:0", State: t.TempDir(), Limits: journal.Limits{Keep: 1 << 20}, Log: zerolog.Nop()})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-ended)
	})
	key, err := rpclog.LoadKey(s.KeyFile())
	must(t, err)
	c, err := oncrpc.Dial(t.Context(), oncrpc.Target{Network: "tcp", Address: s.Addr().String(), Program: rpclog.Program, Version: rpclog.Version})
	must(t, err)
	defer c.Close()
	entry := rpclog.AppendEntry(nil, &rpclog.Entry{Time: time.Now(), Level: rpclog.Warn, Message: message})
	_, err = c.Call(t.Context(), rpclog.ProcAppend, rpclog.Seal(rpclog.Sender{Process: 1}, 1, false, 1, entry, key))
	must(t, err)
	return s.Socket()
}

// askFor sends LOG and returns the answer, or the error that it is.
func askFor(t *testing.T, c *identity.Established, m *wire.Log) (*wire.LogReply, error) {
	t.Helper()
	_, err := c.Write(wire.AppendRequest(nil, wire.KindLog, 7, m))
	must(t, err)
	f, err := c.ReadFrame()
	must(t, err)
	if f.Flags&wire.FlagError != 0 {
		var failed wire.ErrorReply
		must(t, wire.Decode(f.Body, &failed))
		return nil, failed.Err()
	}
	reply := new(wire.LogReply)
	must(t, wire.Decode(f.Body, reply))
	return reply, nil
}

// Who may read the log gets it, in pages; others are told the same as where there is none.
func TestReadLog(t *testing.T) {
	reader, other := identity.NewKey(), identity.NewKey()
	s, _ := start(t, Config{Transport: overPlaintext, LogSocket: logService(t, "what happened"), LogReaders: []shoal.DeviceID{reader.Device()}})
	without, _ := start(t, Config{Transport: overPlaintext})
	may, err := dial(t, s, overPlaintext, reader)
	must(t, err)
	reply, err := askFor(t, may, &wire.Log{})
	must(t, err)
	if !strings.Contains(string(reply.Lines), `"what happened"`) || reply.More {
		t.Errorf("got %q, more: %v", reply.Lines, reply.More)
	}
	for _, none := range []*wire.Log{{Level: uint32(rpclog.Error)}, {After: reply.Next}, {User: "nobody"}, {Since: time.Now().Add(time.Hour).UnixMilli()}} {
		if reply, err := askFor(t, may, none); err != nil || len(reply.Lines) != 0 {
			t.Errorf("%+v: %q, %v", none, reply.Lines, err)
		}
	}
	for _, senseless := range []*wire.Log{{Grep: "("}, {After: "nonsense"}} {
		_, err := askFor(t, may, senseless)
		want(t, err, shoal.BadRequest, "")
	}
	mayNot, err := dial(t, s, overPlaintext, other)
	must(t, err)
	_, first := askFor(t, mayNot, &wire.Log{})
	want(t, first, shoal.Denied, "")
	nothing, err := dial(t, without, overPlaintext, reader)
	must(t, err)
	if _, err := askFor(t, nothing, &wire.Log{}); err == nil || err.Error() != first.Error() {
		t.Errorf("where there is no log: %v, and where it may not be read: %v", err, first)
	}
}

// A log service that is away, or does not answer, costs the one who asks a moment, and nobody else anything.
func TestReadLogThatHangs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.sock")
	l, err := net.Listen("unix", path) // whose backlog takes connections, and nobody else does
	must(t, err)
	defer l.Close()
	keys := make([]*identity.Key, maxReads+1)
	devices := make([]shoal.DeviceID, len(keys))
	for i := range keys {
		keys[i] = identity.NewKey()
		devices[i] = keys[i].Device()
	}
	s, _ := start(t, Config{Transport: overPlaintext, LogSocket: path, LogReaders: devices})
	people(t, s, keys[maxReads])
	sessions := make([]*identity.Established, len(keys))
	for i, k := range keys {
		sessions[i], err = dial(t, s, overPlaintext, k)
		must(t, err)
	}
	begin := time.Now()
	var asking sync.WaitGroup
	for _, c := range sessions[:maxReads] {
		_, err := c.Write(wire.AppendRequest(nil, wire.KindLog, 7, &wire.Log{}))
		must(t, err)
	}
	for range maxReads {
		nc, err := l.Accept()
		must(t, err)
		defer nc.Close()
	}
	last := sessions[maxReads]
	ask(t, last, wire.KindList, &wire.List{Group: shoal.Public, Limit: 1}, &wire.ListReply{})
	_, err = askFor(t, last, &wire.Log{})
	want(t, err, shoal.Busy, "try again")
	if took := time.Since(begin); took > readTimeout {
		t.Errorf("others waited for %v", took)
	}
	for _, c := range sessions[:maxReads] {
		asking.Go(func() {
			f, err := c.ReadFrame()
			var failed wire.ErrorReply
			if err == nil {
				err = wire.Decode(f.Body, &failed)
			}
			if err != nil || failed.Code != shoal.Unreachable {
				t.Errorf("%v: %+v, %v", f.Header, failed, err)
			}
		})
	}
	asking.Wait()
	must(t, l.Close())
	_, err = askFor(t, last, &wire.Log{})
	want(t, err, shoal.Unreachable, "")
	if strings.Contains(err.Error(), path) {
		t.Errorf("%v tells where things are on the server", err)
	}
}

func TestReadLogConfig(t *testing.T) {
	for name, c := range map[string]Config{
		"readers without a log": {LogReaders: []shoal.DeviceID{{1}}},
		"a log without readers": {LogSocket: "/nowhere/log.sock"},
		"no URL":                {Soap: "nonsense"},
		"an old scheme":         {Soap: "gopher://127.0.0.1/"},
	} {
		c.Listen, c.State, c.Transport = "127.0.0.1:0", t.TempDir(), overPlaintext
		if _, err := New(t.Context(), c); shoal.CodeOf(err) != shoal.BadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := New(t.Context(), Config{Listen: "127.0.0.1:0", State: t.TempDir(), Transport: overPlaintext, Soap: "http://192.0.2.1:7402/"})
	want(t, err, shoal.Denied, "https")
}
