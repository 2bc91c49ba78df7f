package packet_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"shoal"
	"shoal/tests/netns"
	"shoal/tests/pcap/packet"
)

// A capture from loopback has each packet once, what came before Stop and nothing else, and can be written to a file.
func TestLive(t *testing.T) {
	if !netns.Isolate(t) {
		return
	}
	r, err := packet.Live("lo")
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "live.pcapng")
	copied, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	r.CopyTo(copied)
	from := udp(t)
	to := udp(t)
	large := bytes.Repeat([]byte("x"), 65507-1) // with its headers more than loopback's MTU
	const n = 500
	for i := range n {
		if _, err := from.WriteTo([]byte{byte(i)}, to.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := from.WriteTo(large, to.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	r.Stop()
	if _, err := from.WriteTo([]byte("too late"), to.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	count := func(r *packet.Reader) (counts packet.Counts) {
		t.Helper()
		for i := 0; ; i++ {
			p, err := r.Next()
			if err == io.EOF {
				if err := r.Close(); err != nil || i != n+1 {
					t.Errorf("%v, %d packets where %d were sent", err, i, n+1)
				}
				return r.Counts()
			} else if err != nil {
				t.Fatal(err)
			}
			want := []byte{byte(i)}
			if i == n {
				want = large
			}
			if !bytes.Equal(p.Payload, want) || p.Cut != 0 || p.Protocol != packet.UDP || p.Source.String() != from.LocalAddr().String() {
				t.Fatalf("packet %d is not what was sent: %v, %d bytes", i, p.Source, len(p.Payload))
			}
		}
	}
	live := count(r)
	if err := copied.Close(); err != nil {
		t.Fatal(err)
	}
	if r, err = packet.Open(name); err != nil {
		t.Fatal(err)
	}
	if again := count(r); again != live {
		t.Errorf("%+v was captured, and %+v is in the file", live, again)
	}
}

func udp(t *testing.T) net.PacketConn {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Whoever reads too slowly is told what was lost, and the file as well.
func TestLiveDrops(t *testing.T) {
	if !netns.Isolate(t) {
		return
	}
	packet.ShortenQueue()
	r, err := packet.Live("lo")
	if err != nil {
		t.Fatal(err)
	}
	var copied bytes.Buffer
	r.CopyTo(&copied)
	from, to := udp(t), udp(t)
	const n = 100
	for range n { // 6 MB, and nobody reads
		if _, err := from.WriteTo(make([]byte, 60000), to.LocalAddr()); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
	r.Stop()
	got := 0
	for err == nil {
		if _, err = r.Next(); err == nil {
			got++
		}
	}
	if counts := r.Counts(); err != io.EOF || got == 0 || got == n || counts.Dropped == 0 {
		t.Errorf("%v: of %d packets %d were captured, %+v", err, n, got, counts)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	_, counts, err := readAll(t, copied.Bytes())
	if err != nil || counts.Dropped != r.Counts().Dropped {
		t.Errorf("the file tells of %d lost, the capture of %d (%v)", counts.Dropped, r.Counts().Dropped, err)
	}
}

// While nothing comes, Stop ends the wait.
func TestLiveStop(t *testing.T) {
	if !netns.Isolate(t) {
		return
	}
	if _, err := packet.Live("nowhere"); shoal.CodeOf(err) != shoal.NotFound {
		t.Errorf("an interface that is not there: %v", err)
	}
	r, err := packet.Live("lo")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		_, err := r.Next()
		ended <- err
	}()
	r.Stop()
	if err := <-ended; err != io.EOF {
		t.Errorf("stopped: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
