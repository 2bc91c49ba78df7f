package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// hostileNames cannot be names of anything.
var hostileNames = []string{
	"", ".", "..", "/", "a/b/c", "../../etc/passwd", `..\..\x`, "\x00", "a\x00b", "a\nb", "a\rb", "a\tb", "\x1b[2J", "\x1b]0;title\x07",
	"\x7f", "\u009b31m", "\u2028", "\u2029", "\u202ecod.exe", "\u2066x", "\xff\xfe", "a\xc3", "\xed\xa0\x80", strings.Repeat("x", 256),
	strings.Repeat("ü", 128), strings.Repeat("x", 100_000),
}

// strangeNames can be names, and stand for nothing here.
var strangeNames = []string{
	" ", "  lab", "lab ", "LAB", "l\u0430b", "lab\u200b", "lab\u200d", "-", "--", "--state", "-rf", "*", "?", "~", "$HOME", "$(id)", "`id`", ";id", "|id",
	"%s%n", "%00", "'", `"`, "' OR 1=1 --", "<b>", "&amp;", "\u0301", "\U0001F469\u200d\U0001F680", strings.Repeat("x", 64), "con", "nul", "null", "undefined", "0", "-1",
}

// hostileDevices are no keys of devices.
var hostileDevices = append([]string{
	"a", strings.Repeat("a", 51), strings.Repeat("a", 53), strings.Repeat("1", 52), strings.Repeat("a", 51) + "b", strings.Repeat("a", 51) + "=",
	strings.Repeat("ü", 26), " " + strings.Repeat("a", 50) + " ", strings.Repeat("a", 26) + "\n" + strings.Repeat("a", 25), "0x" + strings.Repeat("a", 50),
}, hostileNames...)

// hostilePaths can be no paths, missingPaths are those of nothing.
var (
	hostilePaths = []string{
		"\x00", "a\x00b", strings.Repeat("x", 256), "/tmp/" + strings.Repeat("x", 300) + "/y", strings.Repeat("x/", 3000), strings.Repeat("x", 100_000),
	}
	missingPaths = []string{
		"/dev/null/x", "/proc/self/nowhere/x", "/nowhere\x1b[2J/x", "/nowhere\u202e/x", "/nowhere\u009b31m/x", "/nowhere\xff/x", "/nowhere\n/x", "/nowhere/../nowhere/x",
	}
)

// hostileAddresses are no HOST:PORT.
var hostileAddresses = []string{
	"x", "::", "127.0.0.1", ":x", ":-1", ":65536", ":99999999999999999999", ":+1", ":0x10", ":1e3", "[::1", "[::1]", "[::1]x:1", "::1:7400", "127.0.0.1:7400:7400",
	"127.0.0.1:\x00", "127.0.0.1:7400\n", "\x1b[2J:80", " :80", "127.0.0.1 :80", "http://127.0.0.1:80", "user@127.0.0.1:80", "127.0.0.1:80/path",
	"a\u202eb:80", "\xff:80", strings.Repeat("x", 300) + ":80", strings.Repeat("x", 100_000),
}

// hostileURLs are none of a service.
var hostileURLs = []string{
	"x", "127.0.0.1:80", "ftp://127.0.0.1/x", "file:///etc/passwd", "javascript:alert(1)", "http://", "http:///x", "http://:x/", "http://127.0.0.1:99999/", "http://[::1/",
	"http://a b/", "http://\x00/", "http://127.0.0.1/\x1b[2J", "http://127.0.0.1/\n", "//127.0.0.1/", "http://%zz/", "http://user:secret@127.0.0.1:1/", "https://example.com:-1/",
}

