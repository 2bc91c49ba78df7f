package sender

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/rpclog"
)

var testKey = &rpclog.Key{4, 5, 6}

func TestWriterDelivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, testKey)
		var c console
		w := mustStart(t, f.config(t.TempDir(), &c))
		logger := zerolog.New(w).With().Timestamp().Logger()
		logger.Warn().Str(rpclog.KeyUser, "ada").Int("n", 3).Msg("first")
		time.Sleep(2 * flushEvery)
		got := f.received(w)
		if len(got) != 1 || got[0].Message != "first" || got[0].User != "ada" || got[0].Level != rpclog.Warn || len(got[0].Fields) != 1 {
			t.Errorf("stored %+v", got)
		}
		wantCounts(t, w, Counts{Sent: 1, Stored: 1})
		time.Sleep(time.Hour)
		logger.Info().Msg("after a while")
		time.Sleep(quietDrain)
		wantCounts(t, w, Counts{Sent: 2, Stored: 2})
		logger.Info().Msg("at the end")
		must(t, closeNow(w))
		logger.Info().Msg("too late")
		wantCounts(t, w, Counts{Sent: 4, Stored: 3, Lost: 1})
		if !f.verified || f.dials > 2 || c.text.Len() > 0 {
			t.Errorf("verified: %v, %d connections, console: %s", f.verified, f.dials, c.text.String())
		}
	})
}

func TestWriterSendsInBulk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, testKey)
		var c console
		w := mustStart(t, f.config(t.TempDir(), &c))
		const lines = 12_000
		for i := 0; i < lines; i += 1000 {
			log(w, i, i+1000)
			time.Sleep(time.Millisecond)
		}
		must(t, closeNow(w))
		lost := checkNumbers(t, f.received(w), lines)
		wantCounts(t, w, Counts{Sent: lines, Stored: uint64(lines - lost), Lost: uint64(lost)})
		if n := len(f.order); n > lines/500 {
			t.Errorf("%d batches for %d lines", n, lines)
		}
	})
}

// What the ring has no room for is counted, and told in its place.
func TestWriterOverflows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, testKey)
		var c console
		w := mustStart(t, f.config(t.TempDir(), &c))
		const lines = 60_000
		log(w, 0, lines) // faster than they are read
		must(t, closeNow(w))
		lost := checkNumbers(t, f.received(w), lines)
		wantCounts(t, w, Counts{Sent: lines, Stored: uint64(lines - lost), Lost: uint64(lost)})
		if (lost > 0) != (c.told("being lost") == 1) || (lost > 0) != (c.told("were lost") == 1) {
			t.Errorf("%d lost; console: %s", lost, c.text.String())
		}
	})
}

// A service that hangs with a batch may store it much later, when the batch has been sent again.
// A process that ends leaves to the next what it could not send; that goes first, as the earlier process's.
// With a full spool lines are lost, and told of where they were, however often that happens.
// That lines were lost is told although the process ends with the spool full.
func TestCloseWithNobodyThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, testKey)
		f.down = true
		var c console
		w := mustStart(t, f.config("", &c))
		log(w, 0, 9)
		start := time.Now()
		err := closeNow(w)
		if err == nil || !strings.Contains(err.Error(), "9 entries") || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		wantCounts(t, w, Counts{Sent: 9, Lost: 9})
		if err := w.Close(t.Context()); err == nil {
			t.Error("closed again, it says nothing of what was lost")
		}
	})
}

func TestCloseWithAServiceThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, testKey)
		stuck := make(chan struct{})
		defer close(stuck)
		f.answer = func(*rpclog.Batch, func() rpclog.Result) ([]byte, error) {
			<-stuck
			return nil, errors.New("too late")
		}
		var c console
		w := mustStart(t, f.config(t.TempDir(), &c))
		log(w, 0, 9)
		time.Sleep(time.Second)
		start := time.Now()
		must(t, closeNow(w))
		if took := time.Since(start); took != time.Second {
			t.Errorf("closing took %v", took)
		}
		wantCounts(t, w, Counts{Sent: 9, Spooled: 9})
	})
}

// The disk takes nothing any more: what does not find room in memory is lost and counted.
func TestOpenRefuses(t *testing.T) {
	for address, code := range map[string]shoal.Code{
		"192.0.2.1:7404": shoal.Denied, "log.example:7404": shoal.Denied,
		"127.0.0.1": shoal.BadRequest, ":7404": shoal.BadRequest, "": shoal.BadRequest, "localhost:": shoal.BadRequest,
	} {
		if _, err := Open(Config{Service: address}); !errors.Is(err, code) {
			t.Errorf("%q: %v, want %v", address, err, code)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	if _, err := Open(Config{Service: "[::1]:7404", Spool: filepath.Join(file, "spool")}); err == nil {
		t.Error("opened with a spool in a file")
	}
}

// Beyond loopback it is TLS with the key of the service, or nothing.
func TestTLSBeyondLoopback(t *testing.T) {
	for _, own := range []*rpclog.Key{testKey, {7}} {
		f := startFake(t, testKey)
		var c console
		config := f.config("", &c)
		config.Service, config.Key = "192.0.2.1:7404", own
		w := mustStart(t, config)
		log(w, 0, 3)
		ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		err := w.Close(ctx)
		cancel()
		if trusted := own == testKey; (err == nil) != trusted || f.secure != trusted || len(f.received(w)) > 0 != trusted {
			t.Errorf("the right key: %v; %v, over TLS: %v, console: %s", trusted, err, f.secure, c.text.String())
		}
	}
}

func TestAnotherKeyIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, testKey)
		var c console
		config := f.config(t.TempDir(), &c)
		config.Key = &rpclog.Key{7}
		w := mustStart(t, config)
		for i := range 5 {
			log(w, i, i+1)
			time.Sleep(time.Second)
		}
		must(t, closeNow(w))
		wantCounts(t, w, Counts{Sent: 5, Stored: 5})
		if c.told("unverified") != 1 {
			t.Errorf("console: %s", c.text.String())
		}
	})
}
