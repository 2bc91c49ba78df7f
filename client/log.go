package client

import (
	"bytes"
	"context"
	"math"

	"shoal"
	"shoal/rpclog"
	"shoal/wire"
)

// ReadLog reads a part of the realm's log through the server. The error has code Denied where this device may not, Busy
// where too many others do, BadRequest for a query that makes no sense, and Unreachable where the server or its log
// service does not answer.
func (c *Client) ReadLog(ctx context.Context, q rpclog.Query) (rpclog.Page, error) {
	m := wire.Log{
		User: q.User, Operation: q.Operation, Level: uint32(q.Level), Grep: q.Grep, Unverified: q.Unverified,
		Last: uint32(max(0, min(q.Last, math.MaxUint32))), After: q.After,
	}
	if !q.Since.IsZero() {
		m.Since = q.Since.UnixMilli()
	}
	for what, text := range map[string]struct {
		text  string
		limit int
	}{"user": {m.User, rpclog.MaxUser}, "operation": {m.Operation, rpclog.MaxName}, "regular expression": {m.Grep, wire.MaxGrep}} {
		if len(text.text) > text.limit {
			return rpclog.Page{}, shoal.Errorf(shoal.BadRequest, "the %s to look for has %d bytes; at most %d are allowed", what, len(text.text), text.limit)
		}
	}
	reply, err := c.tracker.Log(ctx, &m)
	if err != nil {
		return rpclog.Page{}, err
	}
	page := rpclog.Page{Next: reply.Next, More: reply.More}
	for line := range bytes.Lines(reply.Lines) {
		page.Lines = append(page.Lines, bytes.TrimSuffix(line, []byte{'\n'}))
	}
	return page, nil
}
