package e2e

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
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
	own := fmt.Sprintf("/proc/%d", p.cmd.Process.Pid)
	for _, dir := range processes {
		for _, file := range []string{"cmdline", "environ"} {
			text, err := os.ReadFile(filepath.Join(dir, file))
			v.search("a process' "+file, text, "")
			if dir == own && !p.hasEnded() && (err != nil || len(text) == 0) {
				v.Errorf("%s of %s cannot be searched: %v", file, p.line, err)
			}
		}
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

// searchCapture ends a capture and searches it; it returns the conversations.
func (v *vault) searchCapture(c *capture) map[string][]byte {
	v.Helper()
	packets, conversations := c.stop()
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

var firstCode = regexp.MustCompile(`"first_user_code":"([^"]+)"`)

// Passwords, codes and keys are in no command line, environment, log, file of others, or packet, over TLS and without; nor
// are they in what errors say. The same search finds what does go there.
func TestSecrets(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	content := random(mib, 700)
	write(t, v.path("file"), content)
	passwords := map[string]string{}
	for _, of := range []string{"ann", "bob", "wrong"} {
		passwords[of] = freshSecret(of)
		v.canaries = append(v.canaries, newCanary("the password of "+of, []byte(passwords[of])))
	}

	// Over TLS: users are made by the first code and by an invite, log in, fail to, and share a file.
	listening := v.island.capture("tls.pcapng")
	log := v.begin("rpclog", nil, "rpclog", "--listen", "127.0.0.1:0", "--json").await("listening", nil)
	logging := []string{"--rpclog", log.Address, "--rpclog-key", log.Key}
	v.serve(logging...)
	code := v.server.awaitOutput(firstCode)
	v.canaries = append(v.canaries, codeCanary("the first user's code", code))
	v.gives[v.server] = "the first user's code"
	v.do("ann", []string{passwords["ann"], code}, "user", "create", "ann").ok()
	v.do("ann", nil, "group", "create", "lab").ok()
	inviting := v.do("ann", nil, "invite", "lab").ok()
	invite := strings.TrimSpace(inviting.stdout)
	v.canaries = append(v.canaries, codeCanary("the invite", invite))
	v.gives[inviting.process] = "the invite"
	v.do("bob", []string{passwords["wrong"], "0000-0000-0000-0000-0000-0000-0000"}, "user", "create", "bob").exit(5)
	v.do("bob", []string{passwords["bob"], strings.ToUpper(invite)}, "user", "create", "bob").ok()
	v.do("laptop", []string{passwords["wrong"]}, "login", "ann").exit(5)
	v.do("laptop", []string{passwords["ann"]}, "login", "ann").ok()
	v.do("bob", []string{passwords["bob"], invite}, "user", "create", "carl").exit(7)
	v.keep("server", "realm.key", "server.key", "ticket.key")
	for _, state := range []string{"ann", "bob", "laptop"} {
		v.keep(state, "device.key")
	}
	logKey, err := os.ReadFile(log.Key)
	if err == nil {
		logKey, err = hex.DecodeString(strings.TrimSpace(string(logKey)))
	}
	if err != nil {
		t.Fatal(err)
	}
	v.canaries = append(v.canaries, newCanary("the log's key", logKey))
	v.owned[log.Key] = "the log's key"
	v.run("ann", logging...)
	v.do("ann", nil, "publish", "--group", "lab", v.path("file")).ok()
	v.do("bob", nil, "get", "lab/file", "-o", v.path("bobs")).ok()
	same(t, v.path("bobs"), content)
	v.do("ann", nil, "server", "backup", "--state", v.path("state", "server"), v.path("backup")).ok()
	overTLS := v.searchCapture(listening)

	v.searchSaid()
	v.searchFiles()
	if finds := v.found(); len(finds) > 0 {
		t.Errorf("over TLS: found\n%s", strings.Join(finds, "\n"))
	}

	// In plaintext: no password or code is sent; devices that are enrolled share on.
	for _, p := range v.said {
		p.stop()
	}
	listening = v.island.capture("plaintext.pcapng")
	v.plaintext = "loopback"
	v.serve()
	v.do("laptop", []string{passwords["ann"]}, "login", "ann").exit(5, "plaintext")
	v.do("carl", []string{passwords["bob"], invite}, "user", "create", "carl").exit(5, "plaintext")
	v.run("ann")
	v.do("laptop", nil, "get", "lab/file", "-o", v.path("laptops")).ok()
	same(t, v.path("laptops"), content)
	inPlaintext := v.searchCapture(listening)
	v.searchSaid()
	v.searchFiles()
	if finds := v.found(); len(finds) > 0 {
		t.Errorf("in plaintext: found\n%s", strings.Join(finds, "\n"))
	}

	part := content[mib/2 : mib/2+4096] // not at the beginning, which the enrichment service would see
	if has(overTLS, part) || !has(inPlaintext, part) {
		t.Error("the file itself was seen over TLS, or was not in plaintext, so the capture is not what it should be")
	}
	v.plant()
}

func has(conversations map[string][]byte, part []byte) bool {
	for _, said := range conversations {
		if bytes.Contains(said, part) {
			return true
		}
	}
	return false
}

// plant lets secrets go where they must not, each as it would, and expects them to be found.
func (v *vault) plant() {
	v.Helper()
	v.plaintext = ""
	secret := freshSecret("planted")
	v.canaries = []canary{newCanary("it", []byte(secret))}
	v.said = nil
	v.server.stop()
	listening := v.island.capture("planted.pcapng")
	log := v.begin("rpclog", nil, "rpclog", "--listen", "127.0.0.1:0", "--json").await("listening", nil)
	v.serve("--rpclog", log.Address, "--rpclog-key", log.Key)
	// As the name of a user it is in the command line, goes into the log, and to the log service in plaintext.
	v.beginAs(append(v.environment("carl"), "SHOAL_SECRET="+hex.EncodeToString([]byte(secret))), []string{"some password"}, "login", secret).wait().exit(5)
	v.do("carl", nil, "get", "lab/"+secret) // an error that repeats it
	eventually(v.T, func() error {
		if said := v.do("carl", nil, "log", "--socket", log.Socket, "--op", "login").ok(); !strings.Contains(said.stdout, secret) {
			return errNever
		}
		return nil
	})
	v.searchCapture(listening)
	v.searchSaid()
	v.searchFiles()
	finds := strings.Join(v.found(), "\n")
	for _, place := range []string{
		"a process' cmdline", "a process' environ", "stderr", "stdout", "the file state/rpclog/log/", "the file planted.pcapng", "a packet", "a conversation",
	} {
		if !strings.Contains(finds, "it in "+place) {
			v.Errorf("what was put into %s was not found there, but only\n%s", place, finds)
		}
	}
}

// A secret where it does not belong is not repeated by the error.
func TestSecretsInTheWrongPlace(t *testing.T) {
	t.Parallel()
	w := bareWorld(t)
	w.address = "127.0.0.1:1"
	secret := freshSecret("misplaced")
	for _, args := range [][]string{
		{"user", "create", "ann", secret},
		{"login", "ann", secret},
		{"login", "ann", "--password", secret},
		{"login", "ann", "--password=" + secret},
		{"login", "ann", "--code=" + secret},
		{"login", "ann", "-p" + secret},
		{"user", "password", "ann", secret},
	} {
		r := w.shoal("ann", args...)
		if r.code != 2 || strings.Contains(r.stderr+r.stdout, secret) {
			t.Errorf("shoal %s ends with %d, and says %s", strings.Join(args, " "), r.code, r.stderr)
		}
	}
}

// A daemon that crashes leaves no core file, however many are allowed.
func TestNoCoreFile(t *testing.T) {
	t.Parallel()
	w := bareWorld(t)
	crash := func(folder string, ready func(pid int) error, args ...string) bool {
		t.Helper()
		cmd := exec.Command("sh", append([]string{"-c", `ulimit -c unlimited && exec "$0" "$@"`}, args...)...)
		cmd.Dir, cmd.Env = folder, append(w.environment("server"), "GOTRACEBACK=crash")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := fork(cmd.Start); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error { return ready(cmd.Process.Pid) })
		_ = cmd.Process.Signal(syscall.SIGABRT) // it runs
		_ = cmd.Wait()                          // it crashes
		return cmd.ProcessState.Sys().(syscall.WaitStatus).CoreDump()
	}
	runs := func(program string) func(pid int) error {
		return func(pid int) error {
			name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
			if err == nil && strings.TrimSpace(string(name)) != program {
				err = errNever
			}
			return err
		}
	}
	if !crash(w.folder("sleep"), runs("sleep"), "sleep", "100") {
		t.Skip("no process leaves a core file here")
	}
	serving := func(int) error {
		_, err := os.Stat(w.path("state", "server", "server.sock"))
		return err
	}
	if crash(w.folder("crashed"), serving, w.binary, "server", "--listen", "127.0.0.1:0") {
		t.Error("there was a core dump")
	}
	empty(t, w.path("crashed"))
}
