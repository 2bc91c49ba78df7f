package main

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"shoal"
)

// Passwords and codes are typed without being shown, new passwords twice.
func TestTyped(t *testing.T) {
	h := newHousehold(t)
	pin := []string{"--pin", h.realm.String()}

	ann := h.onTerminal("ann", append(pin, "user", "create", "ann")...)
	ann.asked("Password of ann: ")
	ann.types(annsPassword + "\r")
	ann.asked("The same again: ")
	ann.types(annsPassword + "\r")
	ann.asked("anybody may register): ")
	ann.types(strings.ToUpper(h.firstCode) + "\r")
	if shown := ann.ends(0); !strings.Contains(shown, "ann is a user now") || strings.Contains(strings.ToLower(shown), h.firstCode[:9]) {
		t.Errorf("the terminal shows %q", shown)
	}

	laptop := h.onTerminal("laptop", append(pin, "login", "ann")...)
	laptop.asked("Password of ann: ")
	laptop.types("not " + annsPassword + "\r")
	laptop.ends(exitCodes[shoal.Denied])
	laptop = h.onTerminal("laptop", append(pin, "login", "ann")...)
	laptop.asked("Password of ann: ")
	laptop.types(annsPassword + "x\x7f\r") // with a mistake that is mended
	laptop.ends(0)
	if who := h.must("laptop", "", "whoami"); !strings.Contains(who, "ann") {
		t.Errorf("whoami: %s", who)
	}

	bob := h.onTerminal("bob", append(pin, "user", "create", "bob")...)
	bob.asked("Password of bob: ")
	bob.types(bobsPassword + "\r")
	bob.asked("The same again: ")
	bob.types(bobsPassword + "!\r")
	if shown := bob.ends(exitCodes[shoal.BadRequest]); !strings.Contains(shown, "the two passwords differ; nothing was done") {
		t.Errorf("the terminal shows %q", shown)
	}
	bob = h.onTerminal("bob", append(pin, "user", "create", "bob")...)
	bob.asked("Password of bob: ")
	bob.types("short\r")
	bob.asked("The same again: ")
	bob.types("short\r")
	bob.ends(exitCodes[shoal.BadRequest])
	bob = h.onTerminal("bob", append(pin, "user", "create", "bob")...)
	bob.asked("Password of bob: ")
	bob.types(bobsPassword + "\r")
	bob.asked("The same again: ")
	bob.types(bobsPassword + "\r")
	bob.asked("anybody may register): ")
	bob.types("\r")
	bob.ends(exitCodes[shoal.Denied])
	if users := h.must("ann", "", "user", "list"); strings.Contains(users, "bob") {
		t.Errorf("users: %s", users)
	}
}

// Whatever ends a process that asks for a password, the terminal is as it was, and nothing is done.
func TestTypingIsInterrupted(t *testing.T) {
	h := newHousehold(t)
	for name, interrupt := range map[string]func(*terminal){
		"Ctrl-C":  func(t *terminal) { t.types(annsPassword[:5] + "\x03") },
		"Ctrl-\\": func(t *terminal) { t.types(annsPassword[:5] + "\x1c") },
		"Ctrl-D":  func(t *terminal) { t.types(annsPassword[:5] + "\x04\x04") },
		"SIGTERM": func(t *terminal) { _ = t.shoal.Process.Signal(syscall.SIGTERM) },
		"SIGHUP":  func(t *terminal) { _ = t.shoal.Process.Signal(syscall.SIGHUP) },
	} {
		term := h.onTerminal("ann", "user", "create", "ann", "--pin", h.realm.String())
		term.asked("Password of ann: ")
		interrupt(term)
		if shown := term.ends(exitCodes[shoal.Canceled]); strings.Contains(shown, annsPassword[:5]) || strings.Contains(shown, "goroutine") {
			t.Errorf("%s: the terminal shows %q", name, shown)
		}
	}
	term := h.onTerminal("ann", "user", "create", "ann", "--pin", h.realm.String())
	term.asked("Password of ann: ")
	term.types(annsPassword + "\r")
	term.asked("The same again: ")
	term.types("\x03")
	term.ends(exitCodes[shoal.Canceled])
	if log := h.log.String(); strings.Contains(log, "register") {
		t.Errorf("the server was asked:\n%s", log)
	}
}

// At the first contact a person is shown the realm's fingerprint; who does not type it has told the server nothing.
func TestTypedFingerprint(t *testing.T) {
	h := newHousehold(t)
	h.must("ann", annsPassword+"\n"+h.firstCode+"\n", "user", "create", "ann")
	login := func(fingerprint string, code int) {
		t.Helper()
		term := h.onTerminal("laptop", "login", "ann")
		term.asked("Password of ann: ")
		term.types(annsPassword + "\r")
		term.wait("fingerprint", func() bool { return strings.Contains(term.shown.String(), h.realm.String()) })
		term.types(fingerprint + "\r")
		term.ends(code)
	}
	for _, wrong := range []string{"", "yes", strings.Repeat("a", 52)} {
		login(wrong, exitCodes[shoal.Untrusted])
	}
	if _, err := os.Stat(h.dir + "/laptop/known_realms"); err == nil || strings.Contains(h.log.String(), "login") {
		t.Errorf("who was not trusted is known (%v), or was told the password:\n%s", err, h.log.String())
	}
	login(h.realm.String(), 0)
}
