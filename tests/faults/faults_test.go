package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// program is the shoal that runs as a service.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "shoal-faults-")
	if err == nil {
		program = filepath.Join(dir, "shoal")
		var said []byte
		if said, err = exec.Command("go", "build", "-o", program, "shoal/cmd/shoal").CombinedOutput(); err != nil {
			err = fmt.Errorf("building shoal: %w\n%s", err, said)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := errors.Join(goleak.Find(), os.RemoveAll(dir)); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// lines is how many requests a load makes, each of which is a line of the log.
const lines = 100_000

// Whatever happens to the log service in the middle of a load, no client notices, and in the end every line is stored
// once or counted as lost.
func TestLogService(t *testing.T) {
	underLoad(t, func(w *World) (*Service, *Proxy) { return w.Log, w.LogProxy })
}

// Nor does it matter what happens to the enrichment service.
func TestEnrichmentService(t *testing.T) {
	underLoad(t, func(w *World) (*Service, *Proxy) { return w.Soap, w.SoapProxy })
}

// underLoad does everything to a service that can be done to it, one after the other, while a load goes on.
func underLoad(t *testing.T, of func(*World) (*Service, *Proxy)) {
	t.Parallel()
	w, err := Open(program, t.TempDir())
	must(t, err)
	defer func() { must(t, w.Close()) }()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	load, err := w.NewLoad(ctx)
	must(t, err)
	defer load.Close()
	service, proxy := of(w)
	address := service.Said("address")
	steps := []func() error{
		service.Hang, service.Continue,
		service.Kill, func() error { return service.Restart(address) },
		func() error { proxy.Swallow(true); return nil }, func() error { proxy.Swallow(false); return nil },
		service.Stop, func() error { return service.Restart(address) },
	}
	due := make(chan func() error, len(steps))
	failed := make(chan error, 1)
	go func() {
		var err error
		for step := range due {
			err = errors.Join(err, step())
		}
		failed <- err
	}()
	took, err := load.Run(ctx, lines, func(percent int) {
		if n := percent / 10; percent%10 == 0 && 0 < n && n <= len(steps) {
			due <- steps[n-1]
		}
	})
	must(t, err)
	close(due)
	must(t, <-failed)
	load.Close()
	must(t, w.Settle(ctx))
	counts, err := w.EndServer()
	must(t, err)
	must(t, w.Log.Stop())
	stored, err := ReadAccount(w.path("rpclog"), w.device)
	must(t, err)
	t.Logf("%v, %+v, %+v", took, counts, stored)
	if counts.Sent < lines || counts.Sent != counts.Stored+counts.Lost {
		t.Errorf("of %d requests: %+v", lines, counts)
	}
	if stored.Entries != counts.Stored || stored.Lost != counts.Lost || stored.Senders != 1 {
		t.Errorf("the sender counts %+v, and the service has %+v", counts, stored)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
