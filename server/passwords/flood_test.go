package passwords

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"shoal"
)

// latencies are collected by many.
type latencies struct {
	mu  sync.Mutex // guards all
	all []time.Duration
}

func (l *latencies) since(begin time.Time) {
	l.mu.Lock()
	l.all = append(l.all, time.Since(begin))
	l.mu.Unlock()
}

// report gives the benchmark the median and the 99th percentile, in milliseconds.
func (l *latencies) report(b *testing.B, name string) {
	slices.Sort(l.all)
	if len(l.all) == 0 {
		b.Fatalf("no %s", name)
	}
	b.ReportMetric(float64(l.all[len(l.all)/2])/1e6, name+"-p50-ms")
	b.ReportMetric(float64(l.all[len(l.all)*99/100])/1e6, name+"-p99-ms")
}

// every calls f in a goroutine of its own once in each interval, for a time; it returns when all have returned.
func every(interval, lasts time.Duration, f func(i int)) {
	var all sync.WaitGroup
	defer all.Wait()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for i := range int(lasts / interval) {
		<-ticker.C
		all.Go(func() { f(i) })
	}
}

// resident is the process's memory in MiB.
func resident(b *testing.B) float64 {
	status, err := os.ReadFile("/proc/self/status")
	must(b, err)
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	must(b, err)
	return float64(kib) / 1024
}

// 200 logins a second from a few addresses, with wrong passwords for ever new names: what happens to others' logins, to
// work that has nothing to do with passwords, and to memory. One iteration takes three seconds.
func BenchmarkFlood(b *testing.B) {
	for b.Loop() {
		k := New()
		stored, err := k.Hash(b.Context(), address(1000), []byte(rightPassword))
		must(b, err)
		var refused, honest, bystander latencies
		var mu sync.Mutex
		served, most := 0, 0.0
		const lasts = 3 * time.Second
		var all sync.WaitGroup
		all.Go(func() {
			every(5*time.Millisecond, lasts, func(i int) {
				begin := time.Now()
				// New addresses all the time, so that the brakes let them through to the queue: five at a time.
				err := k.Check(b.Context(), Attempt{address(i/50*5 + i%5), "user " + strconv.Itoa(i), []byte(wrongPassword), ""})
				mu.Lock()
				defer mu.Unlock()
				if shoal.CodeOf(err) == shoal.Denied {
					served++
				} else {
					refused.since(begin)
				}
			})
		})
		all.Go(func() {
			every(50*time.Millisecond, lasts, func(i int) {
				begin := time.Now()
				must(b, k.Check(b.Context(), Attempt{address(1000 + i), "ada", []byte(rightPassword), stored}))
				honest.since(begin)
			})
		})
		all.Go(func() {
			every(time.Millisecond, lasts, func(i int) {
				begin := time.Now()
				done := make(chan bool)
				go func() { done <- true }()
				<-done
				bystander.since(begin)
				if i%100 == 0 {
					mu.Lock()
					most = max(most, resident(b))
					mu.Unlock()
				}
			})
		})
		all.Wait()
		honest.report(b, "honest")
		refused.report(b, "refused")
		bystander.report(b, "bystander")
		b.ReportMetric(float64(served)/lasts.Seconds(), "wrong/s")
		b.ReportMetric(most, "RSS-MiB")
	}
}
