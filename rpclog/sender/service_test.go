package sender

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/rpclog"
	"shoal/rpclog/service"
)

// process is a log service that can be killed and stopped.
type process struct {
	t       *testing.T
	state   string
	address string
	cmd     *exec.Cmd
}

// startService starts a service, which is killed when the test ends.
func startService(t *testing.T) *process {
	p := &process{t: t, state: t.TempDir(), address: "127.0.0.1:0"}
	p.start()
	t.Cleanup(p.kill)
	return p
}

func (p *process) start() {
	p.t.Helper()
	p.cmd = exec.Command(os.Args[0], p.address)
	p.cmd.Env = append(os.Environ(), runService+"="+p.state)
	p.cmd.Stderr = os.Stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := p.cmd.StdoutPipe()
	must(p.t, err)
	must(p.t, p.cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	must(p.t, err)
	p.address = strings.TrimSpace(line)
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails only when it is over
	_ = p.cmd.Wait()         // says that it was killed
}

func (p *process) open(spool string, log zerolog.Logger) *Writer {
	p.t.Helper()
	key, err := rpclog.LoadKey(filepath.Join(p.state, "log.key"))
	must(p.t, err)
	w, err := Open(Config{Service: p.address, Key: key, Device: shoal.DeviceID{5}, Spool: spool, Log: log})
	must(p.t, err)
	return w
}

// line is one of the log, as far as it matters here.
type line struct {
	Process, Seq, Lost uint64
	Fields             struct{ Writer, N int }
}

// lines reads the whole log.
func (p *process) lines() (all []line) {
	p.t.Helper()
	var q rpclog.Query
	for more := true; more; {
		page, err := service.Read(p.t.Context(), service.SocketIn(p.state), q)
		must(p.t, err)
		for _, text := range page.Lines {
			var l line
			must(p.t, json.Unmarshal(text, &l))
			all = append(all, l)
		}
		q.After, more = page.Next, page.More
	}
	return all
}

// logMany has several goroutines write lines, with numbers of their own from up to but not with to. They wait while
// the ring is filling, so that the machine need not be fast.
func logMany(w *Writer, from, to int) {
	const writers = 4
	var run sync.WaitGroup
	for i := range writers {
		run.Go(func() {
			for n := from; n < to; n++ {
				fmt.Fprintf(w, `{"level":"info","message":"a line of the usual length","writer":%d,"n":%d}`+"\n", i, n)
				for n%64 == 0 && w.ring.waiting.Load() > wakeAt/2 {
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	run.Wait()
}

// In the middle of 24,000 lines the service is killed, the sender started anew, the service started again, stopped, and
// continued. In the end every line is in the log once, and in order, or counted as lost.
func TestNothingIsLostBetweenProcesses(t *testing.T) {
	const lines, part = 24_000, 1_200 // the latter of each goroutine
	p := startService(t)
	var told console
	log := zerolog.New(&told)
	spool := filepath.Join(t.TempDir(), "spool")
	first := p.open(spool, log)
	logMany(first, 0, part)
	go p.kill()
	logMany(first, part, 2*part)
	must(t, first.Close(t.Context()))
	second := p.open(spool, log)
	logMany(second, 2*part, 3*part)
	p.start()
	logMany(second, 3*part, 4*part)
	must(t, p.cmd.Process.Signal(syscall.SIGSTOP))
	logMany(second, 4*part, 5*part)
	must(t, p.cmd.Process.Signal(syscall.SIGCONT))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for second.Counts().Earlier+second.Counts().Spooled > 0 && ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	must(t, second.Close(ctx))

	a, b := first.Counts(), second.Counts()
	if b.Stored+b.Lost != b.Sent || b.Spooled+b.Earlier > 0 || a.Sent+b.Sent != lines {
		t.Errorf("counts %+v and %+v; console: %s", a, b, told.text.String())
	}
	var stored, lost uint64
	next := map[int]int{}
	seq := map[uint64]uint64{}
	for _, l := range p.lines() {
		if l.Seq != seq[l.Process]+1 {
			t.Fatalf("number %d of a process after %d", l.Seq, seq[l.Process])
		}
		seq[l.Process] = l.Seq
		if lost += l.Lost; l.Lost > 0 {
			continue
		}
		if stored++; l.Fields.N < next[l.Fields.Writer] {
			t.Fatalf("line %d of goroutine %d where %d is due", l.Fields.N, l.Fields.Writer, next[l.Fields.Writer])
		}
		next[l.Fields.Writer] = l.Fields.N + 1
	}
	if stored+lost != lines || lost != a.Lost+b.Lost || len(seq) != 2 {
		t.Errorf("%d stored and %d lost of %d; %d and %d lost by the senders' counts", stored, lost, lines, a.Lost, b.Lost)
	}
}
