package e2e

import (
	"testing"
)

// TestGroupDownloadOutlivesServer kills the server for good while a member's download runs: the ticket's offline grace
// lets it go on to the end.
func TestGroupDownloadOutlivesServer(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.member("bob", "bob")
	content := random(16*mib, 93)
	source := l.peer("ann")
	l.share(source, "file", content)
	f := l.fetch("bob", source, 4*mib)
	l.server.kill()
	f.source.open()
	f.wait().ok()
	same(t, f.out, content)
}

// TestDownloadOutlivesTickets makes a download's ticket void again and again, because somebody else is removed from the
// group: it goes on with the next one, from the same source, without fetching anything twice.
func TestDownloadOutlivesTickets(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.member("bob", "bob")
	content := random(32*mib, 94)
	source := l.peer("ann")
	l.share(source, "file", content)
	f := l.fetch("bob", source, mib)
	f.hurry = f.source.trickle(slowly / 16) // the commands may take a while
	defer f.hurry()
	for _, name := range []string{"carol", "dave", "eve", "frank"} {
		l.member(name, name)
		l.shoal("ann", "group", "remove", "lab", name).ok()
		f.source.flows(t)
	}
	if f.hasEnded() {
		t.Fatal("the download was over before its tickets were")
	}
	f.hurry()
	f.source.open()
	done := f.wait().ok().event("done")
	same(t, f.out, content)
	if got := done.Sources.from(source.device); got.Bytes != int64(len(content)) {
		t.Errorf("%+v of %d bytes", got, len(content))
	}
	if carried := f.source.carried.Load(); carried > int64(len(content))+overhead {
		t.Errorf("%d bytes came for a file of %d", carried, len(content))
	}
}
