package main

import (
	"fmt"
	"math"
	"os"

	"shoal"
	"shoal/client/peer"
)

// copiesText is the number of distributed copies in tenths, rounded down: 1.0 is never said of less.
func copiesText(a shoal.Availability, o shoal.Object) string {
	return fmt.Sprintf("%.1f", math.Floor(10*a.Copies(o))/10)
}

// span is some of an object's pieces, in JSON. End is the byte behind the last.
type span struct {
	Piece  uint32 `json:"piece"`
	Pieces uint32 `json:"pieces"`
	Begin  int64  `json:"begin"`
	End    int64  `json:"end"`
}

// missingOf are the pieces of an object that nobody has, in JSON.
func missingOf(spans []shoal.Span, o shoal.Object) []span {
	all := []span{}
	for _, s := range spans {
		bytes := s.Bytes(o)
		all = append(all, span{s.First, s.Count, bytes.Begin, bytes.End})
	}
	return all
}

// availabilityOf adds to a JSON object how many copies there are.
func availabilityOf(object map[string]any, a shoal.Availability, o shoal.Object) map[string]any {
	object["sources"], object["partial"], object["copies"] = a.Whole, a.Partial, a.Copies(o)
	return object
}

// waitsAnew reports whether a download has begun to wait for something else than it did.
func waitsAnew(was, is peer.Status) bool {
	return is.Waiting && !was.Waiting || len(is.Missing) > 0 && len(was.Missing) == 0
}

// waitText is what a download waits for.
func waitText(missing []shoal.Span, o shoal.Object) string {
	if len(missing) == 0 {
		return "waiting for a source"
	}
	return "waiting for " + shoal.ListSpans(missing, o) + ", which nobody has who can be reached"
}

// warn tells something beside what was asked for.
func warn(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "shoal: warning: %s\n", shoal.Printable(fmt.Sprintf(format, args...)))
}
