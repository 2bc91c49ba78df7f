package oncrpc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"shoal"
	"shoal/tests/netns"
	"shoal/tests/rpcbind"
)

func mapping(protocol, port uint32) Mapping { return Mapping{testProgram, 2, protocol, port} }

func portOf(ctx context.Context, protocol uint32) (port uint32, err error) {
	err = askRpcbind(ctx, func(c *Client) error {
		port, err = c.port(ctx, mapping(protocol, 0))
		return err
	})
	return port, err
}

func TestRpcbind(t *testing.T) {
	rpcbind.Need(t)
	if !netns.Isolate(t) { // rpcbind is this machine's, or nobody's
		return
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	// listed compares what rpcinfo shows of the program, as "tcp 700 udp 701".
	listed := func(want string) {
		t.Helper()
		out, err := rpcbind.Info(t, "-p", "127.0.0.1")
		must(err)
		var got []string
		for line := range strings.Lines(out) {
			if f := strings.Fields(line); len(f) >= 4 && f[0] == strconv.Itoa(testProgram) {
				got = append(got, f[2], f[3])
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("rpcinfo -p lists %v instead of %s", got, want)
		}
	}
	ctx := t.Context()
	if err := Register(ctx, mapping(ProtocolTCP, 700)); !errors.Is(err, ErrNoRpcbind) || !errors.Is(err, shoal.Unreachable) {
		t.Errorf("without rpcbind: %v", err)
	}
	stop := rpcbind.Start(t)
	must(Register(ctx, mapping(ProtocolTCP, 700)))
	must(Register(ctx, mapping(ProtocolUDP, 701)))
	listed("tcp 700 udp 701")
	must(Register(ctx, mapping(ProtocolTCP, 800))) // the service was started again, at another port
	must(Register(ctx, mapping(ProtocolTCP, 800)))
	listed("udp 701 tcp 800")
	must(Unregister(ctx, mapping(ProtocolTCP, 700))) // the one before ends late
	listed("udp 701 tcp 800")
	must(Unregister(ctx, mapping(ProtocolTCP, 800)))
	listed("udp 701")
	must(Unregister(ctx, mapping(ProtocolUDP, 701)))
	must(Unregister(ctx, mapping(ProtocolUDP, 701)))
	listed("")

	if out, err := rpcbind.Info(t, "-t", "127.0.0.1", strconv.Itoa(testProgram)); err == nil {
		t.Errorf("rpcinfo finds the program: %s", out)
	}
	tcp, udp := serve(t, testServer())
	for protocol, address := range map[uint32]string{ProtocolTCP: tcp, ProtocolUDP: udp} {
		var port uint32
		_, err := fmt.Sscanf(address, "127.0.0.1:%d", &port)
		must(err)
		must(Register(ctx, mapping(protocol, port)))
	}
	for _, flag := range []string{"-t", "-u"} { // which asks rpcbind for the address
		if out, err := rpcbind.Info(t, flag, "127.0.0.1", strconv.Itoa(testProgram), "2"); err != nil || !strings.Contains(out, "ready and waiting") {
			t.Errorf("rpcinfo %s: %v, %s", flag, err, out)
		}
	}

	testForeignMapping(t)
	testOtherUser(t)
	must(os.Remove("/run/rpcbind.sock"))
	must(Register(ctx, Mapping{testProgram + 1, 1, ProtocolTCP, 900})) // over the network
	must(Unregister(ctx, Mapping{testProgram + 1, 1, ProtocolTCP, 900}))
	stop()
	if err := Unregister(ctx, mapping(ProtocolTCP, 700)); !errors.Is(err, ErrNoRpcbind) {
		t.Errorf("with rpcbind gone: %v", err)
	}
}

// testForeignMapping asks over the network, where rpcbind does not know who asks, for what root has registered.
func testForeignMapping(t *testing.T) {
	socket := rpcbinds[0]
	defer func() { rpcbinds[0] = socket }()
	rpcbinds[0] = rpcbinds[1]
	for name, do := range map[string]func() error{
		"Register": func() error { return Register(t.Context(), mapping(ProtocolTCP, 900)) },
		"Unregister": func() error {
			port, err := portOf(t.Context(), ProtocolTCP)
			return errors.Join(err, Unregister(t.Context(), mapping(ProtocolTCP, port)))
		},
	} {
		if err := do(); !errors.Is(err, shoal.Denied) {
			t.Errorf("%s of what root has registered, by anybody: %v", name, err)
		}
	}
}

// testOtherUser registers as somebody without rights, whose mapping root may take over.
func testOtherUser(t *testing.T) {
	m := Mapping{testProgram + 2, 1, ProtocolTCP, 900}
	if err := asNobody(func() error { return Register(t.Context(), m) }); err != nil {
		t.Errorf("registering without rights: %v", err)
	}
	rooted := m
	rooted.Port = 901
	if err := Register(t.Context(), rooted); err != nil {
		t.Errorf("registering in another user's place: %v", err)
	}
	if err := asNobody(func() error { return Register(t.Context(), m) }); !errors.Is(err, shoal.Denied) {
		t.Errorf("registering in root's place: %v", err)
	}
	if err := asNobody(func() error { return Unregister(t.Context(), rooted) }); !errors.Is(err, shoal.Denied) {
		t.Errorf("removing what root has registered: %v", err)
	}
	if err := Unregister(t.Context(), rooted); err != nil {
		t.Error(err)
	}
}

// asNobody runs f on a thread that has no rights, and ends with it. What f connects, the kernel takes for nobody's.
func asNobody(f func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // for ever, so that nobody else gets this thread
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, 65534, 65534, 65534); errno != 0 {
			result <- errno
			return
		}
		result <- f()
	}()
	return <-result
}
