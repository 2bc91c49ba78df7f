package e2e

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestFirstContact trusts nobody without a pin, and nobody but the pinned realm.
func TestFirstContact(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	realm, wrong := w.realm, strings.Repeat("a", 52)
	w.realm = ""
	w.shoal("client", "ls").exit(5, "first contact", w.address, "--pin "+realm)
	absent(t, w.path("state", "client", "known_realms"))
	w.shoal("client", "ls", "--pin", wrong).exit(5, "pinned "+wrong, "answering "+realm)
	w.shoal("client", "ls", "--pin", "nonsense").exit(2, "--pin", "52 characters")
	w.shoal("client", "ls", "--pin", realm).ok()
	// From now on it is known: neither the pin nor, as it is the only one, the server need be named.
	w.shoal("client", "ls").ok()
	w.shoal("client", "ls", "--pin", wrong).exit(5, "--pin")
	address := w.address
	w.address = ""
	w.shoal("client", "ls").ok()
	w.shoal("stranger", "ls").exit(2, "which server?", "--server HOST:PORT")
	w.shoal("stranger", "ls", "--server", "there").exit(2, "HOST:PORT")
	w.address = address
	w.shoal("client", "get", "nothing").exit(3, `"nothing"`, "shoal ls")
}

// TestServerIsReplaced puts a server of another realm at the address of one that is known.
func TestServerIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.peer("peer")
	p.publishCopy("file", random(1000, 80))
	trusted := w.realm
	w.server.kill()
	if err := os.RemoveAll(w.path("state", "server")); err != nil {
		t.Fatal(err)
	}
	w.startServer(w.address)
	if w.realm == trusted {
		t.Fatal("the new server is of the same realm")
	}
	// Who knew the first one is told so, and the running peer ends: it must not tell the stranger anything.
	p.wait().exit(5, "not of the realm it was", trusted, w.realm, "known_realms")
	impostor := w.realm
	w.realm = ""
	w.shoal("peer", "ls").exit(5, "not of the realm it was: pinned "+trusted, "answering "+impostor, "known_realms")
	w.shoal("peer", "ls", "--pin", impostor).exit(5, trusted)
	w.realm = impostor
	if list := w.list(); len(list) != 0 {
		t.Errorf("the stranger was told of %v", list)
	}
}

// TestPlaintextAndTLS has two sides that were told different things. Neither gives in.
func TestPlaintextAndTLS(t *testing.T) {
	t.Parallel()
	secure, plain := newWorld(t), bareWorld(t)
	plain.plaintext = "loopback"
	plain.startServer("127.0.0.1:0")
	plain.shoal("client", "ls").ok()
	secure.shoal("client", "ls", "--plaintext").exit(2, "one side speaks plaintext and the other TLS", "--plaintext")
	plain.plaintext = ""
	plain.shoal("client", "ls").exit(2, "one side speaks plaintext and the other TLS", "--plaintext")
}

// TestPlaintextStaysHome keeps plaintext on loopback unless it is asked to leave.
func TestPlaintextStaysHome(t *testing.T) {
	t.Parallel()
	w := bareWorld(t)
	w.shoal("server", "server", "--plaintext", "--listen", ":0").exit(5, "loopback", "--plaintext=any")
	w.shoal("server", "server", "--plaintext", "--listen", "192.0.2.1:0").exit(5, "loopback", "--plaintext=any")
	w.shoal("server", "server", "--plaintext=yes").exit(2, "--plaintext")
	w.plaintext = "any"
	w.startServer(":0")
	_, port, err := net.SplitHostPort(w.address)
	if err != nil {
		t.Fatal(err)
	}
	w.address = net.JoinHostPort("127.0.0.1", port)
	w.plaintext = "loopback"
	w.shoal("client", "ls").ok()
	w.shoal("peer", "peer", "--listen", "0.0.0.0:0").exit(5, "loopback", "--plaintext=any")
	if host := ownAddress(t); host != "" {
		w.address = net.JoinHostPort(host, port)
		w.shoal("client", "ls").exit(5, "loopback", "--plaintext=any")
		w.shoal("client", "ls", "--plaintext=any").ok()
	}
}

