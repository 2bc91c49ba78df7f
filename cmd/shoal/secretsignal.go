package main

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"shoal"
)

// hideTyping makes a terminal not show what is typed, until show is called or the process is interrupted.
func hideTyping(fd int) (show func(), err error) {
	before, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	stop := restoreOnSignal(fd, before)
	show = func() {
		stop()
		_ = term.Restore(fd, before) // else the terminal is gone
	}
	hidden, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err == nil {
		hidden.Lflag = hidden.Lflag&^unix.ECHO | unix.ICANON | unix.ISIG
		hidden.Iflag |= unix.ICRNL
		err = unix.IoctlSetTermios(fd, unix.TCSETS, hidden)
	}
	if err != nil {
		show()
		return nil, err
	}
	return show, nil
}

// restoreOnSignal lets Ctrl-C and the like end a process that waits for a secret to be typed, and leaves a terminal that
// shows what is typed. stop must be called.
func restoreOnSignal(fd int, state *term.State) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP)
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
