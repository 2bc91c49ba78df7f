package check

import (
	"net/netip"
	"testing"
	"time"
)

// What the tests of captures, which another package reads, share with those of scripts.

type Step = step

func OpenStep(conn int, at time.Time, to netip.AddrPort) Step {
	return step{conn: conn, at: at, open: &to}
}

func FrameStep(conn int, at time.Time, from Side, frame []byte) Step {
	return step{conn: conn, at: at, from: from, frame: frame}
}

func CloseStep(conn int, at time.Time, from Side) Step {
	return step{conn: conn, at: at, from: from, close: true}
}

var CheckSteps = checkSteps

// ChangeSome changes one frame of each kind in some of its bytes.
func ChangeSome(t *testing.T, steps []Step) {
	var found outcome
	seen := map[string]bool{}
	found.of(t, steps, func(name string) (every int) {
		if !seen[name] {
			every = 13
		}
		seen[name] = true
		return every
	})
	found.judge(t, legalInBrief)
}
