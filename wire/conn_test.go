package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shoal"
	"shoal/wire/wiretest"
)

// reading is a connection of which only the reading side is there.
type reading struct {
	net.Conn
	io.Reader
}

func (r reading) Read(p []byte) (int, error) { return r.Reader.Read(p) }

func piece(id uint32, block []byte) []byte {
	return append(AppendPieceHead(nil, id, PieceHead{Piece: 3, Begin: 16384}, uint32(len(block))), block...)
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7)
	}
	return b
}

func TestPieceData(t *testing.T) {
	small, large := pattern(5), pattern(shoal.MaxBlock)
	ping := AppendReply(nil, KindPing, 9, &Empty{})
	stream := bytes.Join([][]byte{piece(1, small), piece(2, large), piece(3, nil), piece(4, large), ping}, nil)
	for _, fragment := range []int{1000, len(stream)} {
		c := received(t, stream, fragment)
		next := func(id uint32, data int) Frame {
			t.Helper()
			f, err := c.ReadFrame()
			if err != nil || f.ID != id || f.Data != data {
				t.Fatalf("read %v with %d bytes of data, %v", f.Header, f.Data, err)
			}
			return f
		}
		var m PieceHead
		if err := Decode(next(1, 5).Body, &m); err != nil || m != (PieceHead{Piece: 3, Begin: 16384}) {
			t.Errorf("the head is %+v, %v", m, err)
		}
		got := make([]byte, len(large))
		if err := c.ReadData(got[:5]); err != nil || !bytes.Equal(got[:5], small) {
			t.Errorf("the small block is %x, %v", got[:5], err)
		}
		next(2, len(large))
		for part := range 4 { // in parts, as into several buffers
			if err := c.ReadData(got[part*len(got)/4 : (part+1)*len(got)/4]); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, large) {
			t.Error("the large block is another")
		}
		next(3, 0)
		if err := c.SkipData(); err != nil {
			t.Error(err)
		}
		next(4, len(large))
		if err := c.ReadData(got[:100]); err != nil || !bytes.Equal(got[:100], large[:100]) {
			t.Error(err)
		}
		if err := c.SkipData(); err != nil {
			t.Error(err)
		}
		next(9, 0)
		if _, err := c.ReadFrame(); err != io.EOF {
			t.Errorf("at the end: %v", err)
		}
	}
}

func TestMisusePanics(t *testing.T) {
	panics := func(what string, f func(c *Conn)) {
		t.Helper()
		c := received(t, piece(1, pattern(8)), 1000)
		if _, err := c.ReadFrame(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if recover() == nil {
				t.Errorf("%s went unnoticed", what)
			}
		}()
		f(c)
	}
	panics("data that was not taken", func(c *Conn) { c.ReadFrame() })
	panics("reading past the block", func(c *Conn) { c.ReadData(make([]byte, 9)) })
}

// A block goes straight into its destination: its bytes are asked for by reads as large as it is.
func TestDataThatBreaksOff(t *testing.T) {
	stream := piece(1, pattern(100))
	for name, take := range map[string]func(*Conn, int) error{
		"ReadData": func(c *Conn, n int) error { return c.ReadData(make([]byte, n)) },
		"SkipData": func(c *Conn, _ int) error { return c.SkipData() },
	} {
		c := received(t, stream[:len(stream)-10], len(stream))
		f, err := c.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if err := take(c, f.Data); !errors.Is(err, shoal.Unreachable) {
			t.Errorf("%s: %v, want %v", name, err, shoal.Unreachable)
		}
		if _, err := c.ReadFrame(); !errors.Is(err, shoal.Unreachable) {
			t.Errorf("a frame after %s had failed: %v, want %v", name, err, shoal.Unreachable)
		}
	}
}

func TestLargeReadsBypassBuffer(t *testing.T) {
	near, far := wiretest.Pipe()
	defer near.Close()
	defer far.Close()
	if _, err := far.Write(piece(1, pattern(shoal.MaxBlock))); err != nil {
		t.Fatal(err)
	}
	widest := &measuring{Conn: near}
	c := NewConn(widest)
	if _, err := c.ReadFrame(); err != nil {
		t.Fatal(err)
	}
	if err := c.ReadData(make([]byte, shoal.MaxBlock)); err != nil {
		t.Fatal(err)
	}
	if widest.largest < shoal.MaxBlock-readBuffer {
		t.Errorf("the largest read asked for %d bytes", widest.largest)
	}
}

type measuring struct {
	net.Conn
	largest int
}

func (m *measuring) Read(p []byte) (int, error) {
	m.largest = max(m.largest, len(p))
	return m.Conn.Read(p)
}

func TestCutShort(t *testing.T) {
	whole := piece(1, pattern(100))
	for n := 1; n < len(whole); n++ {
		c := received(t, whole[:n], n)
		f, err := c.ReadFrame()
		if err == nil {
			if n < HeaderSize+pieceHeadSize {
				t.Fatalf("a frame out of %d bytes", n)
			}
			if n%2 == 0 {
				err = c.ReadData(make([]byte, f.Data))
			} else {
				err = c.SkipData()
			}
		}
		if shoal.CodeOf(err) != shoal.Unreachable {
			t.Errorf("after %d of %d bytes: %v", n, len(whole), err)
		}
	}
	if _, err := received(t, nil, 1).ReadFrame(); err != io.EOF {
		t.Errorf("no frame at all: %v", err)
	}
}

