package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Who is not logged in gets nothing of the group of all users, and hears what to do; who is has it with all others, and
// nobody owns it.
func TestPublic(t *testing.T) {
	h := newHousehold(t)
	h.people()
	path := filepath.Join(h.dir, "file")
	if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{"ls"}, {"get", "file"}, {"publish", path}, {"unpublish", "file"}, {"info", "file"}, {"stop-share", "file"}} {
		h.fails(5, "shoal login NAME", "eve", "", command...)
		h.fails(5, "shoal user create NAME", "eve", "", command...)
	}
	h.peer("bob")
	h.must("bob", "", "publish", path)
	if got := h.must("ann", "", "ls"); !strings.Contains(got, "file") {
		t.Errorf("ann sees %q", got)
	}
	out := filepath.Join(h.dir, "out")
	h.must("ann", "", "get", "file", "-o", out)
	if got, err := os.ReadFile(out); err != nil || string(got) != "content" {
		t.Errorf("ann got %q, %v", got, err)
	}
	h.fails(7, "there is a group", "bob", "", "group", "create", "public")
	for _, verb := range [][]string{{"leave"}, {"delete"}, {"transfer", "bob"}, {"remove", "bob"}, {"accept", "bob"}} {
		line := append([]string{"group", verb[0], "public"}, verb[1:]...)
		h.fails(5, "every user is in the group", "ann", "", line...)
	}
	h.fails(5, "every user is in the group", "ann", "", "invite", "public")
	if got := h.must("bob", "", "group", "members", "public"); strings.Count(got, "\n") != 2 {
		t.Errorf("in the group of all users are %q", got)
	}

	// Whoever runs the server enrols devices, without a password.
	device := h.local("device", "show", "--state", filepath.Join(h.dir, "desk"))
	enrolled := h.local("server", "device", "bob", device, "--label", "desk", "--state", filepath.Join(h.dir, "server"))
	if !strings.Contains(enrolled, device) || !strings.Contains(enrolled, "bob") {
		t.Errorf("it says %q", enrolled)
	}
	if got := h.must("desk", "", "whoami"); !strings.Contains(got, "bob") {
		t.Errorf("the desk is %q", got)
	}
	h.must("ann", "", "user", "delete", "bob")
	h.fails(5, "not logged in", "desk", "", "ls")
}

// local runs a command that is not told of a server, and returns what it printed.
func (h *household) local(args ...string) string {
	h.t.Helper()
	r := runShoal(h.t, h.dir, "", nil, args...)
	if r.code != 0 {
		h.t.Fatalf("shoal %s: %d: %s", strings.Join(args, " "), r.code, r.stderr)
	}
	return strings.TrimSpace(r.stdout)
}
