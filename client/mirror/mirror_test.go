package mirror

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shoal"
)

// Everything comes, by ranges that are longer than blocks, over few connections, and nothing is sent along that tells who asks.
func TestRanges(t *testing.T) {
	s := newSite(t, random(3<<18+70_001), nil)
	src := s.source()
	blocks := blocksOf(src.Object, 16<<10)
	k := fetch(t, src, blocks)
	if !bytes.Equal(k.got, s.content) || len(k.errs) > 0 {
		t.Errorf("other bytes came: %v", k.errs)
	}
	asks := s.asked()
	if len(asks) > len(blocks)/4 {
		t.Errorf("%d requests for %d blocks", len(asks), len(blocks))
	}
	peers := map[string]bool{}
	for _, r := range asks {
		peers[r.RemoteAddr] = true
		for name := range r.Header {
			if name != "Range" && name != "If-Range" && name != "User-Agent" && name != "Accept-Encoding" {
				t.Errorf("%s was sent", name)
			}
		}
	}
	if len(peers) > connections {
		t.Errorf("%d connections", len(peers))
	}
}

func TestEmptyFile(t *testing.T) {
	s := newSite(t, nil, nil)
	if k := fetch(t, s.source(), []extent{{}}); k.blocks[extent{}] != 1 || len(k.errs) > 0 || len(s.asked()) > 0 {
		t.Errorf("got %+v", k)
	}
}

// A web server without ranges is read from the beginning, and is of use for what lies there.
func TestWithoutRanges(t *testing.T) {
	whole := func(content []byte) func(w http.ResponseWriter, r *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			_, _ = w.Write(content) // who does not want the rest closes
			return true
		}
	}
	content := random(2<<18 + 5)
	s := newSite(t, content, whole(content))
	src := s.source()
	blocks := blocksOf(src.Object, 64<<10)
	k := fetch(t, src, append(blocks[5:], blocks[:5]...))
	if !bytes.Equal(k.got, content) || len(k.errs) > 0 || len(s.asked()) > 3 {
		t.Errorf("other bytes came, by %d requests: %v", len(s.asked()), k.errs)
	}
	content = random(rangeless + 1<<18)
	s = newSite(t, content, whole(content))
	c, err := s.source().Open(t.Context())
	must(t, err)
	defer c.Run(newTaker(objectOf(nil), 0))
	defer c.Close(nil)
	if got := c.Pieces(); len(got) != 3 || got[0] != 0xff || got[1] != 0xff || got[2] != 0 {
		t.Errorf("it has %x", got)
	}
}

// What is no answer to what was asked ends it, and says why.
func TestWrongAnswers(t *testing.T) {
	content := random(1 << 18)
	reply := func(status int, header string, n int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			for line := range strings.Lines(header) {
				name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
				w.Header().Set(name, value)
			}
			w.WriteHeader(status)
			_, _ = w.Write(content[:n])
			return true
		}
	}
	for name, wrong := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request) bool
		code   shoal.Code
		says   string
	}{
		"another size":          {reply(206, "Content-Range: bytes 0-0/262145", 1), shoal.Changed, "262145"},
		"another range":         {reply(206, "Content-Range: bytes 1-1/262144", 1), shoal.Changed, "asked for"},
		"a longer range":        {reply(206, "Content-Range: bytes 0-1/262144", 2), shoal.Changed, "asked for"},
		"no range":              {reply(206, "", 1), shoal.Changed, ""},
		"several ranges":        {reply(206, "Content-Type: multipart/byteranges; boundary=x", 1), shoal.Changed, ""},
		"a range of characters": {reply(206, "Content-Range: chars 0-0/262144", 1), shoal.Changed, ""},
		"a huge number":         {reply(206, "Content-Range: bytes 0-0/99999999999999999999999", 1), shoal.Changed, ""},
		"a page of its own":     {reply(200, "Content-Length: 5", 5), shoal.Changed, "5 bytes"},
		"compressed":            {reply(206, "Content-Range: bytes 0-0/262144\nContent-Encoding: gzip", 1), shoal.Changed, "gzip"},
		"not there":             {reply(404, "", 0), shoal.Changed, "404"},
		"gone":                  {reply(410, "", 0), shoal.Changed, "410"},
		"shorter":               {reply(416, "Content-Range: bytes */0", 0), shoal.Changed, "shorter"},
		"forbidden":             {reply(403, "", 0), shoal.Denied, "403"},
		"a login":               {reply(401, "Www-Authenticate: Basic", 0), shoal.Denied, "401"},
		"a fault":               {reply(500, "", 0), shoal.Unreachable, "500"},
		"nothing":               {reply(204, "", 0), shoal.Unreachable, "204"},
		"an endless head":       {reply(206, "Content-Range: bytes 0-0/262144\nX: "+strings.Repeat("x", 2*headBytes), 1), shoal.Unreachable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newSite(t, content, wrong.answer).source().Open(t.Context())
			wantCode(t, err, wrong.code, wrong.says)
		})
	}
}

// second lets the first request be answered as it should be, and the others as said.
func second(answer func(w http.ResponseWriter, r *http.Request)) func(http.ResponseWriter, *http.Request) bool {
	var once sync.Once
	return func(w http.ResponseWriter, r *http.Request) bool {
		first := false
		once.Do(func() { first = true })
		if !first {
			answer(w, r)
		}
		return !first
	}
}

