package e2e

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestQuestions asks for all that a server tells of people, devices and groups, and ends a device, a user and a key.
func TestQuestions(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.member("bob", "bob", "bob-other")
	l.person("carol", "carol")
	l.shoal("carol", "group", "join", "lab").ok()
	for _, ask := range []struct {
		state string
		args  []string
		says  string
	}{
		{"bob", []string{"whoami"}, "bob"},
		{"bob", []string{"user", "list"}, "carol"},
		{"bob", []string{"device", "list"}, l.device("bob-other").String()},
		{"bob", []string{"group", "list"}, "lab"},
		{"bob", []string{"group", "members", "lab"}, "ann"},
		{"ann", []string{"group", "requests", "lab"}, "carol"},
		{"ann", []string{"group", "peers", "lab"}, ""},
	} {
		if r := l.shoal(ask.state, ask.args...).ok(); !strings.Contains(r.stdout, ask.says) {
			t.Errorf("shoal %s does not say %q, but %s", strings.Join(ask.args, " "), ask.says, r.stdout)
		}
	}
	content := random(300*kib, 60)
	l.share(l.peer("bob"), "file", content)
	get := func(to string) {
		t.Helper()
		l.shoal("ann", "get", "lab/file", "-o", l.path(to)).ok()
		same(t, l.path(to), content)
	}
	get("before")
	var keys struct{ Tickets string }
	if err := json.Unmarshal([]byte(l.shoal("server", "server", "realm", "show", "--json").ok().stdout), &keys); err != nil {
		t.Fatal(err)
	}
	l.shoal("server", "server", "realm", "revoke", keys.Tickets).ok()
	get("after")
	l.shoal("bob", "device", "revoke", l.device("bob-other").String()).ok()
	l.shoal("bob-other", "whoami").exit(5)
	l.shoal("carol", "user", "delete", "carol").ok()
	l.shoal("carol", "whoami").exit(5)
}
