package service

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/soap"
)

// asService makes this test program be a service, which ends when its standard input does.
const asService = "SHOAL_TEST_AS_SERVICE"

func beService() int {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	s, err := New(Config{Listen: "127.0.0.1:0", State: os.Getenv(asService), Log: zerolog.Nop()})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(s.URL())
	if err := s.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// BenchmarkEnrich calls a service in a process of its own that has one core, from several goroutines here. It reports
// calls per second, and what one takes of the service's time on that core.
func BenchmarkEnrich(b *testing.B) {
	cmd := exec.CommandContext(b.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), asService+"="+b.TempDir(), "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	must(b, err)
	must(b, cmd.Start())
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() {
		b.Fatal("the service did not start")
	}
	c, err := soap.NewClient(lines.Text(), nil)
	must(b, err)
	defer c.Close()
	head := make([]byte, shoal.MaxHead)
	copy(head, "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x02\x80\x00\x00\x01\xe0\x08\x06\x00\x00\x00")
	for i := range head[64:] {
		head[64+i] = byte(i * 7919 >> 3)
	}
	const callers = 4
	var left atomic.Int64
	left.Store(int64(b.N))
	var all sync.WaitGroup
	b.ResetTimer()
	for range callers {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				got, err := c.Enrich(b.Context(), "a.txt", 1<<20, head)
				if err != nil || got.Width != 640 {
					b.Errorf("%+v, %v", got, err)
					return
				}
			}
		})
	}
	all.Wait()
	b.StopTimer()
	must(b, cmd.Process.Signal(syscall.SIGINT))
	must(b, cmd.Wait())
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	b.ReportMetric(float64(used.Microseconds())/float64(b.N), "service-µs/call")
}
