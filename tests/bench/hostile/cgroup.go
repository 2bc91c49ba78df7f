package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// period is how often a cgroup gets its share anew: so short that a process that has used it up is missed for no longer than
// what is measured takes.
const period = 20 * time.Millisecond

// cgroup says what the processes in it get of the processor (cgroups(7), both versions).
type cgroup struct {
	root   string // of the hierarchy
	dir    string
	second bool // it is of version 2
}

// newCgroup makes one without a bound, below the root of whichever hierarchy has the processor.
func newCgroup(name string) (*cgroup, error) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, fmt.Errorf("looking for cgroups: %w", err)
	}
	root, second, err := findCgroups(string(mounts))
	if err != nil {
		return nil, err
	}
	g := &cgroup{root, filepath.Join(root, fmt.Sprintf("shoal-bench-hostile-%s-%d", name, os.Getpid())), second}
	if second {
		err = os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte("+cpu"), 0)
	}
	if err == nil {
		err = os.Mkdir(g.dir, 0o755)
	}
	if err == nil {
		err = g.prefer()
	}
	if err != nil {
		return nil, fmt.Errorf("an attacker's processor time cannot be limited here, as there can be no cgroup (run this as root): %w", err)
	}
	return g, nil
}

// prefer lets other programs have little of what the processes want, or it would be those that are measured.
func (g *cgroup) prefer() error {
	if g.second {
		return g.write("cpu.weight", "10000")
	}
	return g.write("cpu.shares", "102400")
}

// findCgroups returns where the hierarchy is mounted that has the processor, and whether it is of version 2. mounts is as
// in /proc/self/mounts (proc(5)).
func findCgroups(mounts string) (root string, second bool, err error) {
	for line := range strings.Lines(mounts) {
		fields := strings.Fields(line)
		switch {
		case len(fields) < 4:
		case fields[2] == "cgroup" && slices.Contains(strings.Split(fields[3], ","), "cpu"):
			return fields[1], false, nil
		case fields[2] == "cgroup2":
			has, err := os.ReadFile(filepath.Join(fields[1], "cgroup.controllers"))
			if err == nil && slices.Contains(strings.Fields(string(has)), "cpu") {
				return fields[1], true, nil
			}
		}
	}
	return "", false, errors.New("an attacker's processor time cannot be limited here: no cgroup hierarchy with the cpu controller is mounted")
}

// bound gives the processes so many cores, at most.
func (g *cgroup) bound(cores float64) error {
	quota := max(int(cores*float64(period.Microseconds())), 1000) // less the kernel does not take
	var err error
	if g.second {
		err = g.write("cpu.max", fmt.Sprintf("%d %d", quota, period.Microseconds()))
	} else {
		err = errors.Join(g.write("cpu.cfs_period_us", strconv.FormatInt(period.Microseconds(), 10)), g.write("cpu.cfs_quota_us", strconv.Itoa(quota)))
	}
	return err
}

func (g *cgroup) write(file, value string) error {
	if err := os.WriteFile(filepath.Join(g.dir, file), []byte(value), 0); err != nil {
		return fmt.Errorf("limiting processor time: %w", err)
	}
	return nil
}

// enter moves this process into a cgroup, with all its threads.
func enter(dir string) error {
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
		return fmt.Errorf("entering a cgroup: %w", err)
	}
	return nil
}

// leave moves this process out of it again, and removes it.
func (g *cgroup) leave() error { return errors.Join(enter(g.root), g.remove()) }

// remove removes it once all its processes have ended.
func (g *cgroup) remove() error {
	for range 100 { // one that has just ended may still be counted
		err := os.Remove(g.dir)
		if !errors.Is(err, unix.EBUSY) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("removing the cgroup %s: it is in use", g.dir)
}

// files is how many an attacker has open at once, with 12,000 connections.
const files = 12_500

// raiseFiles lets this process and those that it starts open as many files as may be.
func raiseFiles() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("asking how many files may be open: %w", err)
	}
	limit.Max = max(limit.Max, files)
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("%d files must be open at once, and the system does not allow it (run this as root, or raise ulimit -n): %w", files, err)
	}
	return nil
}
