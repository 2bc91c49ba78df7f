package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/rpclog"
	"shoal/rpclog/journal"
	"shoal/rpclog/oncrpc"
	"shoal/rpclog/service"
)

// TestEntryText writes lines that hide nothing, align, and obey nobody.
func TestEntryText(t *testing.T) {
	at := time.Date(2026, 11, 21, 10, 0, 0, 123456789, time.UTC)
	when := at.Local().Format("2006-01-02 15:04:05.000")
	for line, want := range map[string]string{
		`{"time":"2026-11-21T10:00:00.123456789Z","level":"info","device":"abcdefghijkl","seq":1,"message":"published","user":"alice","op":"publish","object":"public/a film","outcome":"ok","remote":"192.0.2.1:5","duration":1.5,"fields":{"size":42,"note":"x=y","o":{"k":[1]}},"from":{"address":"192.0.2.1:5"}}`: `  info   abcdefgh  published                 user=alice  op=publish  object="public/a film"  outcome=ok  remote=192.0.2.1:5  duration=1.5ms  note="x=y"  o="{\"k\":[1]}"  size=42`,
		`{"time":"2026-11-21T10:00:00.123456789Z","device":"abcdefghijkl","message":"1000 lines are missing here","lost":1000}`:                                                                                                                            `         abcdefgh  1000 lines are missing here  lost=1000`,
		`{"time":"2026-11-21T10:00:00.123456789Z","level":"warn","device":"abcdefghijkl"}`:                                                                                                                                                                 `  warn   abcdefgh`,
		`{"time":"2026-11-21T10:00:00.123456789Z","level":"\u001b[2J","device":"\u0007bcdefghijkl","message":"\u001b]0;x\u0007\u009b31m\nuser=root \u202e\ufffd","user":"\u001b\u202e","fields":{"\u001b":"\r","a":["\u001b",{"\n":"` + "\u009b" + `"}]}}`: `  ?[2J   ?bcdefgh  ?]0;x??31m?user=root ??   user="\x1b\u202e"  "\x1b"="\r"  a="[\"\\u001b\",{\"\\n\":\"\u009b\"}]"`,
	} {
		if got := entryText([]byte(line)); got != when+want+"\n" {
			t.Errorf("%s\nis shown as\n%swant\n%s", line, got, when+want)
		}
	}
	if got := entryText([]byte("\x1b[2J{")); got != "?[2J{\n" {
		t.Errorf("what is no JSON: %q", got)
	}
}

