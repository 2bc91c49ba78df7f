package main

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"shoal"
)

// restoreOnSignal lets Ctrl-C end a process that waits for a secret to be typed, and leaves a terminal that shows what is
// typed. stop must be called.
func restoreOnSignal(fd int, state *term.State) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-signals:
			_ = term.Restore(fd, state) // the process ends either way
			os.Exit(exitCodes[shoal.Canceled])
		case <-done:
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
		<-ended
	}
}
