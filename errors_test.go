package shoal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"testing"
)

func TestErrorIsItsCode(t *testing.T) {
	err := Errorf(NotFound, "looking up %q: no such name", "a")
	for depth := range 3 {
		if !errors.Is(err, NotFound) || errors.Is(err, Denied) || CodeOf(err) != NotFound {
			t.Errorf("wrapped %d times: %v has code %v", depth, err, CodeOf(err))
		}
		err = fmt.Errorf("getting a file: %w", err)
	}
	var typed *Error
	if !errors.As(err, &typed) || typed.Text != `looking up "a": no such name` {
		t.Errorf("%v", typed)
	}
}

func TestErrorfWraps(t *testing.T) {
	one := Errorf(Unreachable, "reading: %w", fs.ErrClosed)
	if !errors.Is(one, fs.ErrClosed) || one.Error() != "reading: file already closed" {
		t.Error(one)
	}
	two := Errorf(Unreachable, "reading: %w, then closing: %w", io.ErrUnexpectedEOF, fs.ErrClosed)
	if !errors.Is(two, io.ErrUnexpectedEOF) || !errors.Is(two, fs.ErrClosed) {
		t.Errorf("%v does not wrap both", two)
	}
	outer := Errorf(Busy, "asking: %w", Errorf(Limit, "too many"))
	if CodeOf(outer) != Busy || !errors.Is(outer, Busy) || !errors.Is(outer, Limit) {
		t.Errorf("%v has code %v", outer, CodeOf(outer))
	}
	if none := Errorf(Busy, "later"); errors.Unwrap(none) != nil {
		t.Errorf("it wraps %v", errors.Unwrap(none))
	}
}

func TestCodeOf(t *testing.T) {
	for _, row := range []struct {
		err  error
		want Code
	}{
		{NotHeld, NotHeld},
		{fmt.Errorf("asking: %w", NotHeld), NotHeld},
		{context.Canceled, Canceled},
		{fmt.Errorf("asking: %w", context.Canceled), Canceled},
		{context.DeadlineExceeded, Unreachable},
		{os.ErrDeadlineExceeded, Unreachable},
		{fmt.Errorf("reading: %w", os.ErrDeadlineExceeded), Unreachable},
		{Errorf(Corrupt, "a piece: %w", context.Canceled), Corrupt},
		{errors.New("anything"), Internal},
		{errors.Join(errors.New("anything"), NoSpace), NoSpace},
	} {
		if got := CodeOf(row.err); got != row.want {
			t.Errorf("%v has code %v, not %v", row.err, got, row.want)
		}
	}
}

func TestCodeNames(t *testing.T) {
	seen := map[string]bool{}
	for c := range Code(30) {
		name := c.Error()
		if c.Known() != (c >= Internal && c <= StaleRequest) || seen[name] {
			t.Errorf("%d is named %q, known: %v", c, name, c.Known())
		}
		seen[name] = true
	}
	if got := Code(4000000000).Error(); got != "code-4000000000" {
		t.Error(got)
	}
}
