package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"shoal"
	"shoal/native/sumfile"
)

// lineLimit is more than the longest line that names a file, in bytes.
const lineLimit = 16 << 10

// A checker checks lines and counts how they came out.
type checker struct {
	*summer
	quiet bool

	files, differ, unread, malformed int
	failures                         []error // of the files that could not be read, sums or not
}

// checkAll checks the lines of all these files of sums.
func (c *checker) checkAll(sums []string) error {
	for _, name := range sums {
		if err := c.checkFile(name); err != nil {
			if errors.Is(err, errStdout) {
				return err
			}
			c.failures = append(c.failures, err)
			reportFailure(c.json, name, err)
		}
	}
	return c.outcome()
}

// outcome returns the error that sums up the check. A file that differs decides its code, whatever else there was.
func (c *checker) outcome() error {
	summary := fmt.Sprintf("of %d files %d differ and %d could not be read; %d lines are malformed",
		c.files, c.differ, c.unread, c.malformed)
	switch {
	case c.differ > 0:
		return shoal.Errorf(shoal.Corrupt, "%s", summary)
	case len(c.failures) > 0:
		return shoal.Errorf(shoal.CodeOf(c.failures[0]), "%s", summary)
	case c.malformed > 0:
		return shoal.Errorf(shoal.BadRequest, "%s", summary)
	}
	return nil
}

// checkFile checks the lines of one file of sums. The error is of that file, not of those that it names.
func (c *checker) checkFile(name string) error {
	f := os.Stdin
	if name != "-" {
		var err error
		if f, err = os.Open(name); err != nil {
			return fileError(err)
		}
		defer func() { _ = f.Close() }() // it was only read
	}
	lines := bufio.NewReaderSize(f, lineLimit)
	for number := 1; ; number++ {
		text, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return shoal.Errorf(shoal.BadRequest, "line %d has more than %d bytes; is this a file of sums?", number, lineLimit)
		}
		if err != nil && err != io.EOF {
			return fileError(err)
		}
		if len(text) > 0 {
			if err := c.checkLine(name, number, strings.TrimSuffix(string(text), "\n")); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
	}
}

// checkLine checks one line and says how it came out.
func (c *checker) checkLine(sums string, number int, text string) error {
	want, err := sumfile.Parse(text)
	if err == nil && want.Name == "-" && sums == "-" {
		err = errors.New("standard input cannot be checked, for it holds the sums")
	}
	if err != nil {
		c.malformed++
		reportFailure(c.json, fmt.Sprintf("%s:%d", sums, number), shoal.Errorf(shoal.BadRequest, "malformed line: %w", err))
		return nil
	}
	c.files++
	event := map[string]any{"name": want.Name, "ok": true}
	line := sumfile.Escape(want.Name)
	got, err := c.sum(want.Name)
	switch {
	case err != nil:
		c.unread++
		c.failures = append(c.failures, err)
		line += fmt.Sprintf(": FAILED (%v)", err)
		event["ok"], event["code"], event["text"] = false, shoal.CodeOf(err).Error(), err.Error()
	case got.ID != want.Hash:
		c.differ++
		line += ": FAILED"
		event["ok"], event["code"] = false, shoal.Corrupt.Error()
	case c.quiet:
		return nil
	default:
		line += ": OK"
	}
	return c.print(line, event)
}
