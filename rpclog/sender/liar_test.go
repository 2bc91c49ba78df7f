package sender

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shoal/rpclog"
	"shoal/rpclog/oncrpc"
	"shoal/xdr"
)

// Services that answer wrongly are as good as away: nothing counts as stored, and it is all sent when one answers
// rightly.
func TestLyingServices(t *testing.T) {
	result := func(change func(*rpclog.Result)) func(*fake) {
		return func(f *fake) {
			f.answer = func(b *rpclog.Batch, _ func() rpclog.Result) ([]byte, error) {
				r := rpclog.Result{Stored: uint32(len(b.Entries)), Mark: b.First + uint64(len(b.Entries)) - 1}
				change(&r)
				return rpclog.AppendResult(nil, r), nil
			}
		}
	}
	reply := func(body []byte, err error) func(*fake) {
		return func(f *fake) {
			f.answer = func(*rpclog.Batch, func() rpclog.Result) ([]byte, error) { return body, err }
		}
	}
	raw := func(talk func(net.Conn)) func(*fake) {
		return func(f *fake) {
			f.raw = func(c net.Conn) {
				defer c.Close()
				talk(c)
			}
		}
	}
	for name, misbehave := range map[string]func(*fake){
		"stored less":             result(func(r *rpclog.Result) { r.Stored-- }),
		"stored more":             result(func(r *rpclog.Result) { r.Stored++ }),
		"counts that overflow":    result(func(r *rpclog.Result) { r.Stored, r.Duplicates = r.Stored-1, 1<<32-1 }),
		"mark too low":            result(func(r *rpclog.Result) { r.Mark-- }),
		"no space":                result(func(r *rpclog.Result) { r.Status = rpclog.NoSpace }),
		"cannot write":            result(func(r *rpclog.Result) { r.Status = rpclog.IO }),
		"busy":                    result(func(r *rpclog.Result) { r.Status = rpclog.Busy }),
		"unknown status":          result(func(r *rpclog.Result) { r.Status = 99 }),
		"no result":               reply(nil, nil),
		"result cut short":        reply(make([]byte, 12), nil),
		"result too long":         reply(make([]byte, 1000), nil),
		"far too long":            reply(make([]byte, 1<<20), nil),
		"system error":            reply(nil, errors.New("no")),
		"no such procedure":       reply(nil, oncrpc.ErrProcUnavail),
		"another program":         reply(nil, &oncrpc.AcceptError{Stat: oncrpc.ProgUnavail}),
		"hangs up":                raw(func(net.Conn) {}),
		"hangs up after the call": raw(func(c net.Conn) { _, _ = io.ReadFull(c, make([]byte, 100)) }),
		"says nothing":            raw(func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }),
		"reads nothing":           raw(func(net.Conn) { time.Sleep(time.Hour) }),
		"speaks HTTP": raw(func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
			_, _ = io.Copy(io.Discard, c)
		}),
		"fragments without end": raw(func(c net.Conn) {
			for err := error(nil); err == nil; {
				_, err = c.Write(append(xdr.AppendUint32(nil, 16), make([]byte, 16)...))
			}
		}),
		"a reply that drips": raw(func(c net.Conn) {
			_, err := c.Write(xdr.AppendUint32(nil, 1<<31|4000))
			for ; err == nil; _, err = c.Write([]byte{0}) {
				time.Sleep(time.Second)
			}
		}),
		"zeros without end": raw(func(c net.Conn) {
			for err := error(nil); err == nil; {
				_, err = c.Write(make([]byte, 4096))
			}
		}),
		"random bytes": raw(func(c net.Conn) {
			_, _ = c.Write(bytes.Repeat([]byte("\x80\x00\x00\x1c\x17\x99\x01"), 50))
			_, _ = io.Copy(io.Discard, c)
		}),
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testLiar(t, misbehave) })
		})
	}
}

func testLiar(t *testing.T, misbehave func(*fake)) {
	f := startFake(t, nil)
	misbehave(f)
	var c console
	w := mustStart(t, f.config(t.TempDir(), &c))
	const lines = 40
	for i := range lines {
		log(w, i, i+1)
		time.Sleep(time.Second)
	}
	if got := w.Counts(); got.Stored != 0 || got.Lost != 0 || got.Sent != lines || got.Spooled < lines-1 {
		t.Errorf("counts with a liar: %+v", got)
	}
	if c.told("does not take entries") != 1 {
		t.Errorf("console: %s", c.text.String())
	}
	f.set(func() { f.answer, f.raw = nil, nil })
	time.Sleep(2 * (callTimeout + lastPause))
	checkNumbers(t, f.received(w), lines)
	wantCounts(t, w, Counts{Sent: lines, Stored: lines})
	must(t, closeNow(w))
}

// A batch that is refused whatever happens is lost alone, and told of in its place.
func TestRefusedBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, nil)
		f.answer = func(b *rpclog.Batch, honest func() rpclog.Result) ([]byte, error) {
			for _, e := range b.Entries {
				if len(e.Fields) > 0 && e.Fields[0].Value == "5" {
					return nil, oncrpc.ErrGarbageArgs
				}
			}
			return rpclog.AppendResult(nil, honest()), nil
		}
		var c console
		w := mustStart(t, f.config(t.TempDir(), &c))
		const lines = 100
		for i := range lines {
			log(w, i, i+1)
			time.Sleep(flushEvery)
		}
		time.Sleep(lastPause)
		lost := checkNumbers(t, f.received(w), lines)
		wantCounts(t, w, Counts{Sent: lines, Stored: uint64(lines - lost), Lost: uint64(lost)})
		if lost == 0 || lost > 3 || c.told("malformed") != 1 {
			t.Errorf("%d lost; console: %s", lost, c.text.String())
		}
		must(t, closeNow(w))
	})
}

// A service that calls everything malformed is away: it does not get to empty the spool.
func TestAllIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, nil)
		f.answer = func(*rpclog.Batch, func() rpclog.Result) ([]byte, error) { return nil, oncrpc.ErrGarbageArgs }
		var c console
		w := mustStart(t, f.config(t.TempDir(), &c))
		const lines = 100
		for i := range lines {
			log(w, i, i+1)
			time.Sleep(time.Second)
		}
		f.set(func() { f.answer = nil })
		time.Sleep(2 * lastPause)
		lost := checkNumbers(t, f.received(w), lines)
		wantCounts(t, w, Counts{Sent: lines, Stored: uint64(lines - lost), Lost: uint64(lost)})
		if lost > 3 || c.told("does not take entries") != 1 {
			t.Errorf("%d lost; console: %s", lost, c.text.String())
		}
		must(t, closeNow(w))
	})
}
