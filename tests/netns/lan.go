package netns

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Rate is that of a link, in bits of Ethernet frames a second.
type Rate int64

// The units of Rate.
const (
	Megabit Rate = 1e6
	Gigabit Rate = 1e9
)

// Goodput is how many bytes a second of TCP's data a link can carry: of the 1514 bytes of a full frame, Ethernet's, IP's and
// TCP's headers take 66.
func (r Rate) Goodput() float64 { return float64(r) / 8 * 1448 / 1514 }

// Link is a host's link to the LAN; a rate of 0 is as fast as the machine.
type Link struct{ Up, Down Rate }

// queueTime is how long a frame may wait before a link, at most; further ones are lost.
const queueTime = 50 * time.Millisecond

// LAN is a bridge in the network namespace of this process, and hosts, namespaces of their own, at ports of it. This
// process can reach the hosts, too. It is for one goroutine.
type LAN struct {
	bridge string
	hosts  []*Host
}

// Host is one machine on a LAN.
type Host struct {
	Addr netip.Addr
	name string // of the namespace
	port string // the bridge's end of the link
}

// NewLAN makes an empty LAN. It needs ip and tc of iproute2, and a network namespace of its own (Within, Isolate). There
// can be one at a time.
func NewLAN(ctx context.Context) (*LAN, error) {
	l := &LAN{bridge: "lan"}
	// A switch has no firewall, and this one needs none: without the file there is none.
	_ = os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-iptables", []byte("0"), 0)
	return l, run(ctx,
		"ip link add "+l.bridge+" type bridge forward_delay 0",
		"ip addr add 10.7.0.1/16 dev "+l.bridge,
		"ip link set "+l.bridge+" up")
}

// Add connects a new host.
func (l *LAN) Add(ctx context.Context, link Link) (*Host, error) {
	n := len(l.hosts)
	h := &Host{
		Addr: netip.AddrFrom4([4]byte{10, 7, 1 + byte(n/200), 1 + byte(n%200)}),
		name: fmt.Sprintf("host%d", n), port: fmt.Sprintf("port%d", n),
	}
	if err := h.create(ctx); err != nil {
		return nil, err
	}
	l.hosts = append(l.hosts, h)
	err := run(ctx,
		"ip link add "+h.port+" type veth peer name eth0 netns "+h.name,
		"ip link set "+h.port+" master "+l.bridge+" up",
		"ip -n "+h.name+" addr add "+h.Addr.String()+"/16 dev eth0",
		"ip -n "+h.name+" link set eth0 up")
	if err == nil && link.Up > 0 {
		err = run(ctx, "tc -n "+h.name+" qdisc add dev eth0 root "+tokenBucket(link.Up))
	}
	if err == nil && link.Down > 0 {
		err = run(ctx, "tc qdisc add dev "+h.port+" root "+tokenBucket(link.Down))
	}
	return h, err
}

// Close takes the LAN apart. What runs on its hosts should have ended.
func (l *LAN) Close() error {
	// Not with a context: it is needed above all when that has ended.
	ctx := context.Background()
	var err error
	for _, h := range l.hosts {
		err = errors.Join(err, run(ctx, "ip link del "+h.port, "ip netns del "+h.name))
	}
	return errors.Join(err, run(ctx, "ip link del "+l.bridge))
}

func (h *Host) create(ctx context.Context) error {
	return run(ctx, "ip netns add "+h.name, "ip -n "+h.name+" link set lo up")
}

// tokenBucket is the shaper of a link (tc-tbf(8)). The bucket holds what the rate brings between two of the kernel's timer
// ticks, and a few frames at least.
func tokenBucket(r Rate) string {
	const slowestTick = 4 * time.Millisecond
	burst := max(int64(float64(r)/8*slowestTick.Seconds()), 16<<10)
	limit := burst + int64(float64(r)/8*queueTime.Seconds())
	return fmt.Sprintf("tbf rate %dbit burst %d limit %d", int64(r), burst, limit)
}

// Command is the command line that runs another on the host. The process is the other one's from the exec on.
func (h *Host) Command(args ...string) []string {
	return append([]string{"ip", "netns", "exec", h.name}, args...)
}

// Vanish makes the host's link lose everything from now on, both ways, while neither side is told.
func (h *Host) Vanish(ctx context.Context) error {
	return run(ctx, "ip link set "+h.port+" nomaster")
}

// Kill ends all that runs on the host, as kill -9 does.
func (h *Host) Kill(ctx context.Context) error {
	out, err := output(ctx, "ip", "netns", "pids", h.name)
	if err != nil {
		return err
	}
	for _, field := range strings.Fields(string(out)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return fmt.Errorf("asking what runs on a host: %q is no process", field)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("ending a process on a host: %w", err)
		}
	}
	return nil
}

// Sent is how many bytes of TCP's data the host has sent on its link, which must have a rate. What is sent again counts
// again, and the few bytes of what is not TCP count as if it were.
func (h *Host) Sent(ctx context.Context) (int64, error) {
	out, err := output(ctx, "tc", "-s", "-j", "-n", h.name, "qdisc", "show", "dev", "eth0", "root")
	if err != nil {
		return 0, err
	}
	var shapers []struct{ Bytes, Packets int64 }
	if err := json.Unmarshal(out, &shapers); err != nil || len(shapers) != 1 {
		return 0, fmt.Errorf("asking what a host has sent: %q is not about one shaper (%v)", out, err)
	}
	const headers = 14 + 20 + 32 // of Ethernet, IP, and TCP with timestamps
	return shapers[0].Bytes - headers*shapers[0].Packets, nil
}

// run runs commands, given without quoting, until one fails.
func run(ctx context.Context, lines ...string) error {
	for _, line := range lines {
		if _, err := output(ctx, strings.Fields(line)...); err != nil {
			return err
		}
	}
	return nil
}

func output(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("making a network, %q: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}
