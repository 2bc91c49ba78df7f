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

// follow carries out the blocks that are marked as tested, in the order in which they stand: it starts daemons, of which
// there must be that many, and runs the rest. What the last server printed is put in where the text says so. On an
// island, because the ports are those of the text.
func follow(t *testing.T, name string, daemons int) {
	t.Parallel()
	blocks := markedBlocks(document(t, name))
	w := bareWorld(t)
	island := newIsland(w)
	shell := func(script string) *process {
		return island.launch("/bin/sh", []string{"PATH=" + w.searchPath(), "HOME=" + w.dir, "LC_ALL=C.UTF-8", noSleep}, "-euc", script)
	}
	var realm, code string
	started := 0
	for _, b := range blocks {
		script := strings.NewReplacer("FINGERPRINT", realm, "CODE", code).Replace(b.script)
		if !b.daemon {
			if r := shell(script).wait().ok(); r.stderr != "" {
				t.Errorf("it says on stderr:\n%s", r.stderr)
			}
			continue
		}
		started++
		daemon := shell("exec " + script)
		if strings.HasPrefix(script, "shoal server") {
			realm = daemon.awaitOutput(regexp.MustCompile(`(?m)^realm +(\w+)$`))
			code = daemon.awaitOutput(regexp.MustCompile(`(?m)^ +(\w{4}(?:-\w{4}){6})$`))
			continue
		}
		// Each ends what it has to say at its start with one of these.
		daemon.awaitOutput(regexp.MustCompile(`(?m)^(?:device|key|wsdl) +(\S+)$`))
	}
	if started != daemons || len(blocks) == started {
		t.Errorf("%s has %d daemons to be started, and %d blocks in all", name, started, len(blocks))
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

// markedBlock is one sh block of a document that its tests carry out.
type markedBlock struct {
	script string
	daemon bool
}

// markedBlocks are the sh blocks of a Markdown text that stand right behind a mark.
func markedBlocks(text string) (blocks []markedBlock) {
	for _, found := range regexp.MustCompile("(?s)<!-- tested(: daemon)? -->\n```sh\n(.*?)\n```").FindAllStringSubmatch(text, -1) {
		blocks = append(blocks, markedBlock{script: found[2], daemon: found[1] != ""})
	}
	return blocks
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
