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

// 200 logins a second with wrong passwords, each for another user: what becomes of others' logins, of work that has
// nothing to do with passwords, and of memory. The flood has been going on for a while. One iteration
// takes some five seconds.
func BenchmarkFlood(b *testing.B) {
	for name, addresses := range map[string]int{"from one address": 1, "from 60 addresses": 60} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				flood(b, addresses)
			}
		})
	}
}

func flood(b *testing.B, addresses int) {
	k := New()
	stored, err := k.Hash(b.Context(), address(1000), []byte(rightPassword))
	must(b, err)
	for i := range addresses {
		k.brakes.failed("somebody", network(address(i)), time.Now())
	}
	var refused, honest, bystander latencies
	var mu sync.Mutex // guards served and most
	served, most := 0, 0.0
	const lasts = 5 * time.Second
	var all sync.WaitGroup
	all.Go(func() {
		every(5*time.Millisecond, lasts, func(i int) {
			begin := time.Now()
			err := k.Check(b.Context(), Attempt{address(i % addresses), "user " + strconv.Itoa(i), []byte(wrongPassword), ""})
			if shoal.CodeOf(err) != shoal.Denied {
				refused.since(begin)
				return
			}
			mu.Lock()
			served++
			mu.Unlock()
		})
	})
	all.Go(func() {
		every(100*time.Millisecond, lasts, func(i int) {
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
