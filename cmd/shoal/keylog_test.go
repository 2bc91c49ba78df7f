package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"shoal"
)

// The file for keys is made for its owner alone, added to, and warned of; one that others can read, or that is no file, is
// refused, and nothing is written to it.
func TestKeyLog(t *testing.T) {
	var said bytes.Buffer
	none := &keyLog{}
	if none.warn(zerolog.New(&said)); said.Len() > 0 {
		t.Errorf("it is warned of nothing: %q", &said)
	}
	if out, err := none.open(); out != nil || err != nil {
		t.Errorf("unasked for there are %v and %v", out, err)
	}
	path := filepath.Join(t.TempDir(), "keys")
	for i := range 2 {
		keys := &keyLog{path}
		out, err := keys.open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write([]byte("a line\n")); err != nil {
			t.Fatal(err)
		}
		keys.warn(zerolog.New(&said))
		if got := strings.Count(said.String(), "whoever has it can read everything"); got != i+1 {
			t.Errorf("%d warnings: %q", got, &said)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != 14 {
		t.Errorf("it is %v (%v)", info, err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	for path, code := range map[string]shoal.Code{path: shoal.Untrusted, "/dev/null": shoal.BadRequest, filepath.Dir(path): shoal.BadRequest, path + "/x": shoal.NotFound} {
		if out, err := (&keyLog{path}).open(); out != nil || shoal.CodeOf(err) != code {
			t.Errorf("%s: %v", path, err)
		}
	}
}
