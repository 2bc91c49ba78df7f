package faults

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Service is a daemon of the program under test, which is ended and started again on the same address.
type Service struct {
	program string
	args    []string // but for --listen
	event   map[string]string
	cmd     *exec.Cmd
	stderr  *os.File
}

// StartService starts the program with args and --listen on a free port of loopback. It is ready when that returns. What
// it says on standard error goes to the file log.
func StartService(program, log string, args ...string) (*Service, error) {
	stderr, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("starting a service: %w", err)
	}
	s := &Service{program: program, args: args, stderr: stderr}
	if err := s.start("127.0.0.1:0"); err != nil {
		stderr.Close()
		return nil, err
	}
	return s, nil
}

func (s *Service) start(listen string) error {
	cmd := exec.Command(s.program, append(s.args, "--json", "--listen", listen)...)
	cmd.Stderr = s.stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt of the test is not its own
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("starting %v: %w", s.args, err)
	}
	s.cmd = cmd
	s.event = nil
	out := bufio.NewReader(stdout)
	line, err := out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &s.event)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%v wrote %q where an event was expected: %w; see %s", s.args, line, err, s.stderr.Name()), s.Kill())
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // ends with the process
	return nil
}

// Said is a value of the event by which the service told that it is ready.
func (s *Service) Said(key string) string { return s.event[key] }

// Kill ends it as a crash would. It is no error if it has ended.
func (s *Service) Kill() error { return s.end(syscall.SIGKILL) }

// Stop ends it as whoever runs it would.
func (s *Service) Stop() error { return s.end(syscall.SIGTERM) }

func (s *Service) end(sig syscall.Signal) error {
	if s.cmd == nil {
		return nil
	}
	err := s.cmd.Process.Signal(sig)
	_ = s.cmd.Process.Signal(syscall.SIGCONT)
	failed := s.cmd.Wait()
	s.cmd = nil
	if sig == syscall.SIGTERM && failed != nil {
		return fmt.Errorf("%v ended with %w; see %s", s.args, failed, s.stderr.Name())
	}
	return err
}

// Hang makes it stand still; Continue ends that.
func (s *Service) Hang() error { return s.cmd.Process.Signal(syscall.SIGSTOP) }

// Continue makes it go on.
func (s *Service) Continue() error { return s.cmd.Process.Signal(syscall.SIGCONT) }

// Restart starts it again after Kill or Stop, on the address it had.
func (s *Service) Restart(listen string) error { return s.start(listen) }

// DieEarly starts it again, and ends it as a crash would after some time, whether it was ready by then or not.
func (s *Service) DieEarly(listen string, after time.Duration) error {
	cmd := exec.Command(s.program, append(s.args, "--json", "--listen", listen)...)
	cmd.Stderr = s.stderr
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %v: %w", s.args, err)
	}
	time.Sleep(after)
	err := cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
	return err
}

// Close ends it for good.
func (s *Service) Close() error { return errors.Join(s.Kill(), s.stderr.Close()) }
