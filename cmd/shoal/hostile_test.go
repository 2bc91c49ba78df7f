package main

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"shoal/identity"
)

// takes says what a command's arguments are, with others that are good: a flag is to be wrong alone.
type takes struct {
	good  []string
	which []string // what each is: a key of hostileArguments
	more  bool     // there can be any number of them
	stdin string
	flags []string // besides those that say where the server is
}

// commands are all that there are, by what follows shoal.
var commands = map[string]takes{
	"server": {flags: []string{"--listen", "127.0.0.1:0", "--rpclog", "127.0.0.1:1"}}, "peer": {flags: []string{"--listen", "127.0.0.1:0", "--rpclog", "127.0.0.1:1"}},
	"rpclog": {flags: []string{"--listen", "127.0.0.1:0"}}, "soap": {flags: []string{"--listen", "127.0.0.1:0", "--rpclog", "127.0.0.1:1"}},
	"server backup": {good: []string{"new"}, which: []string{"new file"}}, "server restore": {good: []string{"backup"}, which: []string{"backup"}},
	"server realm export": {good: []string{"new"}, which: []string{"new file"}}, "server realm import": {good: []string{"root"}, which: []string{"root key"}},
	"server device": {good: []string{"ann", strings.Repeat("a", 52)}, which: []string{"name", "device"}}, "device show": {},
	"server realm rotate": {}, "server realm show": {}, "server realm revoke": {good: []string{strings.Repeat("a", 52)}, which: []string{"device"}},
	"server user": {good: []string{"eve"}, which: []string{"name"}, stdin: "correct horse battery\n"},
	"publish":     {good: []string{"file"}, which: []string{"file"}, more: true},
	"unpublish":   {good: []string{"lab/x"}, which: []string{"target"}, more: true}, "stop-share": {good: []string{"lab/x"}, which: []string{"target"}, more: true},
	"ls": {which: []string{"group"}}, "info": {good: []string{"lab/x"}, which: []string{"target"}}, "get": {good: []string{"lab/x"}, which: []string{"target"}, more: true},
	"cat":       {good: []string{"lab/x"}, which: []string{"target"}, more: true},
	"downloads": {which: []string{"download"}, more: true}, "downloads pause": {good: []string{"1"}, which: []string{"download"}, more: true},
	"downloads resume": {good: []string{"1"}, which: []string{"download"}, more: true}, "downloads cancel": {good: []string{"1"}, which: []string{"download"}, more: true},
	"downloads clear": {}, "limit": {which: []string{"name"}},
	"user create": {good: []string{"eve"}, which: []string{"name"}, stdin: "correct horse battery\n"}, "user list": {}, "user delete": {good: []string{"bob"}, which: []string{"user"}},
	"user password": {stdin: bobsPassword + "\ncorrect horse battery\n"},
	"login":         {good: []string{"bob"}, which: []string{"name"}, stdin: bobsPassword + "\n"}, "logout": {}, "whoami": {},
	"device list": {which: []string{"user"}}, "device revoke": {good: []string{strings.Repeat("a", 52)}, which: []string{"device"}},
	"group create": {good: []string{"new"}, which: []string{"name"}}, "group list": {},
	"group join": {good: []string{"lab"}, which: []string{"group"}}, "group leave": {good: []string{"lab"}, which: []string{"group"}},
	"group requests": {good: []string{"lab"}, which: []string{"group"}}, "group members": {good: []string{"lab"}, which: []string{"group"}},
	"group peers":  {good: []string{"lab"}, which: []string{"group"}},
	"group delete": {good: []string{"lab"}, which: []string{"group"}},
	"group accept": {good: []string{"lab", "bob"}, which: []string{"group", "member"}}, "group reject": {good: []string{"lab", "bob"}, which: []string{"group", "member"}},
	"group remove": {good: []string{"lab", "bob"}, which: []string{"group", "member"}}, "group transfer": {good: []string{"lab", "bob"}, which: []string{"group", "member"}},
	"invite": {good: []string{"lab"}, which: []string{"group"}},
	"sum":    {good: []string{"file"}, which: []string{"sum"}, more: true}, "bench hash": {}, "simulate": {}, "log": {}, "version": {},
}

// leaves are the commands that do something, by what follows shoal.
func leaves(cmd *cobra.Command) map[string]*cobra.Command {
	found := map[string]*cobra.Command{}
	for _, c := range cmd.Commands() {
		path := strings.TrimPrefix(c.CommandPath(), "shoal ")
		if !c.HasSubCommands() || path == "server" || path == "downloads" {
			found[path] = c
		}
		for path, c := range leaves(c) {
			found[path] = c
		}
	}
	return found
}

// wrong is an argument, and with which codes it must be refused.
type wrong struct {
	text  string
	codes []int
}

