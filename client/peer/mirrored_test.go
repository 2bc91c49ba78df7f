package peer

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"shoal"
	"shoal/client/tracker"
	"shoal/wire"
)

// mirrorOf serves bytes by HTTP, as a source of the world. It reports how often it was asked, and closes channels when it is
// asked for the first block.
func (w *world) mirrorOf(content []byte, begun ...chan struct{}) (from tracker.Source, asked func() int) {
	var mu sync.Mutex
	n := 0
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		if n++; n == 2 && len(begun) > 0 { // the first one looks what is there
			close(begun[0])
		}
		mu.Unlock()
		http.ServeContent(rw, r, "file", time.Unix(1_700_000_000, 0), bytes.NewReader(content))
	}))
	w.t.Cleanup(s.Close)
	url := shoal.Mirror(s.URL + "/file")
	return tracker.Source{Device: shoal.DeviceID(random(32, byte(len(url)))), Mirror: url, Private: true}, func() int {
		mu.Lock()
		defer mu.Unlock()
		return n
	}
}

func shareOf(st Status, from tracker.Source) SourceStatus {
	for _, one := range st.Sources {
		if one.Device == from.Device {
			return one
		}
	}
	return SourceStatus{}
}

// A mirror alone is enough where the server keeps the manifest.
func TestMirrorAlone(t *testing.T) {
	for _, size := range []int{0, 1, 5*pieceLength + 70_001} {
		w := newWorld(t, place(t, random(size, 1)))
		w.kept = w.file.Manifest()
		from, _ := w.mirrorOf(bytesOf(t, w.file, 0, int64(size)))
		tr := w.transfer()
		tr.Sources = append(tr.Sources, from)
		st := w.fetch(tr)
		if got := shareOf(st, from); got.Bytes != int64(size) || got.Mirror != from.Mirror.Host() {
			t.Errorf("of %d bytes the mirror gave %+v", size, got)
		}
	}
}

// Where the server keeps none, a peer has the manifest, and both give pieces.
func TestMirrorAndPeer(t *testing.T) {
	w := newWorld(t, place(t, random(64*pieceLength, 2)))
	begun := make(chan struct{})
	from, _ := w.mirrorOf(bytesOf(t, w.file, 0, w.file.Object().Size), begun)
	slow := w.script(onRequest(func(s *scripted, id uint32, m wire.Request) []byte {
		<-begun // else it might have given everything before the mirror is there
		return s.block(id, m, s.bytes(m))
	}))
	tr := w.transfer(slow)
	tr.Sources = append(tr.Sources, from)
	st := w.fetch(tr)
	if a, b := shareOf(st, from).Bytes, share(st, slow).Bytes; a == 0 || b == 0 || a+b != w.file.Object().Size {
		t.Errorf("the mirror gave %d bytes, the peer %d", a, b)
	}
}

// A mirror that has other bytes is found out by the pieces' hashes, and not asked any more. It is no device to be reported.
func TestLyingMirror(t *testing.T) {
	w := newWorld(t, place(t, random(32*pieceLength, 3)))
	w.kept = w.file.Manifest()
	content := bytesOf(t, w.file, 0, w.file.Object().Size)
	for i := 1000; i < len(content); i += pieceLength {
		content[i] ^= 1
	}
	from, asked := w.mirrorOf(content)
	honest := w.script(nil)
	tr := w.transfer(honest)
	tr.Sources = append(tr.Sources, from)
	st := w.fetch(tr)
	if got := shareOf(st, from); got.Bytes != 0 || got.Connected {
		t.Errorf("the liar gave %+v", got)
	}
	if got := share(st, honest); got.Bytes != w.file.Object().Size {
		t.Errorf("the honest one gave %+v", got)
	}
	if n := asked(); n > 40 {
		t.Errorf("the liar was asked %d times", n)
	}
	if len(w.reported) > 0 {
		t.Errorf("reported are %v", w.reported)
	}
}

// Whoever names a device wants no mirror, and a private one is not used where the server does not allow that.
func TestMirrorsThatAreNotUsed(t *testing.T) {
	w := newWorld(t, place(t, random(3*pieceLength, 4)))
	w.kept = w.file.Manifest()
	honest := w.script(nil)
	from, asked := w.mirrorOf(nil)
	from.Private = false
	tr := w.transfer(honest)
	tr.Sources = append(tr.Sources, from)
	if st := w.fetch(tr); share(st, honest).Bytes != w.file.Object().Size {
		t.Errorf("got %+v", st)
	}
	from.Private = true
	tr = w.transfer(honest)
	device := honest.key.Device()
	tr.Sources, tr.From = append(tr.Sources, from), &device
	w.fetch(tr)
	if n := asked(); n > 0 {
		t.Errorf("the mirror was asked %d times", n)
	}
	tr = w.transfer()
	from.Private = false
	tr.Sources, tr.Timeout = []tracker.Source{from}, 2*time.Second
	_, err := tr.Run(context.Background())
	wantCode(t, err, shoal.NoSources)
}
