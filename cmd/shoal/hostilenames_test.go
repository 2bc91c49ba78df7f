package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"shoal/tests/names"
)

// Each hostile name is refused as an argument, in one line that a terminal shows as it is; commands take turns.
func TestHostileNamesAsArguments(t *testing.T) {
	a := newAttacker(t)
	before := a.everything()
	found := leaves(newRoot())
	lines := []func(name string) (path string, args []string){
		func(name string) (string, []string) { return "group create", []string{name} },
		func(name string) (string, []string) { return "get", []string{"lab/" + name} },
		func(name string) (string, []string) { return "unpublish", []string{"lab/" + name} },
		func(name string) (string, []string) { return "ls", []string{name} },
		func(name string) (string, []string) { return "group accept", []string{"lab", name} },
		func(name string) (string, []string) { return "info", []string{name + "/x"} },
		func(name string) (string, []string) { return "user delete", []string{name} },
		func(name string) (string, []string) { return "server user", []string{name} },
		func(name string) (string, []string) { return "cat", []string{"lab/" + name} },
	}
	for i, name := range names.Hostile() {
		path, args := lines[i%len(lines)](name)
		a.refuses([]int{2}, commands[path].stdin, a.line(path, found[path], nil, args))
	}
	if after := a.everything(); after != before {
		t.Errorf("there was:\n%s\nand now there is:\n%s", before, after)
	}
}

// A file whose name no name can be is not published, and what is said of it is one line that a terminal shows as it is.
func TestHostileNamesOfFiles(t *testing.T) {
	a := newAttacker(t)
	found := leaves(newRoot())
	made := 0
	for i, name := range names.Hostile() {
		if strings.ContainsAny(name, "/\x00") || name == "." || name == ".." || len(name) > 255 {
			continue // which no file has
		}
		made++
		if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			a.refuses([]int{2}, "", a.line("publish", found["publish"], nil, []string{name}))
		} else if sum := a.run("", []string{"sum", "--json", "--", name}); sum.code != 0 || strings.ContainsFunc(strings.TrimSuffix(sum.stdout, "\n"), obeyed) {
			t.Errorf("shoal sum %q prints %q, %q", name, sum.stdout, sum.stderr)
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if made < 800 {
		t.Errorf("only %d files", made)
	}
	if listed := a.must("ann", "", "ls"); strings.Contains(listed, "x") {
		t.Errorf("published: %q", listed)
	}
}

// oddFiles makes a file for each odd name, all different, and returns their content.
func oddFiles(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, name := range names.Odd() {
		files[name] = fmt.Appendf(nil, "%d %q", len(files), name)
		if err := os.WriteFile(filepath.Join(dir, name), files[name], 0o600); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
	}
	return files
}

// Odd names work, as those of files, through all that can be done with a file; each stands for its own.
func TestOddNames(t *testing.T) {
	h := newHousehold(t)
	h.people()
	h.peer("ann")
	dir, to := t.TempDir(), t.TempDir()
	files := oddFiles(t, dir)
	t.Chdir(dir)
	all, targets := []string{}, []string{}
	for _, name := range names.Odd() {
		if !slices.Contains(all, name) {
			all, targets = append(all, name), append(targets, "lab/"+name)
		}
	}
	h.must("ann", "", append([]string{"publish", "--group", "lab", "--"}, all...)...)

	listed := map[string]bool{}
	for line := range strings.Lines(h.must("bob", "", "ls", "lab", "--json")) {
		var entry struct{ Name string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		listed[entry.Name] = true
	}
	if text := h.must("bob", "", "ls", "lab"); strings.ContainsFunc(strings.ReplaceAll(text, "\n", ""), obeyed) || strings.Count(text, "\n") < len(all) {
		t.Errorf("the list is %q", text)
	}
	h.must("bob", "", append([]string{"get", "-o", to + "/", "--"}, targets...)...)
	wanted := []byte{}
	for i, name := range all {
		wanted = append(wanted, files[name]...)
		if !listed[name] {
			t.Errorf("%q is not listed", name)
		}
		got, err := os.ReadFile(filepath.Join(to, name))
		if err != nil || !bytes.Equal(got, files[name]) {
			t.Errorf("%q is fetched as %q, %v", name, got, err)
		}
		if i%8 == 0 { // each is a command
			var info struct{ Name string }
			text := h.must("bob", "", "info", "--json", "--", targets[i])
			if err := json.Unmarshal([]byte(text), &info); err != nil || info.Name != name {
				t.Errorf("%q is told as %q, %v", name, text, err)
			}
		}
	}
	if got := h.must("bob", "", append([]string{"cat", "--"}, targets...)...); got != string(wanted) {
		t.Errorf("all of them are %q, and not %q", got, wanted)
	}
	h.must("ann", "", append([]string{"unpublish", "--"}, targets...)...)
	if left := h.must("bob", "", "ls", "lab", "--json"); left != "" {
		t.Errorf("there is still %q", left)
	}
	checkNames(t, to, files)
}

// checkNames looks whether a folder has these files, and nothing else.
func checkNames(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if files[f.Name()] == nil {
			t.Errorf("there is %q", f.Name())
		}
	}
	if len(found) != len(files) {
		t.Errorf("%d files instead of %d", len(found), len(files))
	}
}
