// Package coredump keeps what a process has in memory (keys, and passwords for as long as they are needed) out of core
// files, and away from other processes of the same user.
package coredump

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Forbid takes effect for the whole process, and cannot be taken back by one that is not privileged. It does not hold
// for programs that this process starts, but for the limit.
//
// The limit of 0 (RLIMIT_CORE, getrlimit(2)) is for core files; what the kernel pipes to a program is not bound by it.
// A process that is not dumpable (PR_SET_DUMPABLE, prctl(2)) leaves neither, and its memory, environment and open files in
// /proc are root's: others of its user can neither read them nor trace it (ptrace(2)).
func Forbid() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbidding core files: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("keeping this process's memory from others: %w", err)
	}
	return nil
}
