package sender

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"
)

// read takes what there is, as text, "lost N" for what was lost.
func read(r *ring, last bool) (lines []string) {
	r.take(last, func(_ zerolog.Level, b []byte) { lines = append(lines, string(b)) },
		func(n uint64) { lines = append(lines, fmt.Sprintf("lost %d", n)) })
	return lines
}

func TestRingKeepsOrderOfEachGoroutine(t *testing.T) {
	const writers, each = 8, 8_000
	r := newRing()
	var run sync.WaitGroup
	for w := range writers {
		run.Go(func() {
			for i := range each {
				r.put(zerolog.InfoLevel, fmt.Appendf(nil, "%d %d", w, i))
			}
		})
	}
	written := make(chan struct{})
	go func() {
		run.Wait()
		close(written)
	}()
	var next [writers]int
	seen, lost := 0, 0
	for last := false; ; {
		for _, line := range read(r, last) {
			if n, found := strings.CutPrefix(line, "lost "); found {
				n, _ := strconv.Atoi(n)
				lost += n
				continue
			}
			var w, i int
			if _, err := fmt.Sscanf(line, "%d %d", &w, &i); err != nil || i < next[w] {
				t.Fatalf("%q when %d was next (%v)", line, next[w], err)
			}
			next[w] = i + 1
			seen++
		}
		if last {
			break
		}
		select {
		case <-written:
			last = true
		default:
		}
	}
	if seen+lost != writers*each || seen == 0 {
		t.Errorf("%d lines came through and %d were lost, of %d", seen, lost, writers*each)
	}
	if n := r.tickets.Load(); n != writers*each {
		t.Errorf("%d tickets", n)
	}
}

// Two goroutines take turns, each after the other's line: the order between them is kept as well.
func TestRingKeepsOrderAmongGoroutines(t *testing.T) {
	const lines = 4000
	r := newRing()
	ping, pong := make(chan int), make(chan int)
	var run sync.WaitGroup
	run.Go(func() {
		for i := range ping {
			r.put(zerolog.InfoLevel, strconv.AppendInt(nil, int64(i), 10))
			pong <- i + 1
		}
	})
	for i := 0; i < lines; i += 2 {
		r.put(zerolog.InfoLevel, strconv.AppendInt(nil, int64(i), 10))
		ping <- i + 1
		<-pong
	}
	close(ping)
	run.Wait()
	got := read(r, true)
	for i, line := range got {
		if line != strconv.Itoa(i) {
			t.Fatalf("line %d is %q", i, line)
		}
	}
	if len(got) != lines {
		t.Errorf("%d lines", len(got))
	}
}

func TestRingCountsWhatFindsNoRoom(t *testing.T) {
	r := newRing()
	line := []byte(strings.Repeat("x", 1000))
	fits := shards * (shardSize / (len(line) + lineHead))
	for round := range 3 {
		for range fits + 5 + round {
			r.put(zerolog.InfoLevel, line)
		}
		got := read(r, false)
		want := fmt.Sprintf("lost %d", 5+round)
		if len(got) != fits+1 || got[fits] != want {
			t.Errorf("round %d: %d lines, the last %.20q, want %d and %q", round, len(got), got[len(got)-1], fits+1, want)
		}
	}
	read(r, true)
	r.put(zerolog.InfoLevel, line)
	if got := read(r, true); len(got) != 1 || got[0] != "lost 1" {
		t.Errorf("after the last time: %.50q", got)
	}
}

func TestRingKeepsLevelAndCutsLongLines(t *testing.T) {
	r := newRing()
	r.put(zerolog.TraceLevel, []byte(strings.Repeat("y", maxLine+1)))
	r.put(zerolog.Disabled, nil)
	var got []string
	r.take(false, func(l zerolog.Level, b []byte) { got = append(got, fmt.Sprint(int(l), len(b))) }, nil)
	if want := fmt.Sprintf("[-1 %d 7 0]", maxLine); fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}

func TestRingWakesItsReaderWhenHalfFull(t *testing.T) {
	r := newRing()
	woken := func() bool {
		select {
		case <-r.signal:
			return true
		default:
			return false
		}
	}
	line := make([]byte, 1000)
	for range 3 {
		sent := 0
		for ; !woken() && sent < 2*wakeAt; sent += len(line) {
			r.put(zerolog.InfoLevel, line)
		}
		if sent < wakeAt || sent > wakeAt+shards*granule {
			t.Errorf("woken after %d bytes", sent)
		}
		read(r, false)
	}
}

func TestCallAllocatesNothing(t *testing.T) {
	w := &Writer{ring: newRing()}
	log := zerolog.New(w).With().Timestamp().Logger()
	call := func() { log.Info().Str("user", "u").Int("n", 7).Msg("a line") }
	if n := testing.AllocsPerRun(20_000, call); n != 0 { // more than fit: losing allocates nothing either
		t.Errorf("%v allocations", n)
	}
	discard := zerolog.New(io.Discard)
	if n := testing.AllocsPerRun(100, func() { discard.Info().Str("text", string(make([]byte, 100))).Msg("") }); n == 0 {
		t.Error("allocations are not seen")
	}
}
