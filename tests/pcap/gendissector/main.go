// Command gendissector writes the dissector for Wireshark. It is run by "go generate" in the folder tests/pcap/dissector.
package main

import (
	"log"
	"os"

	"shoal/tests/pcap/dissector"
	"shoal/wire/spec"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: gendissector FOLDER_OF_PROTOCOL_MD FILE")
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		log.Fatal("gendissector: ", err)
	}
}

func run(documents, file string) error {
	s, err := spec.Load(os.DirFS(documents))
	if err != nil {
		return err
	}
	lua, err := dissector.Generate(s)
	if err != nil {
		return err
	}
	return os.WriteFile(file, lua, 0o644)
}
