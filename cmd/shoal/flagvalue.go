package main

import (
	"errors"
	"io/fs"
	"math"
	"net"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"shoal"
)

// flagChecks are what values of flags of a name must be, whichever command has them, and whether they come from the command
// line or the environment. Without a value there is nothing to check. What else has to hold is for the command to see.
var flagChecks = map[string]func(value string) error{
	"server": checkAddress, "rpclog": checkAddress, "listen": checkListen,
	"state": checkFolder, "dir": checkFolder, "output": checkPath, "password-file": checkPath,
	"rpclog-key": checkPath, "keylog": checkPath, "log-socket": checkPath, "socket": checkPath, "cert": checkPath, "key": checkPath,
	"root": checkPath, "config": checkPath, "etcd-ca": checkPath, "etcd-cert": checkPath, "etcd-key": checkPath,
	"plaintext": func(value string) error { _, err := (&common{plaintext: value}).transport(); return err },
	"soap":      checkURL, "etcd": checkURL, "label": checkLabel, "limit": checkForward, "timeout": checkForward, "from": checkDevice, "alpha": checkFinite, "beta": checkFinite, "k": checkFinite, "log-reader": checkDevice, "grep": checkPattern, "range": checkRange, "user": checkShort, "op": checkShort,
}

// checkFlags refuses values that can be of no use, before anything is made, asked or written.
func checkFlags(cmd *cobra.Command) error {
	for name, check := range flagChecks {
		f := cmd.Flags().Lookup(name)
		if f == nil {
			continue
		}
		values := []string{f.Value.String()}
		if several, ok := f.Value.(interface{ GetSlice() []string }); ok {
			values = several.GetSlice()
		} else if values[0] == "" && !(f.Changed && neverEmpty[name]) {
			continue
		}
		for _, value := range values {
			if err := check(value); err != nil {
				return shoal.Errorf(shoal.BadRequest, "--%s: %w", name, err)
			}
		}
	}
	for flag, other := range goesWith {
		if f, o := cmd.Flags().Lookup(flag), cmd.Flags().Lookup(other); f != nil && o != nil && f.Changed && (o.Value.String() == "" || o.Value.String() == "[]") {
			return shoal.Errorf(shoal.BadRequest, "--%s goes with --%s, which is not given", flag, other)
		}
	}
	return nil
}

// neverEmpty are the flags that cannot be taken back by an empty value.
var neverEmpty = map[string]bool{"state": true, "listen": true, "from": true, "range": true}

// goesWith are flags that mean nothing without another one.
var goesWith = map[string]string{
	"etcd-ca": "etcd", "etcd-cert": "etcd-key", "etcd-key": "etcd-cert", "rpclog-key": "rpclog", "cert": "key", "key": "cert",
}

// checkAddress refuses what is no HOST:PORT that can be connected to.
func checkAddress(value string) error {
	_, port, err := splitAddress(value)
	if err == nil && port == 0 {
		err = shoal.Errorf(shoal.BadRequest, "%q has no port to connect to", value)
	}
	return err
}

// checkListen refuses what is no HOST:PORT or :PORT.
func checkListen(value string) error {
	_, _, err := splitAddress(value)
	return err
}

func splitAddress(value string) (host string, port uint16, err error) {
	const longest = 253 // bytes of a host's name (RFC 1035, section 2.3.4)
	host, text, err := net.SplitHostPort(value)
	number, numberErr := strconv.ParseUint(text, 10, 16)
	switch {
	case err != nil:
		return "", 0, shoal.Errorf(shoal.BadRequest, "an address is HOST:PORT: %w", err)
	case numberErr != nil:
		return "", 0, shoal.Errorf(shoal.BadRequest, "%q has no port from 0 to 65535", value)
	case len(host) > longest || !utf8.ValidString(host) || strings.ContainsFunc(host, notOfHosts):
		return "", 0, shoal.Errorf(shoal.BadRequest, "%q has no host's name or address", value)
	}
	return host, uint16(number), nil
}

// notOfHosts reports what no name or address of a host has. Other scripts' letters are for the resolver to judge.
func notOfHosts(r rune) bool {
	return r != '.' && r != '-' && r != '_' && r != ':' && r != '%' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
}

