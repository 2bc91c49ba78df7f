package e2e

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"strings"
	"testing"
	"time"

	"shoal"
)

// enricher starts the enrichment service.
func (w *world) enricher(listen string) (*process, event) {
	w.Helper()
	p := w.start("soap", "soap", "--listen", listen, "--json")
	return p, p.await("listening", nil)
}

// picture is a PNG of 37 by 21 pixels.
func picture(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 37, 21))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// awaitFacts asks until a name has facts in a state.
func (w *world) awaitFacts(name string, state shoal.FactsState) shoal.Facts {
	w.Helper()
	begin := time.Now()
	for {
		e := w.list()[name]
		if e.Facts.State == state {
			return e.Facts
		}
		if time.Since(begin) > patience {
			w.Fatalf("%s has %+v, and not %v", name, e.Facts, state)
		}
	}
}

var png37x21 = shoal.Facts{State: shoal.Known, MediaType: "image/png", Category: "image", Width: 37, Height: 21}

// TestFacts tells what a file is from its content, not its name.
func TestFacts(t *testing.T) {
	t.Parallel()
	w := bareWorld(t)
	_, soap := w.enricher("127.0.0.1:0")
	w.startServer("127.0.0.1:0", "--soap", soap.URL)
	p := w.peer("peer")
	published := p.publishCopy("a.txt", picture(t))
	if got := w.awaitFacts("a.txt", shoal.Known); got != png37x21 {
		t.Errorf("got %+v", got)
	}
	for _, target := range []string{"a.txt", published.File} {
		var info entry
		if err := json.Unmarshal([]byte(w.shoal("asking", "info", "--json", target).ok().stdout), &info); err != nil {
			t.Fatal(err)
		}
		if want := (entry{"a.txt", published.Size, published.File, 1, 0, png37x21}); info != want {
			t.Errorf("info %s says %+v, want %+v", target, info, want)
		}
		said := w.shoal("asking", "info", target).ok().stdout
		for _, part := range []string{"a.txt", published.File, "image/png\n", "37 x 21", "1 with all of it, 0 with a part"} {
			if !strings.Contains(said, part) {
				t.Errorf("info does not say %q:\n%s", part, said)
			}
		}
	}
	if said := w.shoal("asking", "ls").ok().stdout; !strings.Contains(said, "  image/png  a.txt\n") {
		t.Errorf("ls says\n%s", said)
	}
	w.shoal("asking", "info", "nothing").exit(3, `"nothing"`)

	// In the foreground it is the same, and a server that lost its memory is told again.
	path := w.path("b.txt")
	write(t, path, append(picture(t), 0))
	publish := w.start("alone", "publish", "--json", path)
	publish.await("published", nil)
	w.awaitFacts("b.txt", shoal.Known)
	w.server.kill()
	w.restartServer("--soap", soap.URL)
	for _, name := range []string{"a.txt", "b.txt"} {
		if got := w.awaitFacts(name, shoal.Known); got != png37x21 {
			t.Errorf("%s, after a restart: %+v", name, got)
		}
	}
}

// TestNoSample keeps a file's content from the server, whoever publishes it again.
func TestNoSample(t *testing.T) {
	t.Parallel()
	w := bareWorld(t)
	_, soap := w.enricher("127.0.0.1:0")
	w.startServer("127.0.0.1:0", "--soap", soap.URL)
	p, getter := w.peer("peer"), w.peer("getter")
	path := w.path("files", "peer", "a.txt")
	write(t, path, picture(t))
	w.shoal("peer", "publish", "--no-sample", path).ok()
	withheld := func(when string) {
		t.Helper()
		got := w.awaitFacts("a.txt", shoal.Withheld)
		if got.MediaType != "text/plain" || got.Width != 0 {
			t.Errorf("%s: %+v", when, got)
		}
	}
	withheld("published")
	if said := w.shoal("asking", "ls").ok().stdout; !strings.Contains(said, "  text/plain?  a.txt\n") {
		t.Errorf("ls says\n%s", said)
	}
	if said := w.shoal("asking", "info", "a.txt").ok().stdout; !strings.Contains(said, "guessed from the name") {
		t.Errorf("info says\n%s", said)
	}
	w.shoal("getter", "get", "a.txt").ok()
	withheld("fetched")
	// The peer remembers it, and who has fetched the file does not decide for its publisher.
	p.stop()
	w.server.kill()
	w.restartServer("--soap", soap.URL)
	withheld("published again by who fetched it")
	w.peer("peer")
	getter.stop()
	withheld("published again by a peer that was restarted")
	w.shoal("peer", "publish", path).ok()
	if got := w.awaitFacts("a.txt", shoal.Known); got != png37x21 {
		t.Errorf("published with a sample: %+v", got)
	}
}

// TestPendingFacts publishes while the enrichment service is away, which nothing waits for.
func TestPendingFacts(t *testing.T) {
	t.Parallel()
	w := bareWorld(t)
	service, soap := w.enricher("127.0.0.1:0")
	service.kill()
	w.startServer("127.0.0.1:0", "--soap", soap.URL)
	p := w.peer("peer")
	p.publishCopy("a.txt", picture(t))
	p.publishCopy("b.bin", picture(t))
	if e := w.list()["a.txt"]; e.Facts != (shoal.Facts{State: shoal.Pending}) {
		t.Errorf("got %+v", e.Facts)
	}
	if said := w.shoal("asking", "ls").ok().stdout; !strings.Contains(said, "  pending  a.txt\n") {
		t.Errorf("ls says\n%s", said)
	}
	if said := w.shoal("asking", "info", "a.txt").ok().stdout; !strings.Contains(said, "not answered yet") {
		t.Errorf("info says\n%s", said)
	}
	w.enricher(soap.Address)
	for _, name := range []string{"a.txt", "b.bin"} {
		if got := w.awaitFacts(name, shoal.Known); got != png37x21 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestNoEnricher has a server that nobody told of an enrichment service: nothing is pending.
func TestNoEnricher(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.peer("peer").publishCopy("a.txt", picture(t))
	if e := w.list()["a.txt"]; e.Facts != (shoal.Facts{}) {
		t.Errorf("got %+v", e.Facts)
	}
	if said := w.shoal("asking", "ls").ok().stdout; !strings.Contains(said, "  -  a.txt\n") {
		t.Errorf("ls says\n%s", said)
	}
	w.shoal("server", "server", "--soap", "nonsense").exit(2, "https://HOST:PORT")
}
