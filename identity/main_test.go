package identity

import (
	"errors"
	"testing"

	"go.uber.org/goleak"

	"shoal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wantCode fails the test unless err has the code.
func wantCode(t *testing.T, err error, code shoal.Code) {
	t.Helper()
	if !errors.Is(err, code) {
		t.Errorf("got error %v, want one of code %v", err, code)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
