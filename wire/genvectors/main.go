// Command genvectors writes the protocol's test vectors. It is run by "go generate" in the folder wire.
package main

import (
	"log"
	"os"
	"path/filepath"

	"shoal/wire/spec"
	"shoal/wire/vectors"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: genvectors FOLDER_OF_PROTOCOL_MD FOLDER_OF_VECTORS")
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		log.Fatal("genvectors: ", err)
	}
}

func run(documents, dir string) error {
	s, err := spec.Load(os.DirFS(documents))
	if err != nil {
		return err
	}
	files, err := vectors.Generate(s)
	if err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
