package main

import (
	"errors"

	"shoal"
)

// The exit codes are part of the command's interface: docs/OPERATIONS.md has the table. They never change meaning.
var exitCodes = map[shoal.Code]int{
	shoal.BadRequest: 2, shoal.Unsupported: 2,
	shoal.NotFound:  3,
	shoal.NoSources: 4,
	shoal.Untrusted: 5, shoal.Denied: 5,
	shoal.NoSpace:     6,
	shoal.Exists:      7,
	shoal.NameTaken:   7,
	shoal.Unreachable: 8, shoal.Busy: 8, shoal.Limit: 8,
	shoal.Changed: 9, shoal.Corrupt: 9,
	shoal.Canceled: 130,
}

func exitCode(err error) int {
	if err == nil {
		return 0
	}
	if code, ok := exitCodes[shoal.CodeOf(err)]; ok {
		return code
	}
	return 1
}

// saidError is an error that the user has been told of already.
type saidError struct{ error }

func (e saidError) Unwrap() error { return e.error }

func isSaid(err error) bool {
	var said saidError
	return errors.As(err, &said)
}
