package meta

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"shoal"
)

// crashClients is how many clients mutate at a time while the process is killed.
const crashClients = 32

// rounds returns how many rounds a test has: the number in an environment variable, or a few.
func rounds(t *testing.T, variable string, few int) int {
	text := os.Getenv(variable)
	if text == "" {
		return few
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s is %q, not a number", variable, text)
	}
	return n
}

// step is the i-th thing that a client does. Each client has a group with one member and a guest who comes and goes. In
// every fifth step the epoch rises, so that steps that are lost or done twice are seen.
func step(client, i int) (ID, Mutation) {
	g, guest := crashGroup(client), Username(fmt.Sprint("guest ", client))
	owner, other := ID{Device: device(2 * client), Sequence: uint64(i + 100)}, ID{Device: device(2*client + 1), Sequence: uint64(i + 100)}
	switch i % 5 {
	case 0:
		return owner, &Publish{Group: g, Name: crashName(i), Content: file(i)}
	case 1:
		return other, &RequestJoin{Group: g}
	case 2:
		return owner, &AcceptRequest{Group: g, User: guest}
	case 3:
		return other, &Publish{Group: g, Name: crashName(i - 3), Content: file(i - 3)}
	default:
		return owner, &RemoveMember{Group: g, User: guest}
	}
}

func crashGroup(client int) shoal.Group { return shoal.Group(fmt.Sprint("group ", client)) }
func crashName(i int) shoal.Name        { return shoal.Name(fmt.Sprint("name ", i)) }

// journal is what was acknowledged: the revisions of each client's steps, from the first on.
type journal [crashClients][]uint64

func (j *journal) write(w io.Writer) error {
	b := bufio.NewWriter(w)
	for client, revisions := range j {
		for i, r := range revisions {
			fmt.Fprintln(b, client, i, r)
		}
	}
	return b.Flush()
}

// add takes a line of what a child says.
func (j *journal) add(line string) error {
	var client, i int
	var revision uint64
	if _, err := fmt.Sscan(line, &client, &i, &revision); err != nil || client < 0 || client >= crashClients || i != len(j[client]) {
		return fmt.Errorf("a child says %q: %v", line, err)
	}
	j[client] = append(j[client], revision)
	return nil
}

// save writes the journal to a file, and returns its path.
func (j *journal) save(t *testing.T) string {
	t.Helper()
	path := t.TempDir() + "/journal"
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(j.write(f), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func readJournal(path string) (*journal, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	j := new(journal)
	for line := range strings.Lines(string(text)) {
		if err := j.add(line); err != nil {
			return nil, err
		}
	}
	return j, nil
}

// steps is how many were acknowledged.
func (j *journal) steps() (n int) {
	for _, c := range j {
		n += len(c)
	}
	return n
}

// check compares the state with what was acknowledged; each client's next step may be done, too. The last steps of each
// are asked for again, and must be answered as before.
func (j *journal) check(ctx context.Context, s *Store, last int) error {
	again := make([]error, crashClients)
	var run sync.WaitGroup
	for c, revisions := range j {
		run.Go(func() {
			for i := max(0, len(revisions)-last); i < len(revisions); i++ {
				id, m := step(c, i)
				o, err := s.Apply(ctx, id, m)
				if err != nil || !o.Repeated || o.Revision != revisions[i] {
					again[c] = fmt.Errorf("step %d of client %d, acknowledged at %d, asked again: %+v, %v", i, c, revisions[i], o, err)
				}
			}
		})
	}
	run.Wait()
	errs := again
	e, err := s.client.Get(ctx, s.full(versionKey))
	if err != nil {
		return err
	}
	all := newState()
	if err := all.Replace(s.list(ctx, e.Header.Revision), 0); err != nil {
		return err
	}
	for c := range crashClients {
		n := len(j[c])
		if before, after := expect(c, n), expect(c, n+1); !before.matches(all) && !after.matches(all) {
			errs = append(errs, fmt.Errorf("client %d after %d steps: want %+v or %+v, there is %v, %q", c, n, before, after,
				all.at(groupKey(crashGroup(c))), all.keys(memberKey(crashGroup(c), ""))))
		}
	}
	return errors.Join(errs...)
}

// expected is how a client's group is after some steps.
type expected struct {
	group           shoal.Group
	epoch           uint64
	objects         int
	shares          int
	request, member bool // of the guest
}

func expect(client, steps int) expected {
	x := expected{group: crashGroup(client), epoch: 1 + uint64(steps/5), objects: (steps + 4) / 5, shares: (steps + 1) / 5}
	x.request = steps%5 == 2
	x.member = steps%5 == 3 || steps%5 == 4
	return x
}

func (x expected) matches(all *state) bool {
	g, is := all.at(groupKey(x.group)).(*Group)
	members := 1
	if x.member {
		members++
	}
	requests := 0
	if x.request {
		requests++
	}
	return is && g.Epoch == x.epoch && len(all.keys(objectKey(x.group, ""))) == x.objects && len(all.keys("s/"+key(x.group)+"/")) == x.shares &&
		len(all.keys(memberKey(x.group, ""))) == members && len(all.keys(requestKey(x.group, ""))) == requests
}

// crashRound runs a child on the folder and ends it by cut after some time. It returns false where the test has failed.
func crashRound(t *testing.T, dir string, j *journal, cut func(kill func())) bool {
	t.Helper()
	c := childCommand(t, "crash", dir, j.save(t))
	var errs strings.Builder
	c.Stderr = &errs
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	kill := sync.OnceFunc(func() { c.Process.Kill() })
	defer kill()
	lines := bufio.NewScanner(out)
	if lines.Scan() && lines.Text() == "ready" {
		var cutting sync.WaitGroup
		cutting.Go(func() {
			time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond) // the random moment
			cut(kill)
		})
		for lines.Scan() {
			if err := j.add(lines.Text()); err != nil {
				t.Error(err)
			}
		}
		cutting.Wait()
	} else {
		kill()
	}
	c.Wait()
	if errs.Len() > 0 {
		t.Errorf("the child says: %s", errs.String())
	}
	return !t.Failed()
}

// TestKill kills the process at random moments: what was acknowledged is there, once.
func TestKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runChild(t, "prepare", dir)
	j := new(journal)
	n := rounds(t, "SHOAL_KILLS", 20)
	for range n {
		if !crashRound(t, dir, j, func(kill func()) { kill() }) {
			return
		}
	}
	runChild(t, "check", dir, j.save(t))
	t.Logf("%d steps acknowledged in %d rounds", j.steps(), n)
	if j.steps() < 10*n {
		t.Errorf("only %d steps in %d rounds", j.steps(), n)
	}
}
