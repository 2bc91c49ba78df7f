package faults

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"shoal"
)

// killsPerChapter is how often the server is killed under the same citizens. Then all must be right, and others come.
const killsPerChapter = 10

// kills is how often the server is killed: SHOAL_KILLS, or a few times.
func kills(t *testing.T) int {
	text := os.Getenv("SHOAL_KILLS")
	if text == "" {
		return 3
	}
	n, err := strconv.Atoi(text)
	must(t, err)
	return n
}

// Whenever the server is killed while 32 clients change users, devices, groups, members and names: all that was
// acknowledged is there when it is back, nothing by halves, and nothing twice, though all is asked for again.
func TestServerIsKilled(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	s, err := StartService(program, filepath.Join(dir, "server.err"), "server", "--state", filepath.Join(dir, "server"), "--registration", "open")
	must(t, err)
	defer func() {
		must(t, s.Close())
		said, err := os.ReadFile(filepath.Join(dir, "server.err"))
		must(t, err)
		if t.Failed() {
			t.Logf("the server said, in the end: %s", said[max(0, len(said)-4000):])
		}
	}()
	town := &Town{Service: s, address: s.Said("address")}
	town.realm, err = shoal.ParseRealmKey(s.Said("realm"))
	must(t, err)
	must(t, town.found(ctx, s.Said("first_user_code")))
	n := kills(t)
	for chapter := 0; n > 0; chapter++ {
		todo := min(n, killsPerChapter)
		n -= todo
		must(t, town.Chapter(ctx, chapter, todo))
	}
	must(t, town.Remember(ctx))
	t.Logf("histories of %d operations; %d mutations were acknowledged, and %d asked for again", town.asked, town.acknowledged, town.again)
}
