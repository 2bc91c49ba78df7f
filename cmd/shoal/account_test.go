package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fieldsOf are the first words of each line.
func fieldsOf(out string) string {
	var first []string
	for line := range strings.Lines(out) {
		first = append(first, strings.Fields(line)[0])
	}
	return strings.Join(first, " ")
}

func TestPeopleAndGroups(t *testing.T) {
	h := newHousehold(t)
	h.fails(5, "not logged in", "ann", "", "whoami")
	invite := h.people()
	h.fails(5, "invite", "eve", "a password of eve\n"+invite, "user", "create", "eve") // it is good once
	h.fails(5, "", "eve", "a password of eve\n", "user", "create", "eve")              // and there must be one
	h.fails(5, "", "eve", bobsPassword+"x\n", "login", "bob")
	h.fails(5, "", "eve", bobsPassword+"\n", "login", "nobody")
	h.must("phone", "\n"+bobsPassword, "login", "bob", "--password-file", passwordFile(t, bobsPassword+"\r\nmore"), "--label", "phone")

	var me struct {
		User, Label string
		Admin       bool
	}
	if err := json.Unmarshal([]byte(h.must("ann", "", "whoami", "--json")), &me); err != nil || me.User != "ann" || !me.Admin || me.Label != "ann's laptop" {
		t.Errorf("ann is %+v: %v", me, err)
	}
	if out := h.must("bob", "", "whoami"); !strings.Contains(out, "bob") || !strings.Contains(out, "no\n") {
		t.Errorf("bob is %s", out)
	}
	if got := fieldsOf(h.must("bob", "", "user", "list")); got != "ann bob" {
		t.Errorf("the users are %s", got)
	}
	devices := h.must("phone", "", "device", "list")
	if strings.Count(devices, "\n") != 2 || !strings.Contains(devices, "phone  this one") {
		t.Errorf("bob's devices: %s", devices)
	}
	h.fails(5, "", "bob", "", "device", "list", "ann")
	if got := h.must("ann", "", "device", "list", "bob"); strings.Count(got, "\n") != 2 {
		t.Errorf("bob's devices, to an admin: %s", got)
	}

	if got := strings.Join(strings.Fields(h.must("bob", "", "group", "list")), " "); got != "lab member 2 ann public member 2 -" {
		t.Errorf("bob's groups: %s", got)
	}
	h.fails(5, "owner", "bob", "", "group", "remove", "lab", "ann")
	h.fails(5, "", "ann", "", "group", "leave", "lab")
	h.must("bob", "", "group", "leave", "lab")
	h.fails(3, "", "bob", "", "group", "members", "lab")
	h.must("bob", "", "group", "join", "lab")
	if got := fieldsOf(h.must("ann", "", "group", "requests", "lab")); got != "bob" {
		t.Errorf("%s asks", got)
	}
	h.must("ann", "", "group", "reject", "lab", "bob")
	h.fails(3, "", "ann", "", "group", "accept", "lab", "bob")
	h.must("bob", "", "group", "join", "lab")
	if got := h.must("ann", "", "group", "accept", "lab", "bob"); got != "bob is in lab now\n" {
		t.Errorf("said %q", got)
	}
	if got := fieldsOf(h.must("phone", "", "group", "members", "lab")); got != "ann bob" {
		t.Errorf("%s are in it", got)
	}
	h.changesPassword()
	h.must("ann", "", "group", "transfer", "lab", "bob")
	h.fails(5, "", "bob", "", "user", "delete", "bob") // who owns a group
	h.must("bob", "", "group", "remove", "lab", "ann")
	h.must("bob", "", "group", "delete", "lab")
	h.must("phone", "", "logout")
	h.fails(5, "not logged in", "phone", "", "group", "list")
	h.must("ann", "", "user", "delete", "bob")
	h.fails(5, "", "phone", bobsPassword, "login", "bob")
}

// changesPassword changes bob's password, and back: from then on only the new one logs in, and all devices stay bob's.
func (h *household) changesPassword() {
	h.t.Helper()
	const next = "another canary"
	h.fails(5, "wrong", "bob", "not it at all\n"+next+"\n", "user", "password")
	h.fails(2, "the one up to now", "bob", bobsPassword+"\n"+bobsPassword+"\n", "user", "password")
	h.fails(2, "new password on standard input is missing", "bob", bobsPassword+"\n", "user", "password")
	h.fails(2, "too short", "bob", bobsPassword+"\nshort\n", "user", "password")
	h.fails(5, "not logged in", "eve", bobsPassword+"\n"+next+"\n", "user", "password")
	if got := h.must("bob", bobsPassword+"\n"+next+"\n", "user", "password"); !strings.Contains(got, "is changed") {
		h.t.Errorf("said %q", got)
	}
	h.must("phone", "", "whoami")
	h.fails(5, "", "tablet", bobsPassword+"\n", "login", "bob")
	h.must("tablet", next+"\n", "login", "bob")
	file := passwordFile(h.t, next+"\n"+bobsPassword+"\n")
	if got := h.must("tablet", "", "user", "password", "--password-file", file, "--json"); !strings.Contains(got, `"devices":3`) {
		h.t.Errorf("said %q", got)
	}
	h.must("tablet", "", "logout")
}

func passwordFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A revoked device is nobody's.
func TestRevokedDevice(t *testing.T) {
	h := newHousehold(t)
	h.people()
	h.must("phone", bobsPassword, "login", "bob")
	var device struct{ Device string }
	for line := range strings.Lines(h.must("phone", "", "device", "list", "--json")) {
		var d struct {
			Device string
			This   bool
		}
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			t.Fatal(err)
		}
		if d.This {
			device.Device = d.Device
		}
	}
	h.must("bob", "", "device", "revoke", device.Device)
	h.fails(5, "not logged in", "phone", "", "whoami")
	h.fails(3, "", "bob", "", "device", "revoke", device.Device)
}

// The same content in two groups is one file, swarmed twice: who is in one of them does not get it from the other.
func TestNamesInGroups(t *testing.T) {
	h := newHousehold(t)
	h.people()
	h.must("ann", "", "group", "create", "attic")
	h.peer("ann")
	dir := t.TempDir()
	file := filepath.Join(dir, "odd \"name\" ü,%41.bin")
	if err := os.WriteFile(file, bytes.Repeat([]byte("content "), 1<<17), 0o600); err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(file)
	h.must("ann", "", "publish", file, "--group", "lab")
	h.must("ann", "", "publish", file, "-g", "attic")
	if out := h.must("bob", "", "ls", "lab"); !strings.Contains(out, name) {
		t.Errorf("in the lab: %s", out)
	}
	for _, group := range []string{"attic", "nowhere"} { // told alike
		h.fails(3, "", "bob", "", "ls", group)
		h.fails(3, "", "bob", "", "get", group+"/"+name, "-o", filepath.Join(dir, "no"))
	}
	h.fails(3, "", "bob", "", "get", name, "-o", filepath.Join(dir, "no"))
	got := filepath.Join(dir, "got")
	h.must("bob", "", "get", "lab/"+name, "-o", got)
	want, _ := os.ReadFile(file)
	if b, err := os.ReadFile(got); err != nil || !bytes.Equal(b, want) {
		t.Errorf("got %d bytes: %v", len(b), err)
	}
	if out := h.must("bob", "", "info", "lab/"+name); !strings.Contains(out, "1 with all of it") {
		t.Errorf("info: %s", out)
	}
	h.fails(3, "", "bob", "", "stop-share", "lab/"+name) // he shares nothing of it
	h.peer("bob")                                        // and now he does
	h.must("bob", "", "get", "lab/"+name, "-o", got)
	if out := h.must("ann", "", "info", "lab/"+name); !strings.Contains(out, "2 with all of it") {
		t.Errorf("info: %s", out)
	}
	h.must("bob", "", "stop-share", "lab/"+name)
	if out := h.must("ann", "", "info", "lab/"+name); !strings.Contains(out, "1 with all of it") {
		t.Errorf("info: %s", out)
	}
	h.must("ann", "", "stop-share", "lab/"+name)
	h.fails(3, "", "bob", "", "info", "lab/"+name)
	if out := h.must("ann", "", "ls", "attic"); !strings.Contains(out, name) {
		t.Errorf("in the attic: %s", out)
	}
	h.must("ann", "", "unpublish", "attic/"+name)
	if out := h.must("ann", "", "ls", "attic"); out != "" {
		t.Errorf("in the attic: %s", out)
	}
}

// No password or code is shown, logged or stored by a client.
func TestSecretsStaySecret(t *testing.T) {
	h := newHousehold(t)
	invite := h.people()
	h.fails(5, "", "eve", "canary-wrong password\n", "login", "bob", "-v")
	h.fails(2, "", "eve", "canary\n", "login", "bob")
	h.fails(2, "", "eve", "canary-password\ncanary-code", "user", "create", "eve", "-v")
	h.must("phone", bobsPassword, "login", "bob", "-v", "--json")
	all := h.said.String() + h.log.String()
	err := filepath.WalkDir(h.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			b, readErr := os.ReadFile(path)
			all, err = all+string(b), readErr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(all, "canary") {
		t.Error("a password or code is somewhere that it should not be")
	}
	if strings.Count(all, invite) != 1 { // for the one who made it
		t.Errorf("the invite's code is there %d times", strings.Count(all, invite))
	}
	if strings.Contains(all, h.firstCode) {
		t.Error("the first user's code is there")
	}
}