// ownAddress is an address of this machine other than loopback; "" when there is none.
func ownAddress(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil && !ip.IP.IsLoopback() {
			return ip.IP.String()
		}
	}
	return ""
}

// TestNoServer has no server to talk to. Peers wait for it; commands do not.
func TestNoServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.server.stop()
	w.shoal("client", "ls").exit(8, "connecting to the server at "+w.address, "is it running")
	w.shoal("client", "get", "file").exit(8, w.address)
	path := w.path("file")
	write(t, path, random(1000, 82))
	w.shoal("client", "publish", path).exit(8, w.address)
	w.peer("peer").awaitError("serving goes on without the server")
	w.restartServer()
	w.shoal("peer", "publish", path).ok()
	if e := w.list()["file"]; e.Sources != 1 {
		t.Errorf("published when the server was there: %+v", e)
	}
}

// TestServerThatIsNone has something else listen where the server should, which says nothing or says nonsense.
func TestServerThatIsNone(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]string{"nonsense": "220 mail.example ESMTP ready for anything\r\n", "goodbye": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := bareWorld(t)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			exempt(t, l.Addr())
			done := make(chan struct{})
			go func() {
				defer close(done)
				for {
					nc, err := l.Accept()
					if err != nil {
						return
					}
					_, _ = nc.Write([]byte(says))
					_ = nc.(*net.TCPConn).CloseWrite()
					_, _ = nc.Read(make([]byte, 1<<16))
					nc.Close()
				}
			}()
			t.Cleanup(func() { l.Close(); <-done })
			w.address, w.realm = l.Addr().String(), strings.Repeat("a", 52)
			r := w.shoal("client", "ls")
			if r.code != 8 && r.code != 2 {
				r.exit(8)
			}
			r.exit(r.code, "connecting to the server at "+w.address)
		})
	}
}

// TestPublishInForeground serves from the command itself, until it is interrupted.
func TestPublishInForeground(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	content := random(2*mib, 83)
	path := w.path("file")
	write(t, path, content)
	publish := w.start("alone", "publish", "--json", path)
	publish.await("published", nil)
	publish.awaitError("Ctrl-C")
	w.shoal("getter", "get", "file", "-o", w.path("out")).ok()
	same(t, w.path("out"), content)
	if e := w.list()["file"]; e.Sources != 1 || e.Size != int64(len(content)) {
		t.Errorf("ls: %+v", e)
	}
	publish.signal(syscall.SIGINT)
	publish.wait().ok()
	if e := w.list()["file"]; e.Sources != 0 {
		t.Errorf("ls when nobody serves it any more: %+v", e)
	}
}

// TestNameIsTaken publishes other content under a name that is there.
func TestNameIsTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.peer("a"), w.peer("b")
	first := a.publishCopy("file", random(1000, 84))
	path := w.path("files", "b", "file")
	write(t, path, random(1000, 85))
	line := w.shoal("b", "sum", path).ok().stdout
	second, _, _ := strings.Cut(line, " ")
	w.shoal("b", "publish", path).exit(7, first.File, second, "unpublish")
	if e := w.list()["file"]; e.File != first.File || e.Sources != 1 {
		t.Errorf("after that: %+v", e)
	}
	w.shoal("b", "publish", w.path("nothing")).exit(3, w.path("nothing"))
	w.shoal("b", "publish", w.dir).exit(2, w.dir)
	// The same content is no other content.
	b.publishCopy("file", random(1000, 84))
	if e := w.list()["file"]; e.Sources != 2 {
		t.Errorf("published by two: %+v", e)
	}
	w.shoal("a", "unpublish", "file").ok()
	if list := w.list(); len(list) != 0 {
		t.Errorf("after unpublish: %+v", list)
	}
	w.shoal("a", "unpublish", "nothing at all").exit(3)
}
