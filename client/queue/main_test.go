package queue

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"shoal"
)

// crashPath, in the environment, makes this program one that is to be killed: see TestKilled.
const crashPath = "SHOAL_QUEUE_TO_CRASH"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashPath); path != "" {
		crash(path)
	}
	goleak.VerifyTestMain(m)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, code shoal.Code) {
	t.Helper()
	if shoal.CodeOf(err) != code {
		t.Errorf("got error %v, want one of code %v", err, code)
	}
}

// crash queues downloads, every third of which it pauses and every fifth of which it cancels, and says what it was told is
// done, until it is killed.
func crash(path string) {
	fail := func(err error) {
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	ctx := context.Background()
	q, err := Open(Config{
		Path: path, AtOnce: 2, Log: zerolog.Nop(), Discard: func(Download) error { return nil },
		Fetch: func(ctx context.Context, _ Wish, _ Reporter) (Outcome, error) {
			<-ctx.Done()
			return Outcome{}, ctx.Err()
		},
	})
	fail(err)
	go q.Run(ctx)
	for i := 1; ; i++ {
		added, err := q.Add(ctx, []Wish{{Group: shoal.Public, Target: fmt.Sprint(os.Getpid(), i), Out: "/"}})
		fail(err)
		state := Queued
		if i%3 == 0 {
			_, err = q.Pause(ctx, added[0].ID)
			state = Paused
		} else if i%5 == 0 {
			_, err = q.Cancel(ctx, added[0].ID)
			state = Canceling
		}
		fail(err)
		fmt.Println(added[0].ID, state)
	}
}

// What was confirmed is there when the process has been killed, and what was not is as if it had never been, or there.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "downloads.db")
	confirmed := map[string]State{}
	for range 3 {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), crashPath+"="+path)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			var id uint64
			var state State
			if _, err := fmt.Sscan(lines.Text(), &id, &state); err != nil {
				t.Fatalf("it says %q: %v", lines.Text(), err)
			}
			confirmed[fmt.Sprint(id)] = state
			if n == 20 { // it goes on meanwhile
				must(t, cmd.Process.Kill())
			}
		}
		_ = cmd.Wait() // it was killed
	}
	j, err := openJournal(path)
	must(t, err)
	downloads, err := j.all()
	must(t, err)
	must(t, j.close())
	if len(confirmed) < 3*20 {
		t.Fatalf("%d downloads were confirmed", len(confirmed))
	}
	for _, d := range downloads {
		if state, ok := confirmed[fmt.Sprint(d.ID)]; ok && d.State != state {
			t.Errorf("download %d is %s, and was %s", d.ID, d.State, state)
		}
		delete(confirmed, fmt.Sprint(d.ID))
	}
	for id, state := range confirmed {
		if state != Canceling {
			t.Errorf("download %s, which was %s, is lost", id, state)
		}
	}
}
