package e2e

import (
	"os"
	"strings"
	"testing"
	"time"
)

// mirroredWorld has a server that allows private mirrors, and a web server with a file.
func mirroredWorld(t *testing.T, content []byte) (*world, *nginx) {
	t.Helper()
	w := bareWorld(t)
	w.startServer("127.0.0.1:0", "--private-mirrors")
	n := startNginx(w)
	write(t, n.folder+"/file", content)
	return w, n
}

// publishAt publishes a copy with mirrors.
func (p *peer) publishAt(name string, content []byte, mirrors ...string) {
	p.t.Helper()
	path := p.dir + "/" + name
	write(p.t, path, content)
	args := []string{"publish", "--json", path}
	for _, m := range mirrors {
		args = append(args, "--mirror", m)
	}
	p.w.shoal(p.state, args...).ok()
}

// TestMirrorAlone fetches while the publisher is away: from a web server with ranges, by a redirect, and from one without.
func TestMirrorAlone(t *testing.T) {
	t.Parallel()
	content := random(3*mib+12_345, 60)
	w, n := mirroredWorld(t, content)
	publisher := w.peer("publisher")
	contents := map[string][]byte{"": content, "-moved": random(mib, 65), "-rangeless": random(3*mib+5, 66)}
	for way, content := range contents {
		write(t, n.folder+"/file"+way, content)
		publisher.publishAt("file"+way, content, n.url+strings.ReplaceAll(way, "-", "/")+"/file"+way)
	}
	publisher.stop()
	host := strings.TrimPrefix(n.url, "http://")
	for way, content := range contents {
		out := w.path("out" + way)
		done := w.get("getter"+way, "file"+way, "-o", out).wait().ok().event("done")
		same(t, out, content)
		if got := done.Sources.Shares; len(got) != 1 || got[0].Mirror != host || got[0].Device != "" || got[0].Bytes != int64(len(content)) {
			t.Errorf("by %q the sources were %+v", way, got)
		}
	}
	if got := w.shoal("getter", "cat", "file", "--range", "1M-2M").ok().stdout; got != string(content[mib:2*mib]) {
		t.Errorf("%d bytes were written of a range", len(got))
	}
	if lines := n.accessed(); !strings.Contains(lines, "\" 206 ") || !strings.Contains(lines, "\" 302 ") || strings.Contains(lines, "Go-http-client") {
		t.Errorf("nginx was asked:\n%s", lines)
	}
	text := w.shoal("getter", "info", "file").ok().stdout
	if !strings.Contains(text, n.url+"/file") || !strings.Contains(text, "0 with all of it") {
		t.Errorf("info says\n%s", text)
	}
	if text = w.shoal("getter", "info", "--json", "file").ok().stdout; !strings.Contains(text, `"mirrors":["`+n.url+`/file"]`) {
		t.Errorf("info --json says\n%s", text)
	}
	// With the server's own restart mirrors and manifest are still there.
	w.server.kill()
	w.restartServer("--private-mirrors")
	w.get("later", "file", "-o", w.path("later")).wait().ok()
	same(t, w.path("later"), content)
}

// TestMirrorAmongPeers draws on a peer and a web server at once, and finds out a web server whose file is another.
func TestMirrorAmongPeers(t *testing.T) {
	t.Parallel()
	content := random(16*mib, 61)
	w, n := mirroredWorld(t, content)
	lying := append([]byte(nil), content...)
	for i := 0; i < len(lying); i += 10_000 { // in each block that can be asked for
		lying[i] ^= 1
	}
	write(t, n.folder+"/lying", lying)
	seed := w.peer("seed", "--up", "8M")
	seed.publishAt("file", content, n.url+"/slow/file", n.url+"/lying", n.url+"/circle/", n.url+"/inside/", n.url+"/nowhere", "http://127.0.0.1:1/file")
	done := w.get("getter", "file", "-o", w.path("out")).wait().ok().event("done")
	same(t, w.path("out"), content)
	if done.Sources.from(seed.device).Bytes == 0 || len(done.Sources.Shares) != 7 {
		t.Errorf("the sources were %+v", done.Sources)
	}
	gave := 0
	for _, s := range done.Sources.Shares {
		if s.Mirror != "" && s.Bytes > 0 {
			gave++
		}
	}
	if gave != 1 {
		t.Errorf("%d mirrors gave something, where one is right: %+v", gave, done.Sources)
	}
}

// TestChangedMirror replaces the web server's file halfway: what comes of the new one is not taken.
func TestChangedMirror(t *testing.T) {
	t.Parallel()
	content := random(4*mib, 62)
	w, n := mirroredWorld(t, content)
	publisher := w.peer("publisher")
	publisher.publishAt("file", content, n.url+"/slow/file")
	publisher.stop()
	get := w.get("getter", "file", "-o", w.path("out"), "--timeout", "6s")
	get.await("progress", func(e event) bool { return e.Held >= 256*kib })
	other := random(4*mib, 63)
	write(t, n.folder+"/other", other)
	if err := os.Chtimes(n.folder+"/other", time.Time{}, time.Unix(1_800_000_000, 0)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(n.folder+"/other", n.folder+"/file"); err != nil {
		t.Fatal(err)
	}
	get.wait().exit(4, "the mirror at")
	absent(t, w.path("out"))
	write(t, n.folder+"/file", content)
	w.get("getter", "file", "-o", w.path("out")).wait().ok()
	same(t, w.path("out"), content)
}

// TestPrivateMirrors are of no use with a server that does not allow them, and nothing is sent to them.
func TestPrivateMirrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := startNginx(w)
	content := random(mib, 64)
	write(t, n.folder+"/file", content)
	publisher := w.peer("publisher")
	publisher.publishAt("file", content, n.url+"/file", strings.Replace(n.url, "127.0.0.1", "localhost", 1)+"/file")
	publisher.stop()
	w.get("getter", "file", "-o", w.path("out"), "--timeout", "2s").wait().exit(4, "--private-mirrors")
	if lines := n.accessed(); lines != "" {
		t.Errorf("nginx was asked:\n%s", lines)
	}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--mirror", "ftp://a/file"}, "http://"},
		{[]string{"--mirror", "http://me:secret@a/file"}, "user or a password"},
		{[]string{"--mirror", "http://a/", "--mirror", "http://a/"}, "twice"},
		{[]string{w.path("out"), "--mirror", "http://a/"}, "one by one"},
	} {
		r := w.shoal("publisher", append([]string{"publish", publisher.dir + "/file"}, c.args...)...).exit(2, c.says)
		if strings.Contains(r.stderr, "secret") {
			t.Errorf("a password is shown: %s", r.stderr)
		}
	}
}
