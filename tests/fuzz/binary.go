package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// A binary is the tests of one package, built for the fuzzer or to see what an input reaches.
type binary struct {
	folder string
	path   string
	cache  string // where Go keeps what the fuzzer learns of this package
}

// build builds the tests of the package in folder.
func build(ctx context.Context, folder string, covered bool) (*binary, error) {
	out, err := goCommand(ctx, folder, "list", "-f", "{{.ImportPath}}", ".")
	if err != nil {
		return nil, err
	}
	cached, err := goCommand(ctx, folder, "env", "GOCACHE")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "fuzz-")
	if err != nil {
		return nil, err
	}
	b := &binary{folder: folder, path: filepath.Join(dir, "tests"), cache: filepath.Join(cached, "fuzz", filepath.FromSlash(out))}
	how := []string{"test", "-c", "-tags", "native", "-o", b.path, "-fuzz", "."}
	if covered {
		how = append(how[:len(how)-2], "-cover", "-coverpkg", strings.Split(out, "/")[0]+"/...")
	}
	if _, err := goCommand(ctx, folder, how...); err != nil {
		b.remove()
		return nil, err
	}
	return b, nil
}

func (b *binary) remove() {
	if b != nil {
		os.RemoveAll(filepath.Dir(b.path))
	}
}

// goCommand runs the go tool, and returns what it prints.
func goCommand(ctx context.Context, folder string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = folder
	out, err := cmd.Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%w: %s", err, failed.Stderr)
	}
	if err != nil {
		return "", fmt.Errorf("go %s in %s: %w", strings.Join(args, " "), folder, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// What the fuzzer says of its progress, and where it has put an input that fails.
var (
	progress = regexp.MustCompile(`execs: (\d+).*new interesting: (\d+)`)
	failing  = regexp.MustCompile(`(?m)^\s*Failing input written to (\S+)$`)
)

// fuzz fuzzes a target and prints its line. The error is errFound when there is a finding.
func (b *binary) fuzz(ctx context.Context, t target, o options) error {
	cmd := exec.CommandContext(ctx, b.path, "-test.run=^$", "-test.fuzz=^"+t.name+"$", "-test.fuzztime="+o.each.String(),
		"-test.fuzzminimizetime=2s", "-test.fuzzcachedir="+b.cache, fmt.Sprint("-test.parallel=", o.workers))
	cmd.Dir = b.folder
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	inputs, news := "0", "0"
	if said := progress.FindAllStringSubmatch(out.String(), -1); len(said) > 0 {
		inputs, news = said[len(said)-1][1], said[len(said)-1][2]
	}
	verdict := "ok"
	if err != nil {
		verdict = "FOUND"
	}
	fmt.Printf("%-45s %10s inputs %6s new  %s\n", t, inputs, news, verdict)
	if err == nil {
		return nil
	}
	fmt.Println(strings.TrimSpace(out.String()))
	again := t.name // no input was written: a seed fails, or the process ended
	if file := failing.FindStringSubmatch(out.String()); file != nil {
		again += "/" + filepath.Base(file[1])
	}
	in, relErr := filepath.Rel(t.root, t.folder)
	fmt.Printf("to see it again: go test -tags native -run '^%s$' ./%s\n", strings.ReplaceAll(again, "/", "$/^"), filepath.ToSlash(in))
	return errors.Join(errFound, relErr)
}
