// Package netns gives tests and benchmarks a network of their own (network_namespaces(7)), where they disturb nobody, and
// nobody them: loopback alone, machines on a LAN whose links have the rates they are given, or two with a long way between
// them. All of it is gone with the process that asked for it.
package netns

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// within is set in the environment of a process that Isolate or Within made.
const within = "SHOAL_TEST_IN_NAMESPACE"

// Isolate runs the test again in a process that has a network of its own, with nothing but loopback in it, and an empty
// /run. It returns true there. Elsewhere it returns false, and the test is over: failed, if it failed there, or
// skipped, if namespaces are not allowed here.
func Isolate(t *testing.T) bool {
	t.Helper()
	if os.Getenv(within) != "" {
		if err := prepare(); err != nil {
			t.Fatal(err)
		}
		return true
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := isolated(exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v"))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err = cmd.Start(); forbidden(err) {
		t.Skipf("a namespace is not allowed here, which root may have: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "--- PASS: "+t.Name()) {
		t.Errorf("in a namespace: %v\n%s", err, &out)
	}
	return false
}

// Within runs the program again, with the same arguments, in a process that has a network of its own, with nothing but
// loopback in it, and an empty /run. There it calls main; in the process that was started first it passes signals on,
// and returns the exit status of the other one when that has ended.
func Within(main func()) (status int, err error) {
	if os.Getenv(within) != "" {
		if err := prepare(); err != nil {
			return 0, err
		}
		main()
		return 0, nil
	}
	self, err := os.Executable()
	if err != nil {
		return 0, fmt.Errorf("running in a network of its own: %w", err)
	}
	cmd := isolated(exec.Command(self, os.Args[1:]...))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if err := cmd.Start(); forbidden(err) {
		return 0, fmt.Errorf("a network of its own is not allowed here, run it as root: %w", err)
	} else if err != nil {
		return 0, fmt.Errorf("running in a network of its own: %w", err)
	}
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s) // it may have ended
		}
	}()
	err = cmd.Wait()
	signal.Stop(signals)
	close(signals)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// isolated makes a command start in namespaces of its own, and end with this process.
func isolated(cmd *exec.Cmd) *exec.Cmd {
	cmd.Env = append(os.Environ(), within+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	return cmd
}

func forbidden(err error) bool {
	return errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES)
}

func prepare() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keeping mounts apart: %w", err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("mounting /run: %w", err)
	}
	return LoopbackUp()
}

// LoopbackUp gives the calling thread's fresh network namespace its 127.0.0.1 (netdevice(7)).
func LoopbackUp() error {
	var flags [unix.SizeofSockaddrInet4]byte
	binary.NativeEndian.PutUint16(flags[:], unix.IFF_UP)
	return setLoopback("lo", unix.SIOCSIFFLAGS, flags)
}

// AddAddress gives the loopback interface of the calling thread's network namespace an IPv4 address besides, which nobody
// takes for one of loopback.
func AddAddress(a netip.Addr) error {
	raw := unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: a.As4()}
	return setLoopback("lo:1", unix.SIOCSIFADDR, *(*[unix.SizeofSockaddrInet4]byte)(unsafe.Pointer(&raw)))
}

func setLoopback(name string, what uintptr, value [unix.SizeofSockaddrInet4]byte) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("a socket for the loopback interface: %w", err)
	}
	defer unix.Close(s)
	request := struct {
		name  [unix.IFNAMSIZ]byte
		value [unix.SizeofSockaddrInet4]byte
		_     [8]byte
	}{value: value}
	copy(request.name[:], name)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(s), what, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return fmt.Errorf("making the loopback interface ready: %w", errno)
	}
	return nil
}
