package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"shoal"
	"shoal/identity"
	"shoal/server/passwords"
	"shoal/wire"
)

// secrets is where passwords and codes come from: a file, the terminal without echo, or the lines of standard input. Never
// the command line, which others on the machine can read.
type secrets struct {
	passwordFile string
	lines        *bufio.Reader // of standard input; nil before the first
}

func (s *secrets) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.passwordFile, "password-file", "", "read the password from the first line of this file; \"-\" is standard input")
}

// secretLimit is more than the longest password has, in bytes.
const secretLimit = 4096

// password asks for the user's password; twice where it is a new one and a person types it.
func (s *secrets) password(user string, fresh bool) (wire.Secret, error) {
	secret, err := s.readPassword(user, fresh)
	if err != nil {
		return nil, err
	}
	if err := passwords.CheckRules(secret); err != nil {
		return nil, err
	}
	return secret, nil
}

func (s *secrets) readPassword(user string, fresh bool) ([]byte, error) {
	if s.passwordFile != "" && s.passwordFile != "-" {
		secrets, err := s.fromFile("the password")
		if err != nil {
			return nil, err
		}
		return secrets[0], nil
	}
	if !s.asks() {
		return s.line("the password")
	}
	prompt := fmt.Sprintf("Password of %s: ", shoal.Printable(user))
	if fresh {
		return askTwice(prompt)
	}
	return ask(prompt)
}

// asks reports whether a person types passwords.
func (s *secrets) asks() bool { return s.passwordFile == "" && onTerminal() }

// fromFile reads the first lines of the password file, one for each name.
func (s *secrets) fromFile(names ...string) (lines [][]byte, err error) {
	f, err := os.Open(s.passwordFile)
	if err != nil {
		return nil, shoal.Errorf(shoal.BadRequest, "--password-file: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	r := bufio.NewReaderSize(f, secretLimit)
	for _, name := range names {
		line, err := readSecretLine(r, name+" in the password file")
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// change asks for the password up to now and a new one, which a person types twice. The caller clears both.
func (s *secrets) change() (was, next wire.Secret, err error) {
	const first, second = "the password up to now", "the new password"
	switch {
	case s.asks():
		if was, err = ask("Password up to now: "); err == nil {
			next, err = askTwice("New password: ")
		}
	case s.passwordFile != "" && s.passwordFile != "-":
		var lines [][]byte
		if lines, err = s.fromFile(first, second); err == nil {
			was, next = lines[0], lines[1]
		}
	default:
		if was, err = s.line(first); err == nil {
			next, err = s.line(second)
		}
	}
	for _, secret := range []wire.Secret{was, next} {
		if err == nil {
			err = passwords.CheckRules(secret)
		}
	}
	if err == nil && bytes.Equal(was, next) {
		err = shoal.Errorf(shoal.BadRequest, "the new password is the one up to now; nothing was done")
	}
	return was, next, err
}

// askTwice asks for a new secret.
func askTwice(prompt string) ([]byte, error) {
	secret, err := ask(prompt)
	if err != nil {
		return nil, err
	}
	again, err := ask("The same again: ")
	if err != nil {
		return nil, err
	}
	defer clear(again)
	if !bytes.Equal(secret, again) {
		clear(secret)
		return nil, shoal.Errorf(shoal.BadRequest, "the two passwords differ; nothing was done")
	}
	return secret, nil
}

// code asks for the code that makes a user: none, or one as typed.
func (s *secrets) code() (wire.Secret, error) {
	var typed []byte
	var err error
	if onTerminal() {
		typed, err = ask("Code, of an invite or the server's first start (empty if anybody may register): ")
	} else if typed, err = s.line("the code"); errors.Is(err, io.EOF) {
		typed, err = nil, nil
	}
	if typed = bytes.TrimSpace(typed); err != nil || len(typed) == 0 {
		return nil, err
	}
	code, err := identity.ParseCode(string(typed))
	return wire.Secret(code), err
}

// line is the next line of standard input.
func (s *secrets) line(what string) ([]byte, error) {
	if s.lines == nil {
		s.lines = bufio.NewReaderSize(os.Stdin, secretLimit)
	}
	return readSecretLine(s.lines, what+" on standard input")
}

// readSecretLine reads a line without its end. The error is io.EOF, with code BadRequest, where there is none.
func readSecretLine(r *bufio.Reader, what string) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	defer clear(line)
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, shoal.Errorf(shoal.BadRequest, "%s has more than %d bytes in a line", what, secretLimit)
	case err != nil && (err != io.EOF || len(line) == 0):
		return nil, shoal.Errorf(shoal.BadRequest, "%s is missing: %w", what, err)
	}
	return bytes.TrimRight(bytes.Clone(line), "\r\n"), nil
}

// onTerminal reports whether a person can be asked.
func onTerminal() bool {
	return term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stderr.Fd()))
}

// ask reads a line from the terminal, which does not show it.
func ask(prompt string) ([]byte, error) {
	fd := int(os.Stdin.Fd())
	show, err := hideTyping(fd)
	if err != nil {
		return nil, fmt.Errorf("asking on the terminal: %w", err)
	}
	defer show()
	// Only now, so that nothing shows of what is typed at once.
	fmt.Fprint(os.Stderr, prompt)
	defer fmt.Fprintln(os.Stderr)
	return typedLine()
}

// typedLine reads a line from the terminal without its end. (What package term has for it never returns from Ctrl-D.)
func typedLine() ([]byte, error) {
	line := make([]byte, 0, secretLimit)
	for {
		n, err := os.Stdin.Read(line[len(line):cap(line)])
		line = line[:len(line)+n]
		if bytes.HasSuffix(line, []byte{'\n'}) {
			return bytes.TrimRight(line, "\r\n"), nil
		}
		if len(line) == cap(line) {
			err = shoal.Errorf(shoal.BadRequest, "more than %d bytes were typed", secretLimit)
		} else if err == io.EOF {
			err = shoal.Errorf(shoal.Canceled, "nothing was typed, so nothing is done")
		}
		if err != nil {
			clear(line)
			return nil, err
		}
	}
}
