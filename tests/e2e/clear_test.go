package e2e

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"shoal"
	"shoal/tests/netns"
)

// elsewhere is an address that is none of loopback.
var elsewhere = netip.MustParseAddr("192.0.2.1")

// Over TLS nothing of what is shared, nor by whom, can be read on the ports of servers and peers, nor on those of the log
// and enrichment services where they can be reached from elsewhere. Who has the keys that --keylog writes reads it all.
func TestNothingInClear(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	var err error
	if v.island.run(func() { err = netns.AddAddress(elsewhere) }); err != nil {
		t.Fatal(err)
	}
	certify(v.world)
	keys := v.path("keys")
	listening := v.island.capture("clear.pcapng")
	password, user, label, group, name := freshSecret("password"), freshSecret("user"), freshSecret("label"), freshSecret("group"), freshSecret("name")
	content := random(300*kib, 701)

	log := v.begin("rpclog", nil, "rpclog", "--listen", elsewhere.String()+":0", "--keylog", keys, "--json").await("listening", nil)
	soap := v.begin("soap", nil, "soap", "--listen", elsewhere.String()+":0", "--cert", v.path("etcd.pem"), "--key", v.path("etcd.key"), "--keylog", keys, "--json").await("listening", nil)
	v.server = v.beginAs(append(v.environment("server"), "SSL_CERT_FILE="+v.path("ca.pem")), nil, "server", "--listen", "127.0.0.1:0", "--json",
		"--rpclog", log.Address, "--rpclog-key", log.Key, "--soap", soap.URL, "--keylog", keys)
	e := v.server.await("listening", nil)
	v.address, v.realm = e.Address, e.Realm
	v.do(user, []string{password, v.server.awaitOutput(firstCode)}, "user", "create", user, "--label", label).ok()
	v.do(user, nil, "group", "create", group).ok()
	v.run(user, "--keylog", keys)
	write(t, v.path(name), content)
	file := v.do(user, nil, "publish", "--json", "--group", group, v.path(name)).ok().event("published").File
	v.do("other", []string{password}, "login", user, "--label", label).ok()
	v.do("other", nil, "get", group+"/"+name, "-o", v.path("got"), "--keylog", keys).ok()
	same(t, v.path("got"), content)
	eventually(t, func() error { // both services were asked
		facts := v.do(user, nil, "info", group+"/"+name).ok().stdout
		if said := v.do(user, nil, "log", "--socket", log.Socket, "--op", "publish").ok(); !strings.Contains(said.stdout, name) || !strings.Contains(facts, "octet-stream") {
			return errNever
		}
		return nil
	})

	id, err := shoal.ParseFileID(file)
	if err != nil {
		t.Fatal(err)
	}
	shown := []struct{ name, secret, by string }{ // by is whose conversations have it, under TLS
		{"the password", password, "Shoal"},
		{"the user", user, "Shoal RPC"},
		{"the device's label", label, "Shoal"},
		{"the group", group, "Shoal RPC"},
		{"the file's name", name, "Shoal RPC SOAP"},
		{"the FileID", string(id[:]), "Shoal"},
		{"the file's beginning", string(content[:48]), "Shoal SOAP"},
		{"the file's middle", string(content[200*kib : 200*kib+48]), "Shoal"},
	}
	for _, s := range shown {
		v.canaries = append(v.canaries, newCanary(s.name, []byte(s.secret)))
	}
	for between, said := range v.searchCapture(listening) {
		if sharesBytes(content, said) {
			t.Errorf("some of the file is in clear in %s", between)
		}
	}
	if !sharesBytes(content, content[1000:1100]) {
		t.Error("the file's bytes would not be found")
	}
	if finds := v.found(); len(finds) > 0 {
		t.Errorf("found\n%s", strings.Join(finds, "\n"))
	}

	v.open(listening.path, keys, log.Address)
	finds := v.found()
	for _, s := range shown {
		for by := range strings.FieldsSeq(s.by) {
			if !slices.Contains(finds, s.name+" in "+by) {
				t.Errorf("with the keys %s is not in what is opened of %s; what is:\n%s", s.name, by, strings.Join(finds, "\n"))
			}
		}
	}
	if info, err := os.Stat(keys); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the keys are in %v (%v)", info, err)
	}
}

// open decrypts a capture with keys, and searches what tshark makes of it then. RPC's TLS has to be pointed out to tshark by
// the log service's address.
func (v *vault) open(capture, keys, log string) {
	v.Helper()
	_, port, err := net.SplitHostPort(log)
	if err != nil {
		v.Fatal(err)
	}
	for what, filter := range map[string]string{"Shoal": "shoal", "SOAP": "http", "RPC": "tcp.port==" + port} {
		out, err := exec.Command("tshark", "-r", capture, "-X", "lua_script:../pcap/shoal.lua", "-o", "tls.keylog_file:"+keys,
			"-d", "tcp.port=="+port+",tls", "-Y", filter, "-T", "pdml").Output()
		if err != nil {
			v.Fatalf("tshark: %v", err)
		}
		v.search(what, out, "")
	}
}
