package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const piece = 256 * kib

// TestSizes moves files of every size at which something changes.
func TestSizes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.peer("peer")
	var targets []string
	contents := map[string][]byte{}
	publish := []string{"publish", "--json"}
	for i, size := range []int{0, 1, 1023, 1024, 1025, 16*kib - 1, 16 * kib, 16*kib + 1, piece - 1, piece, piece + 1, 2*piece - 1, 2 * piece, 2*piece + 1025} {
		name := fmt.Sprintf("%d bytes", size)
		contents[name] = random(size, uint64(40+i))
		path := filepath.Join(p.dir, name)
		write(t, path, contents[name])
		publish, targets = append(publish, path), append(targets, name)
	}
	published := w.shoal("peer", publish...).ok()
	for _, e := range published.events {
		if id, err := fileID(strings.NewReader(string(contents[e.Name]))); err != nil || e.File != id.String() {
			t.Errorf("%s has FileID %s, want %v", e.Name, e.File, id)
		}
	}
	w.shoal("getter", append([]string{"get", "-o", w.path("out")}, targets...)...).ok()
	for name, content := range contents {
		same(t, w.path("out", name), content)
	}
}

// oddNames are legal, every one of them.
var oddNames = []string{
	" spaces  within and around ", "-rf", "--json", ".hidden", "...", "~", "*?[a]$HOME;&|<>'\"`", "#", "%00",
	"emoji 👩‍👩‍👧‍👦 and ü, ü, 漢字, עברית", strings.Repeat("x", 255), strings.Repeat("ß", 127) + "y", "CON", "a:b",
	strings.Repeat("ab01", 16), // as long as a FileID, and hexadecimal
}

// TestOddNames moves files whose names are unusual.
func TestOddNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.peer("peer")
	publish := []string{"publish", "--json", "--"}
	for i, name := range oddNames {
		path := filepath.Join(p.dir, name)
		write(t, path, random(100, uint64(60+i)))
		publish = append(publish, path)
	}
	w.shoal("peer", publish...).ok()
	list := w.list()
	for _, name := range oddNames {
		if list[name].Sources != 1 {
			t.Errorf("ls: %q is %+v", name, list[name])
		}
	}
	w.shoal("getter", append([]string{"get", "-o", w.path("out"), "--"}, oddNames...)...).ok()
	for i, name := range oddNames {
		same(t, w.path("out", name), random(100, uint64(60+i)))
	}
	for _, name := range []string{".", "a\nb", "\u202egnp.exe", "a\\b", ".shoal-x"} {
		if strings.ContainsAny(name, "\n\\\u202e") {
			path := filepath.Join(w.folder("bad"), name)
			write(t, path, nil)
			w.shoal("peer", "publish", path).exit(2, "not allowed in names")
		}
		w.shoal("getter", "get", "--", name).exit(map[bool]int{true: 3, false: 2}[name == ".shoal-x"])
	}
}

// TestHundredFiles fetches a hundred files with one command.
func TestHundredFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	peers := []*peer{w.peer("a"), w.peer("b")}
	var targets []string
	for k, p := range peers {
		publish := []string{"publish"}
		for i := k; i < 100; i += 2 {
			name := fmt.Sprintf("file %d", i)
			path := filepath.Join(p.dir, name)
			write(t, path, random(1000*i, uint64(100+i)))
			publish, targets = append(publish, path), append(targets, name)
		}
		w.shoal(p.state, publish...).ok()
	}
	collector := w.peer("collector")
	r := w.get("collector", append(targets, "-o", w.path("out"))...).wait().ok()
	done := 0
	for _, e := range r.events {
		if e.Event == "done" && e.Served && !e.Present {
			done++
		}
	}
	if done != 100 {
		t.Errorf("%d files done and served on, of 100", done)
	}
	for i := range 100 {
		same(t, w.path("out", fmt.Sprintf("file %d", i)), random(1000*i, uint64(100+i)))
	}
	for _, p := range peers {
		p.stop()
	}
	w.get("getter", append(targets, "-o", w.path("out2"))...).wait().ok()
	collector.stop()
	// One name that there is none of keeps no other from coming.
	r = w.get("getter", "nothing like it", "file 1", "-o", w.path("out2")).wait().exit(3, "nothing like it")
	if e := r.event("done"); e.Name != "file 1" || !e.Present {
		t.Errorf("beside a name that is unknown: %+v", e)
	}
}

