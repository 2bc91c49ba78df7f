package passwords

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shoal"
)

// 200 logins a second from one address: 40 are served, the rest is refused at once, and another address waits for two
// hashes at most.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := virtual()
		var all sync.WaitGroup
		var mu sync.Mutex
		var refused, waited []time.Duration
		end := time.Now().Add(10 * time.Second)
		all.Go(func() {
			for ; time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
				all.Go(func() {
					begin := time.Now()
					if _, err := k.Hash(t.Context(), address(1), []byte(rightPassword)); shoal.CodeOf(err) == shoal.Busy {
						mu.Lock()
						refused = append(refused, time.Since(begin))
						mu.Unlock()
					}
				})
			}
		})
		all.Go(func() {
			for i := 0; time.Now().Before(end); i++ {
				time.Sleep(73 * time.Millisecond)
				begin := time.Now()
				must(t, k.Check(t.Context(), Attempt{address(2 + i%5), "ada", []byte(rightPassword), storedFor(rightPassword)}))
				waited = append(waited, time.Since(begin))
			}
		})
		all.Wait()
		if n := len(refused); n < 1600 || slices.Max(refused) != 0 {
			t.Errorf("%d were refused, the last of them after %v", n, slices.Max(refused))
		}
		if most := slices.Max(waited); len(waited) < 80 || most > 3*hashTakes {
			t.Errorf("%d logins from elsewhere, of which one took %v", len(waited), most)
		}
	})
}

// The same from 60 addresses: each has one failure's worth of turns, and then others go first.
func TestFloodFromMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := virtual()
		var all sync.WaitGroup
		end := time.Now().Add(10 * time.Second)
		all.Go(func() {
			for i := 0; time.Now().Before(end); i++ {
				all.Go(func() {
					a := Attempt{address(i % 60), fmt.Sprint(i), []byte(wrongPassword), ""}
					if err := k.Check(t.Context(), a); err == nil {
						t.Error("a wrong password is right")
					}
				})
				time.Sleep(5 * time.Millisecond)
			}
		})
		time.Sleep(100 * hashTakes)
		for i := 0; time.Now().Before(end); i++ {
			time.Sleep(73 * time.Millisecond)
			begin := time.Now()
			must(t, k.Check(t.Context(), Attempt{address(1000 + i), "ada", []byte(rightPassword), storedFor(rightPassword)}))
			if took := time.Since(begin); took > 3*hashTakes {
				t.Errorf("a login from elsewhere took %v", took)
			}
		}
		all.Wait()
	})
}

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
// nothing to do with passwords, and of memory. The flood has been going on for a while. One iteration takes some
// five seconds.
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
