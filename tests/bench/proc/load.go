package proc

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Load is what the machine's cores had spent at some time, and what of that was this process's and a daemon's.
type Load struct {
	at              time.Time
	all, own, child time.Duration
	daemon          *Daemon
}

// Spent says how many cores were busy since a Load was taken, on average.
type Spent struct {
	Own    float64 // with this process
	Daemon float64
	Others float64 // with other programs, and the system for them; may be off by a tick of the system's clock for each core
}

// StartLoad begins to measure who uses the machine.
func StartLoad(d *Daemon) (*Load, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return nil, fmt.Errorf("asking what the machine does: %w", err)
	}
	l := &Load{at: time.Now(), daemon: d}
	if l.all, err = parseBusy(text); err != nil {
		return nil, err
	}
	var own unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &own); err != nil {
		return nil, fmt.Errorf("asking what this process does: %w", err)
	}
	l.own = time.Duration(own.Utime.Nano() + own.Stime.Nano())
	use, err := d.Usage()
	l.child = use.CPU
	return l, err
}

// Spent returns who used the machine since StartLoad.
func (l *Load) Spent() (Spent, error) {
	now, err := StartLoad(l.daemon)
	if err != nil {
		return Spent{}, err
	}
	return now.since(l), nil
}

func (l *Load) since(before *Load) Spent {
	cores := func(d time.Duration) float64 { return max(0, d.Seconds()/l.at.Sub(before.at).Seconds()) }
	own, child := l.own-before.own, l.child-before.child
	return Spent{Own: cores(own), Daemon: cores(child), Others: cores(l.all - before.all - own - child)}
}

// parseBusy returns what all cores have spent, in the first line of /proc/stat (proc(5)): ticks of user, nice, system,
// idle, iowait, irq, softirq and steal time; of these all but idle and iowait.
func parseBusy(stat []byte) (time.Duration, error) {
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
