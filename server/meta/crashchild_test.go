package meta

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/rs/zerolog"
)

// openChild opens the state for a child that uses no more disk than it must.
func openChild(dir string) (*Store, error) {
	return Open(context.Background(), Options{
		Dir: dir, Log: zerolog.New(os.Stderr).Level(zerolog.ErrorLevel),
		Free: func(string) (uint64, error) { return minFree, nil },
	})
}

// prepareChild makes the users and groups of all clients.
func prepareChild(dir string) error {
	s, err := openChild(dir)
	if err != nil {
		return err
	}
	defer s.Close()
	var errs [crashClients]error
	var run sync.WaitGroup
	for c := range crashClients {
		run.Go(func() {
			apply := func(n, sequence int, m Mutation) {
				_, err := s.Apply(context.Background(), ID{Device: device(n), Sequence: uint64(sequence)}, m)
				errs[c] = errors.Join(errs[c], err)
			}
			apply(2*c, 1, &CreateUser{User: Username(fmt.Sprint("owner ", c)), Open: true, Password: "$"})
			apply(2*c+1, 1, &CreateUser{User: Username(fmt.Sprint("guest ", c)), Open: true, Password: "$"})
			apply(2*c, 2, &CreateGroup{Group: crashGroup(c)})
		})
	}
	run.Wait()
	return errors.Join(errs[:]...)
}

// checkChild compares all that is remembered with a journal.
func checkChild(dir, journalPath string) error {
	s, err := openChild(dir)
	if err != nil {
		return err
	}
	defer s.Close()
	j, err := readJournal(journalPath)
	if err != nil {
		return err
	}
	return j.check(context.Background(), s, 100)
}

// crashChild checks the state in a folder against a journal, says so, and then mutates until it is killed, saying what is
// acknowledged.
func crashChild(dir, journalPath string) error {
	s, err := openChild(dir)
	if err != nil {
		return err
	}
	j, err := readJournal(journalPath)
	if err != nil {
		return err
	}
	if err := j.check(context.Background(), s, 3); err != nil {
		return err
	}
	fmt.Println("ready")
	var run sync.WaitGroup
	for c := range crashClients {
		run.Go(func() {
			for i := len(j[c]); ; i++ {
				id, m := step(c, i)
				o, err := s.Apply(context.Background(), id, m)
				if err != nil {
					fmt.Fprintf(os.Stderr, "step %d of client %d: %v\n", i, c, err)
					return
				}
				// One write, so that lines are whole.
				os.Stdout.WriteString(fmt.Sprintln(c, i, o.Revision))
			}
		})
	}
	run.Wait()
	return nil
}
