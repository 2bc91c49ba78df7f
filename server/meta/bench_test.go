package meta

import (
	"context"
	"fmt"
	"iter"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"shoal"
)

// BenchmarkMutations publishes from 64 devices at once, and from one.
func BenchmarkMutations(b *testing.B) {
	for _, devices := range []int{1, 64} {
		b.Run(fmt.Sprintf("devices=%d", devices), func(b *testing.B) {
			s := open(b, b.TempDir())
			w := &world{Store: s, sequence: make(map[shoal.DeviceID]uint64)}
			apply := func(n int, m Mutation) {
				if _, err := s.Apply(b.Context(), w.id(device(n)), m); err != nil {
					b.Fatal(err)
				}
			}
			for n := range devices {
				apply(n, &CreateUser{User: Username(fmt.Sprint("user ", n)), Open: true, Password: "$"})
				apply(n, &CreateGroup{Group: shoal.Group(fmt.Sprint("group ", n))})
			}
			var next atomic.Int64
			var run sync.WaitGroup
			b.ResetTimer()
			for n := range devices {
				run.Go(func() {
					g := shoal.Group(fmt.Sprint("group ", n))
					for {
						i := int(next.Add(1))
						if i > b.N {
							return
						}
						if _, err := s.Apply(b.Context(), w.id(device(n)), &Publish{Group: g, Name: shoal.Name(fmt.Sprint("file ", i)), Content: file(i)}); err != nil {
							b.Error(err)
						}
					}
				})
			}
			run.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mutations/s")
		})
	}
}

// BenchmarkLarge opens and lists 100,000 users with a device each, 10,000 groups and 1,000,000 objects, in a process of its
// own.
func BenchmarkLarge(b *testing.B) {
	dir := b.TempDir()
	if err := Import(b.Context(), dir, large(100_000, 10_000, 1_000_000), testLog(b)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for line := range strings.Lines(runChild(b, "large", dir)) {
			value, unit, _ := strings.Cut(strings.TrimSpace(line), " ")
			if n, err := strconv.ParseFloat(value, 64); err == nil {
				b.ReportMetric(n, unit)
			}
		}
	}
}

// openLarge opens the state in a folder and says what that took.
func openLarge(dir string) error {
	start := time.Now()
	s, err := Open(context.Background(), Options{Dir: dir, Log: zerolog.New(os.Stderr).Level(zerolog.ErrorLevel)})
	if err != nil {
		return err
	}
	defer s.Close()
	fmt.Println(time.Since(start).Seconds(), "s-to-open")
	c := &counter{done: make(chan struct{})}
	f := s.NewFeed(c)
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	defer run.Wait()
	defer cancel()
	run.Go(func() { f.Run(ctx) })
	<-c.done
	if err := f.Barrier(ctx); err != nil {
		return err
	}
	fmt.Println(time.Since(start).Seconds(), "s-to-ready")
	fmt.Println(c.n, "records")
	debug.FreeOSMemory()
	for line, unit := range map[string]string{"VmHWM": "MiB-peak", "VmRSS": "MiB-resident", "RssAnon": "MiB-anonymous"} {
		fmt.Println(resident(line)>>20, unit)
	}
	return nil
}

// counter is a sink that only counts.
type counter struct {
	n    int
	done chan struct{}
}

// large is a state with a device for each user, and the users and objects spread over the groups.
func large(users, groups, objects int) iter.Seq[Record] {
	user := func(i int) Username { return Username(fmt.Sprintf("user-%06d", i)) }
	group := func(i int) shoal.Group { return shoal.Group(fmt.Sprintf("group-%05d", i)) }
	now := time.Now()
	id := func(i int) (d shoal.DeviceID) { d[0], d[1], d[2] = byte(i), byte(i>>8), byte(i>>16); return d }
	password := "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$" + strings.Repeat("h", 43)
	return func(yield func(Record) bool) {
		for i := range users {
			_ = yield(&User{Name: user(i), Password: password, Created: now, Devices: []shoal.DeviceID{id(i)}}) &&
				yield(&Device{ID: id(i), User: user(i), Enrolled: now, Label: "laptop"}) &&
				yield(&Member{Group: group(i % groups), User: user(i), Since: now})
		}
		for i := range groups {
			_ = yield(&Group{Name: group(i), Owner: user(i), Epoch: 1, First: 1, Created: now, Grace: time.Hour})
		}
		for i := range objects {
			o := &Object{
				Group: group(i % groups), Name: shoal.Name(fmt.Sprintf("dataset part %07d.tar.zst", i)), Publisher: user(i % users),
				Device: id(i % users), Published: now, Shared: true, Content: file(i),
			}
			o.Content.ID[4], o.Content.ID[5] = byte(i>>16), byte(i>>24)
			_ = yield(o)
		}
	}
}

// resident returns a line of /proc/self/status in bytes.
func resident(line string) int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	for l := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(l, line+":"); found {
			kib, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			if err != nil {
				panic(err)
			}
			return kib << 10
		}
	}
	panic("no " + line + " in /proc/self/status")
}

func (c *counter) Replace(all iter.Seq2[Event, error], _ uint64) error {
	for _, err := range all {
		if err != nil {
			return err
		}
		c.n++
	}
	close(c.done)
	return nil
}

func (c *counter) Apply([]Event, uint64) {}
