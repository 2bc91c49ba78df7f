package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"shoal/native"
)

// commandLines returns every command with as many arguments as it wants.
func commandLines(cmd *cobra.Command, path []string) (list [][]string) {
	for _, sub := range cmd.Commands() {
		here := append(path[:len(path):len(path)], sub.Name())
		list = append(list, commandLines(sub, here)...)
		for _, arguments := range [][]string{nil, {"a"}, {"a", "b"}} {
			if sub.ValidateArgs(arguments) == nil {
				list = append(list, append(here[:len(here):len(here)], arguments...))
				break
			}
		}
	}
	return list
}

func TestUnknownLevelsAreRefusedByEveryCommand(t *testing.T) {
	dir := t.TempDir()
	lines := commandLines(newRoot(), nil)
	if len(lines) < 8 {
		t.Errorf("there are only the commands %q", lines)
	}
	for _, line := range lines {
		got := runShoal(t, dir, "", []string{"SHOAL_SIMD=sse9"}, line...)
		if got.code != 2 || got.stdout != "" || strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("%q exits with %d and says %q, %q", line, got.code, got.stdout, got.stderr)
		}
		for _, word := range append(native.Levels(), "SHOAL_SIMD", "sse9") {
			if !strings.Contains(got.stderr, word) {
				t.Errorf("%q says %q, without %q", line, got.stderr, word)
			}
		}
	}
}

func TestVersionNamesTheLevelInUse(t *testing.T) {
	for _, level := range native.Levels() {
		got := runShoal(t, t.TempDir(), "", []string{"SHOAL_SIMD=" + level}, "version")
		if got.code != 0 || !strings.HasSuffix(got.stdout, "BLAKE3 "+level+"\n") {
			t.Errorf("with level %s version gives %+v", level, got)
		}
	}
}

func TestBenchHashAsJSON(t *testing.T) {
	got := runShoal(t, t.TempDir(), "", nil, "bench", "hash", "--json", "--rounds", "1")
	var report struct {
		Threads int
		Level   string
		Rates   []struct {
			Name    string
			Threads int
			Rate    float64 `json:"gb_per_s"`
		}
	}
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil || got.code != 0 {
		t.Fatalf("bench hash --json gives %+v: %v", got, err)
	}
	rates := map[string]float64{}
	for _, r := range report.Rates {
		if r.Threads == 1 {
			rates[r.Name] = r.Rate
		}
	}
	for _, name := range append(native.Levels(), "SHA-256", "SHA-1", "MD5", "CRC-32C") {
		if rates[name] <= 0 {
			t.Errorf("there is no rate of %s: %v", name, rates)
		}
	}
	if report.Level != native.Level() || report.Threads < 1 {
		t.Errorf("the report is of level %q, %d threads", report.Level, report.Threads)
	}
}