// hostileArguments are, for each sort of argument, what it cannot be.
func hostileArguments(which string) (all []wrong) {
	add := func(codes []int, texts ...string) {
		for _, text := range texts {
			all = append(all, wrong{text, codes})
		}
	}
	bad, absent := []int{2}, []int{3}
	switch which {
	case "name":
		add(bad, hostileNames...)
	case "group":
		add(bad, hostileNames...)
		add(absent, strangeNames[:6]...)
	case "member":
		add(bad, hostileNames...)
		add(absent, strangeNames[6:10]...)
	case "user":
		add(bad, hostileNames...)
		add([]int{3, 5}, strangeNames[10:14]...)
	case "device":
		add(bad, hostileDevices...)
	case "download":
		add(bad, "0", "-1", "+1", "1.0", "0x1", "18446744073709551616", "1 ", "ALL", "frobnicate", "\u0661")
		add(bad, hostileNames...)
	case "target":
		for _, name := range hostileNames {
			add(bad, "lab/"+name, name+"/x")
		}
		add(absent, "lab/"+strangeNames[14], strangeNames[15]+"/x", "lab/"+identity.NewKey().Device().String())
	case "file", "sum", "backup", "root key":
		add([]int{2, 3, 5, 9}, "", "nowhere", "/")
		add([]int{2}, hostilePaths...)
		add([]int{2, 3, 5}, missingPaths...)
	case "new file":
		add([]int{7}, "file")
		add([]int{2, 3, 7}, "", "/", "nowhere/new")
		add([]int{2}, hostilePaths...)
		add([]int{2, 3, 5}, missingPaths...)
	}
	return all
}

// TestHostileInput gives each command what it cannot take: flags, values, arguments, numbers of arguments. All of it is
// refused with the right code, in one line, and nothing is written.
func TestHostileInput(t *testing.T) {
	a := newAttacker(t)
	found := leaves(newRoot())
	for turn, path := range slices.Sorted(maps.Keys(found)) {
		cmd := found[path]
		takes, known := commands[path]
		if !known {
			t.Errorf("there are no hostile inputs for shoal %s", path)
			continue
		}
		t.Run(path, func(t *testing.T) {
			before := a.everything()
			inputs := 0
			try := func(codes []int, flags, args []string) {
				t.Helper()
				inputs++
				outer := a.t
				a.t = t
				defer func() { a.t = outer }()
				a.refuses(codes, takes.stdin, a.line(path, cmd, flags, args))
			}
			usage := []int{2}
			flags := hostileFlags(t, cmd)
			for i, flag := range flags {
				name, _, valued := strings.Cut(strings.TrimPrefix(flag, "--"), "=")
				if valued && everywhere[name] && len(flags) > 100 && (i+turn)%3 != 0 { // commands take turns with what they share
					continue
				}
				codes := usage
				if strings.Contains(flag, "=/") { // a path, where something may be or not
					codes = []int{2, 3, 5}
				}
				try(codes, []string{flag}, takes.good)
			}
			for i, which := range takes.which {
				for _, w := range hostileArguments(which) {
					args := slices.Clone(takes.good)
					args = append(args[:i], append([]string{w.text}, args[min(i+1, len(args)):]...)...)
					try(w.codes, nil, args)
				}
			}
			if !takes.more {
				for _, extra := range append(hostileNames, strangeNames...) {
					try(usage, nil, append(slices.Clone(takes.good), append(make([]string, max(0, len(takes.which)-len(takes.good))), extra)...))
				}
			}
			if len(takes.good) > 0 && path != "sum" {
				try(usage, nil, takes.good[1:])
			}
			if inputs < 50 {
				t.Errorf("only %d inputs", inputs)
			}
			if after := a.everything(); after != before {
				t.Errorf("there was:\n%s\nand now there is:\n%s", before, after)
			}
		})
	}
	for path := range commands {
		if found[path] == nil {
			t.Errorf("there is no command %q any more", path)
		}
	}
	if got := fieldsOf(a.must("bob", "", "group", "members", "lab")); got != "ann bob" {
		t.Errorf("afterwards %s are in the group", got)
	}
}

// Events show names as they are to whoever reads JSON, and a terminal obeys none of them.
func TestHostileNamesInEvents(t *testing.T) {
	for _, name := range append(hostileNames, strangeNames...) {
		line, err := json.Marshal(map[string]any{"name": name})
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ Name string }
		text := escaped(string(line))
		if strings.ContainsFunc(text, obeyed) {
			t.Errorf("%.100q shows what a terminal obeys", text)
		}
		if err := json.Unmarshal([]byte(text), &got); err != nil || got.Name != strings.ToValidUTF8(name, "\ufffd") && utf8.ValidString(name) {
			t.Errorf("%.100q is read as %.100q: %v", name, got.Name, err)
		}
	}
}
