package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the scripts in testdata: what the commands say, as typed. Each has a server (unless it begins with
// the line "# no server"), a home of its own, and the environment that a user would have set up.
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts (%v)", err)
	}
	for _, script := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(script), ".txtar"), func(t *testing.T) {
			text, err := os.ReadFile(script)
			if err != nil {
				t.Fatal(err)
			}
			w := bareWorld(t)
			if !strings.HasPrefix(string(text), "# no server\n") {
				w.startServer("127.0.0.1:0")
				w.enrolState("client", []string{"ls"})
			}
			testscript.Run(t, testscript.Params{
				Files: []string{script}, RequireExplicitExec: true, WorkdirRoot: w.dir,
				Setup: func(e *testscript.Env) error {
					e.Vars = append(e.Vars, w.environment("client")...)
					e.Setenv("HOME", e.WorkDir)
					return nil
				},
				Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
			})
		})
	}
}

// exits runs a command that must end with that exit code: exits CODE COMMAND…. Its output is there for stdout and
// stderr as that of exec is.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	// The shell says the code; what it runs says the rest.
	err := ts.Exec("sh", append([]string{"-c", `code=$1; shift; "$@"; got=$?; [ $got = $code ] || { echo "exit code $got, want $code"; exit 1; }`, "sh"}, args...)...)
	if err != nil {
		ts.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
}