func TestParseBytes(t *testing.T) {
	for s, want := range map[string]int64{"0": 0, "17": 17, "17B": 17, "4G": 4 << 30, "4g": 4 << 30, "500 MiB": 500 << 20, "1KB": 1024, "2T": 2 << 40} {
		if got, err := parseBytes(s); got != want || err != nil {
			t.Errorf("%q: %d, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "G", "-1", "1.5G", "4GG", "4iB", "4X", "9223372036854775807K", "99999999999999999999", "4 5"} {
		if got, err := parseBytes(s); !errors.Is(err, shoal.BadRequest) {
			t.Errorf("%q: %d, %v", s, got, err)
		}
	}
}

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Time{"90m": now.Add(-90 * time.Minute), "0s": now, "2026-11-20T09:00:00+01:00": time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)} {
		if got, err := parseSince(s, now); !got.Equal(want) || err != nil {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"-1h", "yesterday", "2026-11-20", "5"} {
		if _, err := parseSince(s, now); !errors.Is(err, shoal.BadRequest) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// logService is a log service in this process.
type logService struct {
	*testing.T
	*service.Service
	stop func()
	next uint64
}

func startLogService(t *testing.T, state string) *logService {
	t.Helper()
	s, err := service.New(service.Config{Listen: "127.0.0.1:0", State: state, Limits: journal.Limits{Keep: 1 << 20}, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	l := &logService{T: t, Service: s, next: 1}
	l.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	return l
}

// store sends an entry of the process that is given.
func (l *logService) store(process uint64, proven bool, e rpclog.Entry) {
	l.Helper()
	c, err := oncrpc.Dial(l.Context(), oncrpc.Target{Network: "tcp", Address: l.Addr().String(), Program: rpclog.Program, Version: rpclog.Version})
	if err != nil {
		l.Fatal(err)
	}
	defer c.Close()
	var key *rpclog.Key
	if proven {
		if key, err = rpclog.LoadKey(l.KeyFile()); err != nil {
			l.Fatal(err)
		}
	}
	args := rpclog.Seal(rpclog.Sender{Process: process}, l.next, false, 1, rpclog.AppendEntry(nil, &e), key)
	l.next++
	results, err := c.Call(l.Context(), rpclog.ProcAppend, args)
	if r, bad := rpclog.DecodeResult(results); err != nil || bad != nil || r.Stored != 1 {
		l.Fatal(r, bad, err)
	}
}

// TestLogCommand shows what it is asked for.
func TestLogCommand(t *testing.T) {
	s := startLogService(t, t.TempDir())
	defer s.stop()
	old := time.Now().Add(-2 * time.Hour)
	s.store(1, true, rpclog.Entry{Time: old, Level: rpclog.Info, Message: "first", User: "alice", Operation: "publish"})
	s.store(1, true, rpclog.Entry{Time: time.Now(), Level: rpclog.Error, Message: "second", User: "bob", Operation: "publish", Fields: []rpclog.Field{{Name: "n", Value: "17"}}})
	s.store(1, false, rpclog.Entry{Time: time.Now(), Level: rpclog.Info, Message: "third"})
	for _, c := range []struct {
		flags string
		want  []string
	}{
		{"", []string{"first", "second"}},
		{"-n 1", []string{"second"}},
		{"--lines 5", []string{"first", "second"}},
		{"--user alice", []string{"first"}},
		{"--op publish --level error", []string{"second"}},
		{"--since 1h", []string{"second"}},
		{"--since " + old.Add(-time.Second).Format(time.RFC3339), []string{"first", "second"}},
		{"--grep sec..d", []string{"second"}},
		{"--unverified", []string{"third"}},
		{"--user nobody", nil},
	} {
		flags := append([]string{"log", "--socket", s.Socket()}, strings.Fields(c.flags)...)
		r := runShoal(t, ".", "", nil, flags...)
		lines := strings.SplitAfter(r.stdout, "\n")
		lines = lines[:len(lines)-1]
		if r.code != 0 || r.stderr != "" || len(lines) != len(c.want) {
			t.Errorf("%s: exit code %d\n%s%s", c.flags, r.code, r.stdout, r.stderr)
			continue
		}
		for i, line := range lines {
			if !strings.Contains(line, "  aaaaaaaa  "+c.want[i]) {
				t.Errorf("%s: %q, want %q", c.flags, line, c.want[i])
			}
		}
		for i, line := range strings.Split(strings.TrimSpace(runShoal(t, ".", "", nil, append(flags, "--json")...).stdout), "\n") {
			var e loggedEntry
			if len(c.want) > 0 && (json.Unmarshal([]byte(line), &e) != nil || e.Message != c.want[i]) {
				t.Errorf("%s in JSON: %q, want %q", c.flags, line, c.want[i])
			}
		}
	}
	for flags, code := range map[string]int{
		"-n 0": 2, "-n -3": 2, "--level loud": 2, "--since then": 2, "--grep (": 2, "more": 2, "--nothing": 2,
		"--socket " + filepath.Join(t.TempDir(), "log.sock"): 8,
	} {
		r := runShoal(t, ".", "", nil, append([]string{"log", "--socket", s.Socket()}, strings.Fields(flags)...)...)
		if r.code != code || r.stdout != "" || !strings.HasPrefix(r.stderr, "shoal: ") {
			t.Errorf("%s: exit code %d, want %d\n%s%s", flags, r.code, code, r.stdout, r.stderr)
		}
	}
}

// TestFollow shows what is stored as it comes, waits for a service that is away, and ends without an error.
func TestFollow(t *testing.T) {
	state := t.TempDir()
	s := startLogService(t, state)
	for n := range 15 {
		s.store(1, true, rpclog.Entry{Time: time.Now(), Message: fmt.Sprint("entry ", n)})
	}
	l := logCommand{follow: true, common: common{json: true}, socket: s.Socket()}
	if err := l.parse(false); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	read, end, err := l.reader(ctx, func(flag string) bool { return flag == "socket" })
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	in, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- l.run(ctx, out, read) }()
	lines := bufio.NewScanner(in)
	expect := func(message string) {
		t.Helper()
		var e loggedEntry
		if !lines.Scan() || json.Unmarshal(lines.Bytes(), &e) != nil || e.Message != message {
			t.Fatalf("%q, want %q", lines.Text(), message)
		}
	}
	for n := 5; n < 15; n++ {
		expect(fmt.Sprint("entry ", n))
	}
	s.store(1, true, rpclog.Entry{Time: time.Now(), Message: "later"})
	expect("later")
	s.stop()
	s = startLogService(t, state)
	defer s.stop()
	s.store(2, true, rpclog.Entry{Time: time.Now(), Message: "after a restart"})
	expect("after a restart")
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("it ends with %v", err)
	}
}

// TestRPCLogCommand starts the service as people do, kills it, and starts it again.
func TestRPCLogCommand(t *testing.T) {
	state := t.TempDir()
	for range 2 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "rpclog", "--listen", "127.0.0.1:0", "--state", state, "--json")
		cmd.Env = append(os.Environ(), asShoal+"=1")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var event struct{ Event, Address, Key, Socket string }
		if err := json.NewDecoder(out).Decode(&event); err != nil || event.Event != "listening" {
			t.Fatalf("%+v, %v", event, err)
		}
		if _, err := rpclog.LoadKey(event.Key); err != nil {
			t.Error(err)
		}
		if r := runShoal(t, ".", "", []string{"SHOAL_STATE=" + state}, "log"); r.code != 0 || r.stdout != "" {
			t.Errorf("log: exit code %d\n%s%s", r.code, r.stdout, r.stderr)
		}
		if r := runShoal(t, ".", "", nil, "rpclog", "--listen", "127.0.0.1:0", "--state", state); r.code != 8 {
			t.Errorf("a second one: exit code %d\n%s", r.code, r.stderr)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	for _, flags := range []string{"--keep 15M", "--keep much", "--listen nowhere", "more"} {
		r := runShoal(t, ".", "", nil, append([]string{"rpclog", "--state", t.TempDir()}, strings.Fields(flags)...)...)
		if r.code != 2 {
			t.Errorf("%s: exit code %d\n%s", flags, r.code, r.stderr)
		}
	}
}
