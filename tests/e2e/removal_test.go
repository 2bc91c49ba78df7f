package e2e

import (
	"testing"
	"time"
)

const (
	// ends is how long a transfer may go on after what allows it has ended.
	ends = 2 * time.Second
	// buffered is more bytes than may still lie in the kernel's buffers then, sent before that.
	buffered = 4 * mib
	// slowly is the speed of transfers that must not be over too soon, in bytes a second.
	slowly = 4 * mib
)

// TestTransferEnds takes away what allows a transfer while it runs: within two seconds it ends, and no more bytes come,
// whether the one who fetches hears of it or the source alone does. Transfers of others go on.
func TestTransferEnds(t *testing.T) {
	for _, how := range []struct {
		name string
		do   func(l *lab)
		all  bool // transfers of the others end, too
		code int  // by which the download ends that hears of it
	}{
		{"when the user is removed from the group", func(l *lab) { l.shoal("ann", "group", "remove", "lab", "bob").ok() }, false, 3},
		{"when the devices are revoked", func(l *lab) {
			for _, d := range []string{"bob", "bob-deaf"} {
				l.shoal("bob-other", "device", "revoke", l.device(d).String()).ok()
			}
		}, false, 5},
		{"when the user is deleted", func(l *lab) { l.shoal("bob-other", "user", "delete", "bob").ok() }, false, 5},
		{"when the object is unpublished", func(l *lab) { l.shoal("ann", "unpublish", "lab/file").ok() }, true, 3},
		{"when the last one stops sharing it", func(l *lab) { l.shoal("ann", "stop-share", "lab/file").ok() }, true, 3},
		{"when the group is deleted", func(l *lab) { l.shoal("ann", "group", "delete", "lab").ok() }, true, 3},
	} {
		t.Run(how.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.leavings = true
			l.member("bob", "bob", "bob-deaf", "bob-other")
			l.member("carol", "carol")
			content := random(32*mib, 90)
			source := l.peer("ann")
			l.share(source, "file", content)
			told, deaf, other := l.fetch("bob", source, mib), l.fetch("bob-deaf", source, mib), l.fetch("carol", source, mib)
			deaf.server.freeze()
			for _, f := range []*fetching{told, deaf, other} {
				f.hurry = f.source.trickle(slowly)
				defer f.hurry()
				f.source.flows(t)
			}

			how.do(l)
			late := time.NewTimer(ends)
			defer late.Stop()
			if !told.waitFor(ends, func() bool { return told.ended }) {
				t.Errorf("a download goes on after %v; it says %s", ends, told.errors())
			}
			<-late.C
			ended := []*fetching{told, deaf}
			if how.all {
				ended = append(ended, other)
			}
			var before []int64
			for _, f := range ended {
				before = append(before, f.source.carried.Load())
				f.hurry()
				f.source.open()
			}
			if how.all {
				time.Sleep(time.Second) // in which all of the file could come
			} else {
				other.hurry()
				other.source.open()
				other.wait().ok()
				same(t, other.out, content)
			}
			for i, f := range ended {
				if more := f.source.carried.Load() - before[i]; more > buffered {
					t.Errorf("%d bytes came to %s after %v", more, f.state, ends)
				}
				absent(t, f.out)
			}
			told.wait().exit(how.code)
		})
	}
}
