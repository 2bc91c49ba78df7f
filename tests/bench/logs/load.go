package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// load is what the machine's cores had spent at some time, and what of that was ours.
type load struct {
	at        time.Time
	all, ours time.Duration
	service   *running
}

// startLoad begins to measure what programs other than this one and the service take.
func startLoad(service *running) (*load, error) {
	l := &load{at: time.Now(), service: service}
	return l, l.read()
}

// others returns how many cores other programs, and the system for them, used since startLoad.
func (l *load) others() (float64, error) {
	now, err := startLoad(l.service)
	if err != nil {
		return 0, err
	}
	return now.othersSince(l), nil
}

// othersSince may be off by a tick of the system's clock for each core.
func (l *load) othersSince(before *load) float64 {
	return max(0, (l.all-before.all-l.ours+before.ours).Seconds()/l.at.Sub(before.at).Seconds())
}

func (l *load) read() error {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return fmt.Errorf("asking what the machine does: %w", err)
	}
	if l.all, err = parseBusy(text); err != nil {
		return err
	}
	var own unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &own); err != nil {
		return fmt.Errorf("asking what this process does: %w", err)
	}
	service, err := l.service.Usage()
	l.ours = time.Duration(own.Utime.Nano()+own.Stime.Nano()) + service.CPU
	return err
}

// parseBusy returns what all cores have spent, in the first line of /proc/stat (proc(5)): ticks of user, nice, system,
// idle, iowait, irq, softirq and steal time; of these all but idle and iowait.
func parseBusy(stat []byte) (time.Duration, error) {
	const tick = time.Second / 100
	line, _, _ := bytes.Cut(stat, []byte{'\n'})
	fields := bytes.Fields(line)
	if len(fields) < 9 || string(fields[0]) != "cpu" {
		return 0, fmt.Errorf("/proc/stat begins with %q", line)
	}
	var busy time.Duration
	for _, i := range []int{1, 2, 3, 6, 7, 8} {
		n, err := strconv.ParseInt(string(fields[i]), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat begins with %q", line)
		}
		busy += time.Duration(n) * tick
	}
	return busy, nil
}
