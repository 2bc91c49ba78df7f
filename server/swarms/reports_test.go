package swarms

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"shoal"
	"shoal/wire"
)

// seeded are swarms whose random numbers are the same each time.
func seeded() *Swarms {
	s := New()
	s.random = rand.New(rand.NewPCG(1, 2)).IntN
	return s
}

// said is what a user says of a device as a source of swarm 1. The device is its own user's.
func said(by string, device uint64) Report {
	return Report{Swarm: swarmOf(1), Device: deviceOf(device), User: fmt.Sprint("user of ", device), By: by}
}

// reportBy has so many users report a device.
func reportBy(t *testing.T, s *Swarms, users int, device uint64) {
	t.Helper()
	for i := range users {
		if err := s.Report(said(fmt.Sprint("user ", i), device), now); err != nil {
			t.Fatal(err)
		}
	}
}

// A device that many users report still gets its place now and then, where there are more sources than are told of
// (rule R5). Others are not worse off than each other.
func TestReportedAreNeverExcluded(t *testing.T) {
	const sources, answers = 60, 4000
	for users, share := range map[int]float64{1: 1. / 2, 3: 1. / 8, 4: 1. / 16, 200: 1. / 16} {
		s := seeded()
		asking := s.Begin(1000, deviceOf(1000))
		for i := range uint64(sources) {
			begin(t, s, i+1, offer(1, 4))
		}
		reportBy(t, s, users, 1)
		told := map[uint64]int{}
		for range answers {
			got := ids(t, sourcesFor(asking, swarmOf(1), now))
			if len(got) != 50 {
				t.Fatalf("%d sources", len(got))
			}
			for id := range got {
				told[id]++
			}
		}
		if want := share * answers * 50 / sources; float64(told[1]) < 0.8*want || float64(told[1]) > 1.2*want {
			t.Errorf("reported by %d, it is told %d times of %d, and not some %.0f", users, told[1], answers, want)
		}
		for id := uint64(2); id <= sources; id++ {
			if told[id] < answers*7/10 {
				t.Errorf("reported by nobody, %d is told %d times of %d", id, told[id], answers)
			}
		}
	}
}

// Where there is room for all, all are told, the reported ones mostly last. More sessions are no more lots.
func TestReportedComeLast(t *testing.T) {
	s := seeded()
	asking := s.Begin(1000, deviceOf(1000))
	for i := range uint64(5) {
		begin(t, s, i+1, offer(1, 4))
	}
	liar := deviceOf(9)
	for i := range uint64(10) {
		if err := s.Begin(100+i, liar).Announce([]byte("candidates"), later, []wire.Offer{offer(1, 4)}); err != nil {
			t.Fatal(err)
		}
	}
	reportBy(t, s, 10, 9)
	const answers = 4000
	early := 0
	for range answers {
		got := sourcesFor(asking, swarmOf(1), now)
		if len(got) != 15 {
			t.Fatalf("%d sources", len(got))
		}
		for _, from := range got[:5] {
			if from.Device == liar {
				early++
				break
			}
		}
	}
	if early < answers/16*8/10 || early > answers/16*12/10 {
		t.Errorf("reported by ten, it comes before others %d times of %d", early, answers)
	}
}

// Users and all together can make so many reports, and no more (rule R4); those who were there are forgotten in time (R2).
func TestReportsAreBounded(t *testing.T) {
	s := New()
	s.reports.maxReports = 2*maxUserReports + 10
	for i := range uint64(3 * maxUserReports) {
		begin(t, s, i+1, offer(1, 4))
	}
	limit := func(by string, device uint64, wanted bool) {
		t.Helper()
		if err := s.Report(said(by, device), now); errors.Is(err, shoal.Limit) != wanted || err != nil && !wanted {
			t.Errorf("%s of %d: %v", by, device, err)
		}
	}
	for i := range uint64(maxUserReports) {
		limit("ann", i+1, false)
		limit("bob", i+1, false)
	}
	limit("ann", maxUserReports+1, true)
	limit("ann", 1, false) // that one is there already
	for i := range uint64(10) {
		limit("eve", i+1, false)
	}
	limit("eve", 11, true)
	if got, more := s.Reported(shoal.Public, now); len(got) != maxUserReports || more || got[0].Users != 3 || got[10].Users != 2 {
		t.Errorf("%d are reported, %+v", len(got), got[:1])
	}
	// A day later there is room again, and nothing is left of them.
	if err := s.Report(said("eve", 11), now.Add(reportLasts)); err != nil {
		t.Error(err)
	}
	if p := &s.reports; p.held != 1 || len(p.of) != 1 || len(p.groups[shoal.Public]) != 1 {
		t.Errorf("%d reports by %d users of %d devices are held", p.held, len(p.of), len(p.groups[shoal.Public]))
	}
	if s.Retract(shoal.Public, "eve"); len(s.reports.groups) != 0 || s.reports.held != 0 || len(s.reports.of) != 0 {
		t.Errorf("%d groups have reports", len(s.reports.groups))
	}
}

func TestWhoLeftIsRemembered(t *testing.T) {
	s := New()
	for i := range uint64(2*maxLeft + 10) {
		begin(t, s, i+1, offer(1, 4)).End()
		if i%2 == 0 { // once for a group
			begin(t, s, i+1, offer(1, 4)).End()
		}
	}
	if left, before := len(s.reports.left), len(s.reports.leftBefore); left != 10 || before != maxLeft {
		t.Errorf("%d and %d are remembered", left, before)
	}
	if err := s.Report(said("ann", 2*maxLeft+10-maxLeft+1), now); err != nil {
		t.Error(err)
	}
	if err := s.Report(said("ann", 1), now); !errors.Is(err, shoal.NotFound) {
		t.Errorf("who left long ago: %v", err)
	}
}

// Reports of a device come, are renewed, and end, each for itself (rules R3 and R6).
func TestReportsEnd(t *testing.T) {
	s := New()
	begin(t, s, 1, offer(1, 4))
	at := func(hours time.Duration) time.Time { return now.Add(hours * time.Hour) }
	for hours, by := range map[time.Duration]string{0: "ann", 1: "bob"} {
		if err := s.Report(said(by, 1), at(hours)); err != nil {
			t.Fatal(err)
		}
	}
	check := func(hours time.Duration, users uint32, since, latest time.Duration) {
		t.Helper()
		got, _ := s.Reported(shoal.Public, at(hours))
		if users == 0 && len(got) == 0 {
			return
		}
		if len(got) != 1 || got[0].Users != users || got[0].Since != at(since).UnixMilli() || got[0].Latest != at(latest).UnixMilli() {
			t.Errorf("after %d hours: %+v", hours, got)
		}
	}
	check(2, 2, 0, 1)
	check(24, 1, 1, 1)
	check(25, 0, 0, 0)
	if err := s.Report(said("bob", 1), at(20)); err != nil {
		t.Fatal(err)
	}
	check(25, 1, 1, 20) // renewed, it has been there since it came first
	check(44, 0, 0, 0)
	if err := s.Report(said("bob", 1), at(50)); err != nil {
		t.Fatal(err)
	}
	check(51, 1, 50, 50)
}
