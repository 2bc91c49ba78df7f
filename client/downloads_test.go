package client

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"shoal"
	"shoal/client/queue"
	"shoal/client/store"
	"shoal/wire"
)

// control is a command's way to a daemon.
func control(t *testing.T, d *Daemon) *Control {
	t.Helper()
	c, err := FindDaemon(d.config.State)
	must(t, err)
	t.Cleanup(c.Close)
	return c
}

// enqueue queues gets, all of which are to be accepted.
func enqueue(t *testing.T, c *Control, gets ...Get) (ids []uint64) {
	t.Helper()
	must(t, c.Queue(t.Context(), gets, func(i int, d *queue.Download, err error) {
		if err != nil {
			t.Fatalf("%s is not queued: %v", gets[i].Target, err)
		}
		ids = append(ids, d.ID)
	}))
	return ids
}

// downloads are those of the daemon, in the end if watch is set.
func downloads(t *testing.T, c *Control, watch bool, ids ...uint64) []queue.Download {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	last := map[uint64]queue.Download{}
	must(t, c.Downloads(ctx, ids, watch, func(d queue.Download) { last[d.ID] = d }, func(id uint64) { delete(last, id) }, nil))
	var all []queue.Download
	for _, d := range last {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b queue.Download) int { return int(a.ID) - int(b.ID) })
	return all
}

// share gives the daemon a file of random bytes, and has the server find it whatever is looked for.
func share(t *testing.T, s *realmServer, d *Daemon, size int) []byte {
	t.Helper()
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(size)}).Read(data)
	path := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(path, data, 0o600))
	f, err := store.Hash(t.Context(), path, nil)
	must(t, err)
	must(t, d.Share(t.Context(), "lab", "file", f, NoSample))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found = &wire.LookupReply{Name: "file", Content: f.Object(), Availability: shoal.Availability{Whole: 1, Least: 1}, Facts: &shoal.Facts{}}
	return data
}

// What a daemon serves itself it gives to those who want it elsewhere: all of it, or a range.
func TestQueueWhatIsServedHere(t *testing.T) {
	s := newRealmServer(t)
	c := s.config()
	d, stop := daemon(t, c)
	command := control(t, d)
	data := share(t, s, d, 3<<20+5)
	dir := t.TempDir()
	r := shoal.Range{Begin: 1000, End: 2 << 20}
	ids := enqueue(t, command, Get{Group: "lab", Target: "file", Folder: dir}, Get{Group: "lab", Target: "file", Folder: dir, Range: r})
	for i, download := range downloads(t, command, true, ids...) {
		want, path := data, filepath.Join(dir, "file")
		if i == 1 {
			want, path = data[r.Begin:r.End], path+".1000-2097152"
		}
		if download.State != queue.Done || download.Path != path || download.Served != (i == 0) || download.Fault != nil {
			t.Errorf("the download is %+v", download)
		}
		if len(download.Shares) != 1 || download.Shares[0].Device != d.Device() || download.Shares[0].Bytes != download.Size {
			t.Errorf("of %d bytes devices gave %+v", download.Size, download.Shares)
		}
		got, err := os.ReadFile(path)
		must(t, err)
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what was wanted", path)
		}
	}
	// Twice the same content is one file to serve, and it can still be had, also after a restart.
	wantServed(t, d, 1, "file")
	for range 2 {
		out := filepath.Join(t.TempDir(), "third")
		again := downloads(t, command, true, enqueue(t, command, Get{Group: "lab", Target: "file", Out: out})...)
		if again[0].State != queue.Done || again[0].Path != out {
			t.Errorf("the download is %+v", again[0])
		}
		stop()
		d, stop = daemon(t, c)
		command = control(t, d)
	}
	if all := downloads(t, command, false); len(all) != 4 {
		t.Errorf("%d downloads are listed", len(all))
	}
}

// What is not there is refused at once; what cannot be asked for now is queued, and can be held and given up.
func TestQueueWithoutServer(t *testing.T) {
	s := newRealmServer(t)
	d, _ := daemon(t, s.config())
	command := control(t, d)
	must(t, command.Queue(t.Context(), []Get{{Group: "lab", Target: "missing"}, {Group: "lab", Target: ".."}}, func(i int, _ *queue.Download, err error) {
		wantCode(t, err, []shoal.Code{shoal.NotFound, shoal.BadRequest}[i])
	}))
	d, _ = daemon(t, config(t))
	command = control(t, d)
	ids := enqueue(t, command, Get{Group: "lab", Target: "a", Folder: t.TempDir()}, Get{Group: "lab", Target: "b", Folder: t.TempDir()})
	alter := func(how Alteration, want queue.State, ids ...uint64) {
		t.Helper()
		must(t, command.Alter(t.Context(), how, ids, func(d queue.Download) {
			if d.State != want {
				t.Errorf("to %s makes it %s", how, d.State)
			}
		}, func(_ int, err error) { t.Error(err) }))
	}
	alter(Pause, queue.Paused)
	if all := downloads(t, command, true); len(all) != 2 || all[0].State != queue.Paused || all[1].State != queue.Paused {
		t.Errorf("paused, they are %+v", all)
	}
	alter(Cancel, queue.Canceling, ids[0])
	alter(Cancel, queue.Canceling)
	if all := downloads(t, command, true); len(all) != 0 {
		t.Errorf("canceled, they are %+v", all)
	}
	wantCode(t, command.Downloads(t.Context(), ids, false, func(queue.Download) {}, nil, nil), shoal.NotFound)
	var failed error
	must(t, command.Alter(t.Context(), Resume, ids[:1], func(queue.Download) {}, func(_ int, err error) { failed = err }))
	wantCode(t, failed, shoal.NotFound)
	wantCode(t, command.Alter(t.Context(), "destroy", nil, nil, nil), shoal.BadRequest)
	must(t, command.Alter(t.Context(), Clear, nil, nil, nil))
}

// A path means to the daemon what it means to the command.
func TestQueuedPaths(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, c := range []struct{ out, folder, want string }{
		{"", "", dir + "/"}, {"", "/there", "/there/"}, {"", "/", "/"}, {"file", "/there", dir + "/file"}, {"folder/", "", dir + "/folder/"}, {"/a/../b/", "", "/b/"},
	} {
		w, err := Get{Group: "lab", Target: "x", Out: c.out, Folder: c.folder}.wish()
		must(t, err)
		if w.Out != c.want {
			t.Errorf("-o %q with the folder %q: %q, want %q", c.out, c.folder, w.Out, c.want)
		}
	}
}
