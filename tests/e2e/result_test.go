package e2e

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// result is what became of a process.
type result struct {
	process *process
	code    int // -1 after a signal
	stdout  string
	stderr  string
	events  []event
}

// ok fails the test unless the command succeeded.
func (r result) ok() result {
	r.process.t.Helper()
	return r.exit(0)
}

// exit fails the test unless the command ended with the code, and said each of the texts to stderr.
func (r result) exit(code int, texts ...string) result {
	r.process.t.Helper()
	if codes, err := documentedCodes(); code >= 0 && (err != nil || codes[code] == "") {
		r.process.t.Errorf("exit code %d is not documented (%v)", code, err)
	}
	if r.code != code {
		r.process.t.Fatalf("%s: exit code %d, want %d; stderr:\n%s", r.process.line, r.code, code, tail(r.stderr))
	}
	for _, text := range texts {
		if !strings.Contains(r.stderr, text) {
			r.process.t.Errorf("%s: the error does not say %q:\n%s", r.process.line, text, r.stderr)
		}
	}
	return r
}

// event returns the only event of a kind.
func (r result) event(kind string) event {
	r.process.t.Helper()
	var found []event
	for _, e := range r.events {
		if e.Event == kind {
			found = append(found, e)
		}
	}
	if len(found) != 1 {
		r.process.t.Fatalf("%s: %d events %q, want one; stdout:\n%s", r.process.line, len(found), kind, tail(r.stdout))
	}
	return found[0]
}

var errNever = errors.New("not so yet")

// eventually waits until holds returns nil, looking now and then: for what no process tells by itself.
func eventually(t *testing.T, holds func() error) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	timeout := time.After(patience)
	err := errNever
	for err != nil {
		if err = holds(); err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-timeout:
			t.Fatalf("still not so after %v: %v", patience, err)
		}
	}
}