// What the transport says comes through: a deadline, or its own closing, is not the other side's fault.
func TestTransportErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := wiretest.Pipe()
		c := NewConn(near)
		for _, sent := range []int{0, 3, HeaderSize, 4} { // at the start, within a header, within a body
			if _, err := far.Write(AppendRequest(nil, KindLeave, 1, &Leave{Handle: 1})[:sent]); err != nil {
				t.Fatal(err)
			}
			if err := near.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := c.ReadFrame(); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("with %d bytes there: %v", sent, err)
			}
			near, far = wiretest.Pipe()
			c = NewConn(near)
		}
		near.Close()
		if _, err := c.ReadFrame(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	})
}

// A body that fits is read where it lies, and one that does not leaves nothing behind.
func TestBodyBuffer(t *testing.T) {
	large := AppendReply(nil, KindHashes, 1, &HashesReply{Values: make([]shoal.Hash, 65536)})
	small := AppendReply(nil, KindHashes, 1, &HashesReply{Values: make([]shoal.Hash, 16)})
	c := received(t, bytes.Join([][]byte{small, large, bytes.Repeat(small, 100)}, nil), len(large))
	for range 2 {
		f, m, _, err := readAll(c)
		if err != nil {
			t.Fatal(err)
		}
		if n := 4 + 32*len(m.(*HashesReply).Values); n != len(f.Body) {
			t.Errorf("%d bytes are decoded of %d", n, len(f.Body))
		}
	}
	cost := allocated(func() {
		for range 100 {
			if f, err := c.ReadFrame(); err != nil || !bytes.Equal(f.Body, small[HeaderSize:]) {
				t.Fatal(err)
			}
		}
	})
	if cost > 1024 {
		t.Errorf("%d bytes are allocated to read small frames", cost)
	}
}

// A message that is used again is no different from a new one, whatever it had before, and costs the name.
func TestDecodeAgain(t *testing.T) {
	byName := &Lookup{Group: "g", Name: "a name"}
	byFile := &Lookup{Group: "g", File: shoal.FileID{1}}
	other := &Lookup{Group: "h", File: shoal.FileID{2}}
	used := new(Lookup)
	for _, m := range []*Lookup{byName, byFile, other, byName, other, byFile} {
		if err := Decode(m.Append(nil), used); err != nil || *used != *m {
			t.Errorf("%+v, %v, where %+v is to be decoded", used, err, m)
		}
	}
	if err := Decode((&Lookup{Group: "..", Name: "n"}).Append(nil), used); shoal.CodeOf(err) != shoal.BadRequest {
		t.Errorf("a bad group: %v", err)
	}
	for m, most := range map[*Lookup]float64{byName: 1, byFile: 0} {
		body := m.Append(nil)
		if n := testing.AllocsPerRun(1000, func() { _ = Decode(body, used) }); n > most {
			t.Errorf("%v allocations for %+v", n, m)
		}
	}
}

func TestErrorTexts(t *testing.T) {
	long := strings.Repeat("ß", 600)
	for name, row := range map[string]struct {
		err  error
		code shoal.Code
		text string
	}{
		"plain":            {shoal.Errorf(shoal.NotFound, "no file is named that"), shoal.NotFound, "no file is named that"},
		"an internal one":  {errors.New("/home/anna/secret: disk error"), shoal.Internal, "internal error; the other side's log has the details"},
		"a long one":       {shoal.Errorf(shoal.Limit, "%s", long), shoal.Limit, long[:1024]},
		"cut in a letter":  {shoal.Errorf(shoal.Limit, "a%s", long), shoal.Limit, "a" + long[:1022]},
		"not UTF-8":        {shoal.Errorf(shoal.Exists, "\xff is there"), shoal.Exists, "\ufffd is there"},
		"a terminal's":     {shoal.Errorf(shoal.Exists, "\x1b[2J\u202egone\nx"), shoal.Exists, "\ufffd[2J\ufffdgone\ufffdx"},
		"long, not UTF-8":  {shoal.Errorf(shoal.Limit, "\xff%s", long), shoal.Limit, "\ufffd" + long[:1020]},
		"of a later table": {shoal.Errorf(4000, "from the future"), shoal.Internal, "from the future"},
	} {
		f, m, _, err := readAll(received(t, AppendError(nil, KindLookup, 5, row.err), 1000))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := m.(*ErrorReply).Err()
		if f.ID != 5 || shoal.CodeOf(got) != row.code || got.Error() != row.text {
			t.Errorf("%s: %v, %v: %q, not %q", name, f.Header, shoal.CodeOf(got), got, row.text)
		}
		if again := NewBye(row.err).Err(); again.Error() != row.text {
			t.Errorf("%s: BYE says %q", name, again)
		}
	}
	withdraw := &Withdraw{Code: shoal.Changed, Text: "the file changed\a"}
	if err := withdraw.Err(); shoal.CodeOf(err) != shoal.Changed || err.Error() != "the file changed\ufffd" {
		t.Errorf("WITHDRAW says %q", err)
	}
}
