package e2e

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

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
