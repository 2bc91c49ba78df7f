package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"shoal/soap"
)

func TestSOAPTellsWhereItsContractIs(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "soap", "--listen", "127.0.0.1:0", "--state", t.TempDir(), "--json")
	cmd.Env = append(os.Environ(), asShoal+"=1", "GORACE=atexit_sleep_ms=0")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	var said struct{ Event, URL, WSDL string }
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || json.Unmarshal([]byte(line), &said) != nil || said.Event != "listening" || said.WSDL != said.URL+"?wsdl" {
		t.Fatalf("%q, %v", line, err)
	}
	reply, err := http.Get(said.WSDL)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	contract, err := io.ReadAll(reply.Body)
	if err != nil || !strings.Contains(string(contract), `location="`+said.URL+`"`) {
		t.Errorf("%v\n%s", err, contract)
	}
	c, err := soap.NewClient(said.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if facts, err := c.Enrich(t.Context(), "a.txt", 3, []byte("GIF")); err != nil || facts.Category != "text" {
		t.Errorf("%+v, %v", facts, err)
	}
}

func TestSOAPBeyondLoopbackNeedsACertificate(t *testing.T) {
	got := runShoal(t, t.TempDir(), "", nil, "soap", "--listen", ":0", "--state", t.TempDir())
	if got.code != 5 || !strings.Contains(got.stderr, "--cert") {
		t.Errorf("%+v", got)
	}
}
