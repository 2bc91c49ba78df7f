package coredump_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"shoal/coredump"
)

// role is in the environment of processes that tests make of this program.
const role = "SHOAL_TEST_ROLE"

const (
	careless = "careless" // allows core files, and crashes when its input ends
	careful  = "careful"  // forbids them before that
	curious  = "curious"  // opens the memory of the process that its argument names
)

// readable is the exit code of who is curious and may be.
const readable = 10

func TestMain(m *testing.M) {
	switch as := os.Getenv(role); as {
	case careless, careful:
		crash(as == careful)
	case curious:
		if f, err := os.Open("/proc/" + os.Args[1] + "/mem"); err == nil {
			f.Close()
			os.Exit(readable)
		}
	default:
		os.Exit(m.Run())
	}
}

// crash tells when it is ready, waits for the end of its input, and aborts as a program in C would.
func crash(forbid bool) {
	limit := unix.Rlimit{}
	err := unix.Getrlimit(unix.RLIMIT_CORE, &limit)
	if limit.Cur = limit.Max; err == nil {
		err = unix.Setrlimit(unix.RLIMIT_CORE, &limit)
	}
	if err == nil {
		// A change of user has made the process as careful as it can be.
		err = unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
	}
	if err == nil && forbid {
		err = coredump.Forbid()
	}
	if err != nil {
		panic(err)
	}
	_, _ = os.Stdout.WriteString(".")
	_, _ = os.Stdin.Read(make([]byte, 1))
	var byDefault [32]byte // a struct sigaction of zeros, in place of Go's handler
	unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGABRT), uintptr(unsafe.Pointer(&byDefault)), 0, 8, 0, 0)
	_ = unix.Kill(os.Getpid(), unix.SIGABRT)
	select {}
}

// play makes a process of this program; of root, one of the user nobody, because root may read everything.
func play(as, dir string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env, cmd.Dir = append(os.Environ(), role+"="+as), dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	return cmd
}

// seen is what others saw of a process that crashed.
type seen struct {
	memory, dumped bool
	cores          int
}

func watch(t *testing.T, as string) (s seen) {
	t.Helper()
	dir, err := os.MkdirTemp("", "coredump-*") // t.TempDir has folders above that only root enters
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o777))
	victim := play(as, dir)
	in, err := victim.StdinPipe()
	must(t, err)
	out, err := victim.StdoutPipe()
	must(t, err)
	var said bytes.Buffer
	victim.Stderr = &said
	must(t, victim.Start())
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatalf("%v\n%s", err, &said)
	}
	peek := play(curious, dir, strconv.Itoa(victim.Process.Pid))
	if err := peek.Run(); peek.ProcessState == nil {
		t.Fatal(err)
	}
	s.memory = peek.ProcessState.ExitCode() == readable
	must(t, in.Close())
	_ = victim.Wait() // it crashed
	ended := victim.ProcessState.Sys().(syscall.WaitStatus)
	if !ended.Signaled() || ended.Signal() != syscall.SIGABRT {
		t.Fatalf("it ended otherwise: %v\n%s", victim.ProcessState, &said)
	}
	cores, err := filepath.Glob(filepath.Join(dir, "*"))
	must(t, err)
	s.dumped, s.cores = ended.CoreDump(), len(cores)
	return s
}

// What a careless process shows to others of its user, and leaves behind, a careful one does not.
func TestForbid(t *testing.T) {
	without := watch(t, careless)
	if !without.memory && !without.dumped {
		t.Skip("no process leaves a core file here, or lets another one read its memory")
	}
	t.Logf("without: %+v", without)
	if with := watch(t, careful); with != (seen{}) {
		t.Errorf("others see %+v", with)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