// checkURL refuses what is no URL of a service.
func checkURL(value string) error {
	u, err := url.Parse(value)
	switch {
	case err != nil:
		return shoal.Errorf(shoal.BadRequest, "%q is no URL: %w", value, errors.Unwrap(err))
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return shoal.Errorf(shoal.BadRequest, "%q does not begin with http://HOST:PORT or https://HOST:PORT", value)
	case u.User != nil:
		return shoal.Errorf(shoal.BadRequest, "the URL has a user or password in it, which others on this machine could read")
	case strings.ContainsFunc(value, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) || r == ' ' }):
		return shoal.Errorf(shoal.BadRequest, "%q has a character that no URL has", value)
	}
	address := u.Host
	if u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), "80")
	}
	return checkAddress(address)
}

// checkShort refuses what no filter can be meant to be.
func checkShort(value string) error {
	const longest = 4096
	if len(value) > longest {
		return shoal.Errorf(shoal.BadRequest, "it is %d bytes long; at most %d are allowed", len(value), longest)
	}
	return nil
}

// checkPattern refuses what is no regular expression.
func checkPattern(value string) error {
	if err := checkShort(value); err != nil {
		return err
	}
	_, err := regexp.Compile(value)
	return err
}

// checkFinite refuses numbers with which nothing can be reckoned.
func checkFinite(value string) error {
	if x, err := strconv.ParseFloat(value, 64); err != nil || math.IsInf(x, 0) || math.IsNaN(x) {
		return shoal.Errorf(shoal.BadRequest, "%q is no finite number", value)
	}
	return nil
}

// checkForward refuses durations that lead back.
func checkForward(value string) error {
	if d, err := time.ParseDuration(value); err != nil || d < 0 {
		return shoal.Errorf(shoal.BadRequest, "%s is less than nothing", value)
	}
	return nil
}

func checkLabel(value string) error {
	_, err := shoal.ParseName(value)
	return err
}

func checkRange(value string) error {
	_, err := shoal.ParseRange(value)
	return err
}

func checkDevice(value string) error {
	_, err := shoal.ParseDeviceID(strings.TrimSpace(value))
	return err
}

// checkPath refuses what can be the path of nothing (path_resolution(7)).
func checkPath(path string) error {
	switch {
	case path == "":
		return shoal.Errorf(shoal.BadRequest, "a path is missing")
	case strings.ContainsRune(path, 0):
		return shoal.Errorf(shoal.BadRequest, "%q has a zero byte, which no path has", path)
	case len(path) >= unix.PathMax:
		return shoal.Errorf(shoal.BadRequest, "the path is %d bytes long; at most %d are allowed", len(path), unix.PathMax-1)
	}
	for element := range strings.SplitSeq(path, "/") {
		if len(element) > shoal.MaxName {
			return shoal.Errorf(shoal.BadRequest, "a part of the path is %d bytes long; at most %d are allowed", len(element), shoal.MaxName)
		}
	}
	return nil
}

// checkFolder refuses what can be no folder: it need not be there.
func checkFolder(path string) error {
	if err := checkPath(path); err != nil {
		return err
	}
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return shoal.Errorf(shoal.BadRequest, "%s is no folder", path)
	}
	return nil
}

// pathError gives an error about a path that was given a code, where it has none.
func pathError(err error) error {
	switch {
	case err == nil || shoal.CodeOf(err) != shoal.Internal:
		return err
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		return shoal.Errorf(shoal.NotFound, "%w", err)
	case errors.Is(err, fs.ErrPermission):
		return shoal.Errorf(shoal.Denied, "%w", err)
	case errors.Is(err, fs.ErrExist):
		return shoal.Errorf(shoal.Exists, "%w", err)
	case errors.Is(err, unix.EISDIR), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENAMETOOLONG):
		return shoal.Errorf(shoal.BadRequest, "%w", err)
	}
	return err
}

// longestError is how long an error that is shown can be, in bytes: what was given is in it, however long that was.
const longestError = 800

// errorText is an error in one line that a terminal shows as it is.
func errorText(err error) string {
	text := shoal.Printable(strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; "))
	if len(text) <= longestError {
		return text
	}
	const each = longestError / 2
	return strings.ToValidUTF8(text[:each], "") + " … " + strings.ToValidUTF8(text[len(text)-each:], "")
}
