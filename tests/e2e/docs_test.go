package e2e

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// TestReadme and TestOperations do what the documents tell a newcomer to do.
func TestReadme(t *testing.T) { follow(t, "README.md", 2) }

func TestOperations(t *testing.T) { follow(t, "docs/OPERATIONS.md", 4) }

// follow starts the daemons of the blocks that are marked as such, of which there must be that many, and runs the
// commands of those that are marked as tested. On an island, because the ports are those of the text.
func follow(t *testing.T, name string, daemons int) {
	t.Parallel()
	text := document(t, name)
	commands, start := markedBlocks(text, "<!-- tested -->"), markedBlocks(text, "<!-- tested: daemon -->")
	if len(commands) == 0 || len(start) != daemons {
		t.Fatalf("%s has %d tested blocks and %d of daemons", name, len(commands), len(start))
	}
	w := bareWorld(t)
	island := newIsland(w)
	shell := func(script string) *process {
		return island.launch("/bin/sh", []string{"PATH=" + w.searchPath(), "HOME=" + w.dir, "LC_ALL=C.UTF-8", noSleep}, "-euc", script)
	}
	var realm string
	for _, block := range start {
		daemon := shell("exec " + strings.ReplaceAll(block, "FINGERPRINT", realm))
		// Each ends what it has to say at its start with the realm, the device, or where it is found.
		said := daemon.awaitOutput(regexp.MustCompile(`(?m)^(?:realm|device|key|wsdl) +(\S+)$`))
		if strings.HasPrefix(block, "shoal server") {
			realm = said
		}
	}
	for _, block := range commands {
		r := shell(block).wait().ok()
		if r.stderr != "" {
			t.Errorf("it says on stderr:\n%s", r.stderr)
		}
	}
}

// document is the text of one of the project's documents.
func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// markedBlocks are the sh blocks of a Markdown text that stand right behind the mark.
func markedBlocks(text, mark string) (blocks []string) {
	for {
		_, rest, found := strings.Cut(text, mark+"\n```sh\n")
		if !found {
			return blocks
		}
		var block string
		block, text, _ = strings.Cut(rest, "\n```")
		blocks = append(blocks, block)
	}
}

// documentedCodes are the exit codes in docs/OPERATIONS.md.
var documentedCodes = sync.OnceValues(func() (map[int]string, error) {
	text, err := os.ReadFile("../../docs/OPERATIONS.md")
	if err != nil {
		return nil, err
	}
	codes := map[int]string{}
	for _, row := range regexp.MustCompile(`(?m)^\| (\d+) \| ([^|]+) \|`).FindAllStringSubmatch(string(text), -1) {
		code, err := strconv.Atoi(row[1])
		if err != nil {
			return nil, err
		}
		codes[code] = row[2]
	}
	return codes, nil
})

// TestExitCodes holds the table in docs/OPERATIONS.md against what the codes have meant from the beginning. That
// commands end with them is shown by all other tests, which know no codes but these.
func TestExitCodes(t *testing.T) {
	codes, err := documentedCodes()
	if err != nil {
		t.Fatal(err)
	}
	meant := map[int]string{
		0: "done", 1: "unexpected", 2: "arguments", 3: "no such name", 4: "could be reached", 5: "identity", 6: "no space",
		7: "has that name", 8: "server", 9: "bytes are not what they should be", 130: "interrupted",
	}
	for code, meaning := range meant {
		if !strings.Contains(codes[code], meaning) {
			t.Errorf("code %d is said to mean %q, and meant %q", code, codes[code], meaning)
		}
	}
	if len(codes) != len(meant) {
		t.Errorf("%d codes in the table, %d known here", len(codes), len(meant))
	}
}
