package e2e

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// shoalBinary is the program under test, in a folder of its own.
var shoalBinary string

// lean builds the program without the race detector, which needs several times the memory: for tests that measure it.
// A binary that was given is taken to be like that.
var lean = sync.OnceValues(func() (string, error) {
	if os.Getenv("SHOAL_BIN") != "" {
		return shoalBinary, nil
	}
	return build("lean")
})

var buildFolder string

func TestMain(m *testing.M) {
	flag.Parse()
	// Most tests wait for something, so more of them run at a time than there are cores.
	if flag.Lookup("test.parallel").Value.String() == flag.Lookup("test.parallel").DefValue {
		_ = flag.Set("test.parallel", "6")
	}
	if code, done := becomeRoot(); done {
		os.Exit(code)
	}
	os.Exit(runTests(m))
}

// becomeRoot runs the tests again as root of a user namespace (user_namespaces(7)), where they may make networks and
// mounts of their own. It reports false where that is not necessary or not allowed.
func becomeRoot() (code int, done bool) {
	if os.Geteuid() == 0 {
		return 0, false
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	if cmd.Start() != nil {
		return 0, false
	}
	_ = cmd.Wait() // the exit code says it
	return cmd.ProcessState.ExitCode(), true
}

func runTests(m *testing.M) int {
	var err error
	if buildFolder, err = os.MkdirTemp("", "shoal-e2e-*"); err == nil {
		defer os.RemoveAll(buildFolder)
		shoalBinary, err = chooseBinary()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	forks := make(chan func())
	go forker(forks)
	fork = func(start func() error) error {
		done := make(chan error)
		forks <- func() { done <- start() }
		return <-done
	}
	code := m.Run()
	close(forks)
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	return code
}

// fork runs the start of a process on the one thread that lives as long as the tests do: when the thread that made a
// process ends, the system takes that for the end of the parent.
var fork func(start func() error) error

func forker(forks <-chan func()) {
	runtime.LockOSThread()
	for f := range forks {
		f()
	}
}

func chooseBinary() (string, error) {
	if given := os.Getenv("SHOAL_BIN"); given != "" {
		return filepath.Abs(given)
	}
	return build("raced", "-race")
}

// build builds the program, with the native archive if that has been built.
func build(folder string, flags ...string) (string, error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(root, "build", "libshoal_blake3.a")); err == nil {
		flags = append(flags, "-tags", "native")
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	path := filepath.Join(buildFolder, folder, "shoal")
	cmd := exec.Command("go", append(append([]string{"build", "-o", path}, flags...), "./cmd/shoal")...)
	cmd.Dir = root
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building shoal: %w\n%s", err, output)
	}
	return path, nil
}
