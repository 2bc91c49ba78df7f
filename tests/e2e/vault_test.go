package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// vault is a world on an island of its own, where secrets are used, and searched for in all that it shows and keeps.
type vault struct {
	*world
	island   *island
	canaries []canary
	owned    map[string]string // paths of files that a secret is kept in, with its name
	finds    map[string]bool   // where which secret was found
	said     []*process        // whose stderr is searched; their stdout too, but where it gives a secret out
	gives    map[*process]string
}

func newVault(t *testing.T) *vault {
	t.Helper()
	w := bareWorld(t)
	return &vault{
		world: w, island: newIsland(w), owned: make(map[string]string), finds: make(map[string]bool), gives: make(map[*process]string),
	}
}

// begin starts a command that reads lines. Its command line and environment are searched before it gets them.
func (v *vault) begin(state string, lines []string, args ...string) *process {
	v.Helper()
	return v.beginAs(v.environment(state), lines, args...)
}

func (v *vault) beginAs(environment, lines []string, args ...string) *process {
	v.Helper()
	p := prepare(v.T, v.binary, v.dir, environment, args...)
	in, err := p.cmd.StdinPipe()
	if err == nil {
		v.island.run(func() { err = p.cmd.Start() })
	}
	p.watch(err)
	v.said = append(v.said, p)
	v.searchProcesses(p)
	_, err = in.Write([]byte(strings.Join(append(lines, ""), "\n")))
	if closed := in.Close(); err == nil {
		err = closed
	}
	if err != nil && !p.hasEnded() {
		v.Fatal(err)
	}
	return p
}

// do is begin for what runs to its end.
func (v *vault) do(state string, lines []string, args ...string) result {
	v.Helper()
	return v.begin(state, lines, args...).wait()
}

// serve starts the server.
func (v *vault) serve(flags ...string) {
	v.Helper()
	listen := v.address
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	v.server = v.begin("server", nil, append([]string{"server", "--listen", listen, "--json", "-v"}, flags...)...)
	e := v.server.await("listening", nil)
	v.address, v.realm = e.Address, e.Realm
}

// run starts a peer.
func (v *vault) run(state string, flags ...string) *process {
	v.Helper()
	p := v.begin(state, nil, append([]string{"peer", "--json", "-v", "--listen", "127.0.0.1:0", "--dir", v.folder("files", state)}, flags...)...)
	p.await("serving", nil)
	return p
}

// keep adds the keys of a state folder.
func (v *vault) keep(state string, files ...string) {
	v.Helper()
	for _, file := range files {
		path := v.path("state", state, file)
		name := "the key " + state + "/" + file
		v.canaries = append(v.canaries, keyCanary(v.T, name, path))
		v.owned[path] = name
	}
}

// search looks for the canaries in what was found somewhere, but for the one that may be there.
func (v *vault) search(where string, found []byte, but string) {
	for i := range v.canaries {
		if c := &v.canaries[i]; c.name != but && c.in(found) {
			v.finds[c.name+" in "+where] = true
		}
	}
}

// searchProcesses searches the command lines and environments of all processes; those of p must be readable.
func (v *vault) searchProcesses(p *process) {
	v.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		v.Fatal(err)
	}
	for _, file := range []string{"cmdline", "environ"} {
		for _, dir := range processes {
			text, _ := os.ReadFile(filepath.Join(dir, file))
			v.search("a process' "+file, text, "")
		}
		eventually(v.T, func() error { // it has neither until its program is loaded
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, file))
			v.search("a process' "+file, text, "")
			if err == nil && len(text) == 0 {
				err = errors.New("it is empty")
			}
			if err != nil && !p.hasEnded() {
				return fmt.Errorf("%s of %s cannot be searched: %w", file, p.line, err)
			}
			return nil
		})
	}
}

// searchSaid searches what processes have printed and logged.
func (v *vault) searchSaid() {
	for _, p := range v.said {
		v.search("stderr", []byte(p.errors()), "")
		v.search("stdout", []byte(p.output()), v.gives[p])
	}
}

// searchFiles searches all files of the world.
func (v *vault) searchFiles() {
	v.Helper()
	err := filepath.WalkDir(v.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		v.search("the file "+strings.TrimPrefix(path, v.dir+"/"), content, v.owned[path])
		return err
	})
	if err != nil {
		v.Error(err)
	}
}

// sharesBytes reports whether any of the content's parts of 16 bytes, one after the other, is in what was found.
func sharesBytes(content, found []byte) bool {
	const part = 16
	parts := make(map[[part]byte]bool, len(content)/part)
	for i := 0; i+part <= len(content); i += part {
		parts[[part]byte(content[i:])] = true
	}
	for i := 0; i+part <= len(found); i++ {
		if parts[[part]byte(found[i:])] {
			return true
		}
	}
	return false
}

// searchCapture ends a capture and searches it; it returns the conversations.
func (v *vault) searchCapture(c *capture) map[string][]byte {
	v.Helper()
	c.stop()
	packets, conversations := c.read()
	v.search("a packet", packets, "")
	for _, said := range conversations {
		v.search("a conversation", said, "")
	}
	return conversations
}

// found returns what was found until now, and forgets it.
func (v *vault) found() []string {
	var finds []string
	for find := range v.finds {
		finds = append(finds, find)
	}
	clear(v.finds)
	slices.Sort(finds)
	return finds
}
