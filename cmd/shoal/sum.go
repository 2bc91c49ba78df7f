package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"shoal"
	"shoal/native"
	"shoal/native/sumfile"
)

func newSum() *cobra.Command {
	var check, quiet, asJSON bool
	cmd := &cobra.Command{
		Use:   "sum [FILE...]",
		Short: "Print the FileIDs of files, in the lines that b3sum prints, or check such lines",
		Long: "Sum prints the FileID of each file, in the lines that b3sum prints. Without a file, and for -, it reads\n" +
			"standard input. With --check the files hold such lines, as sum or b3sum printed them, and it tells for each\n" +
			"line whether the file has that FileID.",
		RunE: func(cmd *cobra.Command, files []string) error {
			if quiet && !check {
				return shoal.Errorf(shoal.BadRequest, "--quiet goes with --check; see: %s --help", cmd.CommandPath())
			}
			// Nothing has to be put in order before the end, and a read from a terminal or pipe cannot be called off.
			signal.Reset(os.Interrupt, syscall.SIGTERM)
			if len(files) == 0 {
				files = []string{"-"}
			}
			s := newSummer(cmd.Context(), asJSON)
			if check {
				c := checker{summer: s, quiet: quiet}
				return c.checkAll(files)
			}
			return s.sumAll(files)
		},
	}
	cmd.Flags().BoolVarP(&check, "check", "c", false, "check the lines that the files hold")
	cmd.Flags().BoolVar(&quiet, "quiet", false, "with --check: no line for a file that is as it should be")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return cmd
}

// A summer hashes one file after the other.
type summer struct {
	ctx    context.Context
	json   bool
	plain  bool // stdout is a terminal, which must not obey what a name holds
	hasher *native.Hasher
	buf    []byte
}

func newSummer(ctx context.Context, asJSON bool) *summer {
	return &summer{
		ctx: ctx, json: asJSON, plain: term.IsTerminal(int(os.Stdout.Fd())),
		hasher: native.NewHasher(), buf: make([]byte, streamBuffer),
	}
}

// Sizes in bytes: of the parts in which a stream is read; from where on a file is worth all cores; and from where on it
// may take a while.
const (
	streamBuffer = 1 << 20
	manyCores    = 1 << 20
	worthABar    = 64 << 20
)

// sumAll prints the lines of all files. A file that fails does not keep the others from being hashed.
func (s *summer) sumAll(files []string) error {
	var failures []error
	for _, file := range files {
		o, err := s.sum(file)
		if err != nil {
			failures = append(failures, err)
			reportFailure(s.json, file, err)
			continue
		}
		line := sumfile.Line{Hash: o.ID, Name: file}.String()
		if err := s.print(line, map[string]any{"name": file, "file": o.ID, "size": o.Size}); err != nil {
			return err
		}
	}
	return joinFailures(failures)
}

// print prints a line, or with --json what stands for it.
func (s *summer) print(line string, event map[string]any) error {
	switch {
	case s.json:
		b, err := json.Marshal(event)
		if err != nil {
			return err
		}
		line = escaped(string(b))
	case s.plain:
		line = shoal.Printable(line)
	}
	if _, err := fmt.Println(line); err != nil {
		return fmt.Errorf("%w: %w", errStdout, err)
	}
	return nil
}

// errStdout says that the lines go nowhere, which ends the command.
var errStdout = errors.New("printing to standard output")

// sum hashes the file at path, or standard input for "-".
func (s *summer) sum(path string) (shoal.Object, error) {
	if path == "-" {
		return s.stream(os.Stdin, "standard input")
	}
	f, err := os.Open(path)
	if err != nil {
		return shoal.Object{}, fileError(err)
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	switch {
	case err != nil:
		return shoal.Object{}, fileError(err)
	case info.IsDir():
		return shoal.Object{}, shoal.Errorf(shoal.BadRequest, "it is a folder; name the files in it")
	case info.Mode().IsRegular() && info.Size() >= manyCores:
		return s.file(f, path, info.Size())
	}
	// Pipes, devices, and what the kernel makes up as it is read: the size says nothing.
	return s.stream(f, path)
}

// file hashes a regular file of size bytes on all cores.
func (s *summer) file(f *os.File, name string, size int64) (shoal.Object, error) {
	var progress func(int64)
	if size >= worthABar {
		bar := newBar("hashing "+shoal.Printable(name), size)
		defer bar.end()
		progress = addUp(bar.set)
	}
	o, _, err := shoal.HashFile(s.ctx, f, size, progress)
	return o, fileError(err)
}

// stream hashes what r holds to its end, however long it is.
func (s *summer) stream(r *os.File, name string) (shoal.Object, error) {
	s.hasher.Reset()
	var o shoal.Object
	var bar *bar
	for {
		n, err := r.Read(s.buf)
		_, _ = s.hasher.Write(s.buf[:n]) // never fails
		o.Size += int64(n)
		if bar == nil && o.Size >= worthABar {
			bar = newBar("hashing "+shoal.Printable(name), 0)
			defer bar.end()
		}
		if bar != nil {
			bar.set(o.Size)
		}
		if err == io.EOF {
			o.ID = s.hasher.Sum()
			return o, nil
		}
		if err != nil {
			return o, fileError(err)
		}
	}
}

// fileError gives an error of the system's a code, and leaves out the path, which its report names.
func fileError(err error) error {
	var path *fs.PathError
	if !errors.As(err, &path) {
		return err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		return shoal.Errorf(shoal.NotFound, "%w", path.Err)
	case errors.Is(err, fs.ErrPermission):
		return shoal.Errorf(shoal.Denied, "%w", path.Err)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENAMETOOLONG):
		return shoal.Errorf(shoal.BadRequest, "%w", path.Err)
	}
	return path.Err
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version and which BLAKE3 runs",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			fmt.Printf("shoal %s, protocol shoal/1, BLAKE3 %s\n", version, native.Level())
			return nil
		},
	}
}

// version is the program's own.
const version = "0.1.0"
