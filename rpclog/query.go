package rpclog

import "time"

// The keys of an entry's own fields in the JSON of zerolog and of the log files. Duration is in milliseconds.
const (
	KeyUser      = "user"
	KeyOperation = "op"
	KeyObject    = "object"
	KeyOutcome   = "outcome"
	KeyRemote    = "remote"
	KeyDuration  = "duration"
	KeyLost      = "lost"
)

// Query says which entries to read, oldest first. What is zero does not restrict.
type Query struct {
	User       string    // exactly this
	Operation  string    // exactly this
	Level      Level     // this or above
	Since      time.Time // not before
	Grep       string    // a regular expression (package regexp) that the line matches
	Unverified bool      // those that are kept apart, instead of the others
	Last       int       // no more than that many, the latest there are; only where After is empty
	After      string    // what a Page's Next was: what came after that page
}

// Page is a part of the answer to a Query: whole lines, each a JSON object.
type Page struct {
	Lines [][]byte
	Next  string // where to go on; also when nothing is left, for what comes later
	More  bool   // there is more by now
}

// MaxPage is how many bytes the lines of a Page take at most, unless a single line takes more.
const MaxPage = 256 << 10
