package meta

import (
	"math/rand/v2"
	"path/filepath"
	"testing"

	"shoal/server/meta/forgetful"
)

// TestPowerCut cuts the power of the disk at random moments: what was acknowledged is there, once.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	disk := forgetful.New()
	mounted := t.TempDir()
	mount := func() func() {
		unmount, err := disk.Mount(mounted)
		if err != nil {
			t.Skipf("a filesystem that forgets cannot be mounted here, which needs /dev/fuse and root: %v", err)
		}
		return func() {
			if err := unmount(); err != nil {
				t.Fatalf("unmounting: %v", err)
			}
		}
	}
	dir := filepath.Join(mounted, "etcd")
	unmount := mount()
	runChild(t, "prepare", dir)
	j := new(journal)
	n := rounds(t, "SHOAL_POWER_CUTS", 5)
	for i := range n {
		good := crashRound(t, dir, j, func(kill func()) {
			disk.Cut()
			kill()
			disk.Release()
		})
		unmount()
		if !good {
			return
		}
		// Nothing of what was not synced, some, or all.
		disk = disk.After([]float64{0, rand.Float64(), 1}[i%3])
		unmount = mount()
	}
	runChild(t, "check", dir, j.save(t))
	unmount()
	t.Logf("%d steps acknowledged in %d rounds", j.steps(), n)
	if j.steps() < n {
		t.Errorf("only %d steps in %d rounds", j.steps(), n)
	}
}
