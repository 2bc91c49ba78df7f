package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// asShoal makes this test program be shoal, so that tests start it as people do.
const asShoal = "SHOAL_TEST_AS_SHOAL"

func TestMain(m *testing.M) {
	if os.Getenv(asShoal) != "" {
		main()
	}
	os.Exit(m.Run())
}

// ran is how a process ended.
type ran struct {
	stdout, stderr string
	code           int
}

// runShoal starts shoal in dir with what it reads from standard input, and env besides the environment.
func runShoal(t *testing.T, dir, stdin string, env []string, args ...string) ran {
	t.Helper()
	return runProgram(t, os.Args[0], dir, stdin, append(env, asShoal+"=1", "GORACE=atexit_sleep_ms=0"), args...)
}

func runProgram(t *testing.T, program, dir, stdin string, env []string, args ...string) ran {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatalf("starting %s: %v", program, err)
	}
	return ran{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}