// A file that changes midway, an answer that ends early, and one that is too long end the connection.
func TestMidway(t *testing.T) {
	content := random(1 << 18)
	serve := func(w http.ResponseWriter, r *http.Request, at int64) {
		http.ServeContent(w, r, "file", time.Unix(at, 0), bytes.NewReader(content))
	}
	for name, wrong := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		code   shoal.Code
		says   string
	}{
		"changed": {func(w http.ResponseWriter, r *http.Request) { serve(w, r, 1_800_000_000) }, shoal.Changed, "not what it was"},
		"changed and told anyway": {func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("If-Range")
			serve(w, r, 1_800_000_000)
		}, shoal.Changed, "not what it was"},
		"shorter than said": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Range", "bytes 0-262143/262144")
			w.Header().Set("Content-Length", "262144")
			w.Header().Set("Last-Modified", time.Unix(1_700_000_000, 0).UTC().Format(http.TimeFormat))
			w.WriteHeader(206)
			_, _ = w.Write(content[:100_000])
		}, shoal.Unreachable, "before all has come"},
		"longer than asked": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Range", "bytes 0-262143/262144")
			w.Header().Set("Last-Modified", time.Unix(1_700_000_000, 0).UTC().Format(http.TimeFormat))
			w.WriteHeader(206)
			_, _ = w.Write(append(bytes.Clone(content), 0))
		}, shoal.Changed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, content, second(wrong.answer))
			c, err := s.source().Open(t.Context())
			must(t, err)
			k := newTaker(s.source().Object, 2) // more than there are: until all is lost
			var run sync.WaitGroup
			run.Go(func() { c.Run(k) })
			c.Fetch(0, 0, 1<<18)
			<-k.done
			run.Wait()
			if len(k.errs) != 1 {
				t.Fatalf("got %v", k.errs)
			}
			wantCode(t, k.errs[0], wrong.code, wrong.says)
		})
	}
}

// An entity tag says more than a time, unless it is a weak one.
func TestValidators(t *testing.T) {
	for tag, want := range map[string]string{`"a"`: `"a"`, `W/"a"`: "Tue, 14 Nov 2023 22:13:20 GMT", "": "Tue, 14 Nov 2023 22:13:20 GMT"} {
		s := newSite(t, random(1<<18), func(w http.ResponseWriter, _ *http.Request) bool {
			if tag != "" {
				w.Header().Set("ETag", tag)
			}
			return false
		})
		if k := fetch(t, s.source(), []extent{{0, 0, 1 << 18}}); len(k.errs) > 0 {
			t.Error(k.errs)
		}
		asks := s.asked()
		if got := asks[len(asks)-1].Header.Get("If-Range"); got != want {
			t.Errorf("with the tag %s the condition is %s", tag, got)
		}
	}
}

// What is canceled does not come, or is thrown away, and what the sink does not read keeps nothing else from coming.
func TestCancel(t *testing.T) {
	s := newSite(t, random(1<<20), nil)
	src := s.source()
	c, err := src.Open(t.Context())
	must(t, err)
	blocks := blocksOf(src.Object, 64<<10)
	k := newTaker(src.Object, len(blocks)/2)
	refused := errors.New("refused")
	k.wants = func(x extent) error {
		if x.piece == 0 && x.begin == 0 {
			return refused
		}
		return nil
	}
	for _, b := range blocks {
		c.Fetch(b.piece, b.begin, b.length)
	}
	for i, b := range blocks {
		if i%2 > 0 {
			c.Cancel(b.piece, b.begin, b.length)
		}
	}
	c.Cancel(3, 5, 7)
	var run sync.WaitGroup
	run.Go(func() { c.Run(k) })
	<-k.done
	c.Close(nil)
	run.Wait()
	for i, b := range blocks {
		if k.blocks[b] != 1-i%2 && i > 0 {
			t.Errorf("block %d came %d times", i, k.blocks[b])
		}
	}
	if len(k.errs) != 1 || k.errs[0] != refused {
		t.Errorf("got %v", k.errs)
	}
	if c.Received() == 0 {
		t.Error("nothing was counted")
	}
}

// A web server that never answers is not waited for for ever, and none of it outlasts the Conn.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := inMemory(t, random(1<<18), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		begin := time.Now()
		_, err := src.Open(t.Context())
		wantCode(t, err, shoal.Unreachable, "")
		if took := time.Since(begin); took > headTimeout+time.Second {
			t.Errorf("it took %v", took)
		}
		why := errors.New("enough")
		content := random(1 << 18)
		src = inMemory(t, content, stalling(content))
		c, err := src.Open(t.Context())
		must(t, err)
		k := newTaker(src.Object, 1)
		var run sync.WaitGroup
		run.Go(func() { c.Run(k) })
		c.Fetch(0, 0, 1<<18)
		time.Sleep(time.Second)
		c.Close(why)
		run.Wait()
		if len(k.errs) != 1 || !errors.Is(k.errs[0], why) {
			t.Errorf("got %v", k.errs)
		}
	})
}

// stalling answers the first request, and of the others only the beginning.
func stalling(content []byte) http.Handler {
	answer := second(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(content)-1, len(content)))
		w.WriteHeader(206)
		_, _ = w.Write(content[:1000])
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !answer(w, r) {
			http.ServeContent(w, r, "file", time.Time{}, bytes.NewReader(content))
		}
	})
}
