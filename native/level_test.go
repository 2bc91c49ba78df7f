package native

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// startWith returns what this test program, started with SHOAL_SIMD set to value, says of its level.
func startWith(t *testing.T, value string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), printVariable+"=level", levelVariable+"="+value, "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestForcedLevels(t *testing.T) {
	levels := Levels()
	if levels[len(levels)-1] != "go" || len(slices.Compact(slices.Sorted(slices.Values(levels)))) != len(levels) {
		t.Errorf("levels are %v: the twin must be the last, and none twice", levels)
	}
	for _, level := range levels {
		if got, want := startWith(t, level), level+" <nil>"; got != want {
			t.Errorf("with %s=%s the program says %q, want %q", levelVariable, level, got, want)
		}
	}
	if got, want := startWith(t, ""), levels[0]+" <nil>"; got != want {
		t.Errorf("without a forced level the program says %q, want %q", got, want)
	}
}

func TestUnknownLevelNamesTheAvailableOnes(t *testing.T) {
	got := startWith(t, "sse9")
	if !strings.HasPrefix(got, Levels()[0]+" ") {
		t.Errorf("with an unknown level the program says %q, want it to use %s", got, Levels()[0])
	}
	for _, word := range append(Levels(), levelVariable, `"sse9"`) {
		if !strings.Contains(got, word) {
			t.Errorf("the error %q does not contain %s", got, word)
		}
	}
}
