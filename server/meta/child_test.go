package meta

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// childEnv has a child's task and its arguments, separated by spaces: this program runs itself, so that it can be killed.
const childEnv = "SHOAL_META_CHILD"

// child carries out a task in a process of its own.
func child(task string) {
	args := strings.Split(task, " ")
	err := fmt.Errorf("there is no task %q", task)
	switch args[0] {
	case "large":
		err = openLarge(args[1])
	case "prepare":
		err = prepareChild(args[1])
	case "crash":
		err = crashChild(args[1], args[2])
	case "check":
		err = checkChild(args[1], args[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// childCommand prepares a child. What it says on stderr is an error of the test.
func childCommand(t testing.TB, args ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), self)
	c.Env = append(os.Environ(), childEnv+"="+strings.Join(args, " "))
	return c
}

// runChild returns what a child writes.
func runChild(t testing.TB, args ...string) string {
	t.Helper()
	c := childCommand(t, args...)
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil || errs.Len() > 0 {
		t.Fatalf("a child: %v, and says %q", err, errs.String())
	}
	return string(out)
}