// TestSparse moves 6 GiB that are nearly all zeros: every offset fits, nothing grows with the size, and zeros take no
// room on disk that they need not.
func TestSparse(t *testing.T) {
	if testing.Short() {
		t.Skip("moves 6 GiB")
	}
	const size, most = 6 << 30, 64 * mib
	t.Parallel()
	w := bareWorld(t)
	var disk unix.Statfs_t
	if err := unix.Statfs(w.dir, &disk); err != nil || int64(disk.Bavail)*disk.Bsize < size+1<<30 {
		t.Skipf("%s has less than 7 GiB free (%v)", w.dir, err)
	}
	binary, err := lean()
	if err != nil {
		t.Fatal(err)
	}
	w.binary, w.plaintext = binary, "loopback"
	w.startServer("127.0.0.1:0")
	p := w.peer("peer")
	path := filepath.Join(p.dir, "sparse")
	makeSparse(t, path, size)
	published := p.publish(path)
	get := w.get("getter", "sparse", "-o", w.path("out"))
	peak := watchPeak(t, get)
	done := get.wait().ok().event("done")
	if got := peak(); got > most || got == 0 {
		t.Errorf("the download had %d MiB of memory at most, more than %d", got/mib, most/mib)
	}
	if got := peakOf(p.process); got > most || got == 0 {
		t.Errorf("the peer had %d MiB of memory at most, more than %d", got/mib, most/mib)
	}
	const id = "c1f14fa5a1df0cbb5cbd9419363873fc2ddf00b8d78d1871548e719101f989bb" // by b3sum
	if published.File != id || done.File != id || done.Size != size {
		t.Errorf("published %s, done: %+v", published.File, done)
	}
	sameSparse(t, path, w.path("out"))
	if err := os.Remove(w.path("out")); err != nil {
		t.Error(err)
	}
}

// makeSparse makes a file with a little data at the ends and beyond 4 GiB.
func makeSparse(t *testing.T, path string, size int64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, offset := range []int64{0, 1<<31 - 100, 1<<32 - 100, 5<<30 + 12345, size - 3000} {
		if _, err := f.WriteAt(random(3000, uint64(offset)), offset); err != nil {
			t.Fatal(err)
		}
	}
}

// sameSparse fails the test unless two files have the same bytes, and got little more data than want: the rest must be
// holes, or space that is only reserved.
func sameSparse(t *testing.T, want, got string) {
	t.Helper()
	var files [2]*os.File
	var sizes [2]int64
	for i, path := range []string{want, got} {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	ranges := [2][][2]int64{data(files[0]), data(files[1])} // before anything is read
	for i := range files {
		for _, r := range ranges[i] {
			sizes[i] += r[1] - r[0]
			a, b := make([]byte, r[1]-r[0]), make([]byte, r[1]-r[0])
			_, errA := files[i].ReadAt(a, r[0])
			_, errB := files[1-i].ReadAt(b, r[0])
			if errA != nil || errB != nil || !bytes.Equal(a, b) {
				t.Fatalf("the files differ between %d and %d (%v, %v)", r[0], r[1], errA, errB)
			}
		}
	}
	if most := sizes[0] + 256*mib; sizes[1] > most || sizes[0] == 0 {
		t.Errorf("%d MiB of data were written where %d MiB are data", sizes[1]/mib, sizes[0]/mib)
	}
}

// data are the ranges of a file that are data, none longer than 16 MiB. What is in the page cache counts, too.
func data(f *os.File) (ranges [][2]int64) {
	const most = 16 * mib
	for end := int64(0); ; {
		start, err := unix.Seek(int(f.Fd()), end, unix.SEEK_DATA)
		if err == nil {
			end, err = unix.Seek(int(f.Fd()), start, unix.SEEK_HOLE)
		}
		if err != nil { // ENXIO: there is no more
			return ranges
		}
		end = min(end, start+most)
		ranges = append(ranges, [2]int64{start, end})
	}
}