// hostileValues are what no flag of that name takes. "" stands for a flag that cannot be wrong.
var hostileValues = map[string][]string{
	"server": hostileAddresses, "listen": hostileAddresses, "rpclog": hostileAddresses,
	"pin":       hostileDevices[:10],
	"plaintext": {"yes", "ANY", "any ", "tls", "2", "loopback,any", "\x1b[2J", "\u202e", "\xff", strings.Repeat("x", 100_000)},
	"state":     append([]string{""}, hostilePaths...),
	"dir":       hostilePaths,
	"output":    hostilePaths,
	"label":     hostileNames[1:], "group": hostileNames, "from": hostileDevices, "log-reader": hostileDevices,
	"password-file": append(append([]string{"/dev/null", "/"}, hostilePaths...), missingPaths...),
	"rpclog-key":    append(append([]string{"/dev/null", "/"}, hostilePaths...), missingPaths...),
	"keylog":        append(append([]string{"/dev/null", "/"}, hostilePaths...), missingPaths...),
	"log-socket":    hostilePaths, "socket": hostilePaths,
	"mirror": append([]string{"http://a_b/", "http://a/#x", "HTTP://a/", "http://a/%zz", "http://a/" + strings.Repeat("x", 600), "http://a/\u202e"}, hostileURLs...),
	"etcd":   hostileURLs, "root": hostilePaths, "etcd-ca": hostilePaths, "etcd-cert": hostilePaths, "etcd-key": hostilePaths,
	"soap": hostileURLs, "cert": hostilePaths, "key": hostilePaths,
	"registration": {"", "Open", "open ", "none", "all", "0", "true", "\x1b[2J", "\u202e", "\xff", strings.Repeat("x", 100_000)},
	"keep":         {"", "0", "1", "15M", "-1G", "1.5G", "1 000G", "16MM", "16X", "G", "0x10G", "9999999999999999999999G", "8388608T", "\x1b[2J", "\x00", strings.Repeat("9", 100_000)},
	"level":        {"loud", "INFO ", "0", "-1", "info,debug", "\x1b[2J", "\x00", "\u202e", strings.Repeat("x", 100_000)},
	"since":        {"yesterday", "-1h", "1", "1y", "2026", "2026-13-01T00:00:00Z", "2026-11-21", "99999999999h", "\x1b[2J", "\x00", "\u202e", strings.Repeat("9", 100_000)},
	"grep":         {"(", "[", "*", "a{2,1}", "(?P<x", "\\", "a{1001}", "(?<=a)b", "\xff", "(\x1b[2J", strings.Repeat("(", 2000), strings.Repeat("x", 100_000)},
	"config":       append(append([]string{"/dev/null", "/"}, hostilePaths...), missingPaths...), "without": {"none", "Rarest", "rarest,none", "rarest score", "\x1b[2J", strings.Repeat("x", 100_000)},
	"peers": {"-1", "1000000000"}, "seeds": {"-1", "1000000000"}, "selfish": {"-1", "1000000000"}, "liars": {"-1", "1000000000"}, "connections": {"-1"},
	"size": {"-1", "9223372036854775807"}, "up": {"-1"}, "down": {"-1"}, "seed-up": {"-1"}, "delay": {"-1s"}, "every": {"-1s"}, "limit": {"-1s"},
	"leave": {"-0.1", "1.1"}, "alpha": {"-1"}, "beta": {"-1"}, "k": {"-1"}, "seed": {"-1"},
	"range":         {"", "-", "1", "1M", "2-1", "1-1", "0-0", "-0", "a-b", "--1", "1--2", "1.5M-2M", "1MB-2MB", "65T-", "99999999999999999999-", "\x1b[2J", "\x00", "\u202e", strings.Repeat("9", 100_000)},
	"user":          {strings.Repeat("x", 100_000)},
	"op":            {strings.Repeat("x", 100_000)},
	"offline-grace": {"721h", "-1s"}, "expires-in": {"0s", "721h", "-1s"}, "timeout": {"-1s"}, "rounds": {"0", "-1"}, "downloads": {"0", "-1", "1001"}, "lines": {"0", "-1"},
}

// everywhere are the flags that most commands have.
var everywhere = map[string]bool{"server": true, "pin": true, "plaintext": true, "keylog": true, "state": true, "verbose": true, "json": true}

// hostileByType are what no flag of that type takes.
var hostileByType = map[string][]string{
	"bool":     {"", "maybe", "2", "yes", "TRUE ", "\x1b[2J", "\x00", "\u202e", strings.Repeat("x", 100_000)},
	"int":      {"", "x", "1.5", "1e3", "99999999999999999999", "0x", "1 ", "\u0661", "--1", "\x1b[2J", "\x00", "\u202e", strings.Repeat("9", 100_000)},
	"int64":    {"", "x", "1.5", "99999999999999999999", "0x", "1 ", "\x1b[2J", "\x00", "\u202e", strings.Repeat("9", 100_000)},
	"uint64":   {"", "x", "1.5", "99999999999999999999", "0x", "1 ", "\x1b[2J", "\x00", "\u202e", strings.Repeat("9", 100_000)},
	"float64":  {"", "x", "1,5", "1e999", "NaN", "Inf", "-Inf", "1 ", "\x1b[2J", "\x00", "\u202e"},
	"rate":     {"", "0.5", "1", "1023", "1.5M", "-1", "-1K", "1X", "fast", "1e9", "9999999999999999999999G", "None", "\x1b[2J", "\x00", "\u202e", strings.Repeat("9", 100_000)},
	"duration": {"", "1", "x", "1y", "1h1", "h", "99999999999h", "1 h", "\u0661h", "\x1b[2J", "\x00", "\u202e", strings.Repeat("9", 100_000)},
}

// noFlags are what no command has.
var noFlags = []string{
	"--nosuch", "--nosuch=x", "-Z", "-\x1b", "--\x1b[31m", "--\u202ex", "--\u009b", "---", "--=", "--=x", "-=", "--Json", "--ſtate", "-ö", "-\xff", "--\xff", "--json json",
	"--no such", "--\x00", "--" + strings.Repeat("x", 100_000),
}

// flagUsage finds the flags in a command's help.
var flagUsage = regexp.MustCompile(`(?m)^ +(?:-\w, )?--([a-z-]+)`)

// hostileFlags are the flags of a command in ways that it must refuse.
func hostileFlags(t *testing.T, cmd *cobra.Command) (lines []string) {
	t.Helper()
	lines = append(lines, noFlags...)
	for _, found := range flagUsage.FindAllStringSubmatch(cmd.LocalFlags().FlagUsages(), -1) {
		f := cmd.Flags().Lookup(found[1])
		values := append(append([]string{}, hostileByType[f.Value.Type()]...), hostileValues[f.Name]...)
		if len(values) == 0 {
			t.Errorf("%s: there are no hostile values for --%s", cmd.CommandPath(), f.Name)
		}
		for _, value := range values {
			lines = append(lines, "--"+f.Name+"="+value)
		}
	}
	return lines
}
