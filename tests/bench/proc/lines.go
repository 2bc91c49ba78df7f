package proc

import "bytes"

// Lines is an io.Writer that hands out the lines written to it. Lines that nobody reads are dropped once a few wait.
type Lines struct {
	C    <-chan string
	c    chan<- string
	rest []byte // an unfinished line; used by Write only
}

// NewLines returns an empty Lines.
func NewLines() *Lines {
	c := make(chan string, 16)
	return &Lines{C: c, c: c}
}

// Write takes the next bytes. It never fails and never blocks.
func (l *Lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte{'\n'})
		if !found {
			return len(p), nil
		}
		select {
		case l.c <- string(line):
		default:
		}
		l.rest = rest
	}
}
