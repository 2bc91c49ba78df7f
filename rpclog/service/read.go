package service

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"

	"shoal"
	"shoal/ownsocket"
	"shoal/rpclog"
)

// maxAnswer is what an answer can take: a page's lines, or one long line, and the last one.
const maxAnswer = 16 << 20

// Read asks the service at a unix socket for a page of its log; see journal.Query. The error has code Unreachable where
// no service is running, Denied where it is another user's, and BadRequest for a query that makes no sense.
func Read(ctx context.Context, socketPath string, q rpclog.Query) (rpclog.Page, error) {
	query, err := json.Marshal(q)
	if err != nil {
		return rpclog.Page{}, shoal.Errorf(shoal.BadRequest, "asking for the log: %w", err)
	}
	dialer, err := ownsocket.NewDialer(filepath.Dir(socketPath), filepath.Base(socketPath))
	if err != nil {
		return rpclog.Page{}, whyNot(socketPath, err)
	}
	defer dialer.Close()
	transport := &http.Transport{DialContext: dialer.Dial, DisableKeepAlives: true}
	target := "http://service/entries?" + url.Values{"query": {string(query)}}.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return rpclog.Page{}, fmt.Errorf("asking for the log: %w", err)
	}
	response, err := transport.RoundTrip(r)
	if err != nil {
		return rpclog.Page{}, whyNot(socketPath, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return rpclog.Page{}, shoal.Errorf(shoal.Unsupported, "what listens at %s is no log service: it answers %s", socketPath, response.Status)
	}
	return readPage(response.Body)
}

// whyNot says why nobody answers at the socket.
func whyNot(path string, err error) error {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("asking for the log: %w", err)
	case errors.Is(err, fs.ErrPermission):
		return shoal.Errorf(shoal.Denied, "the log service at %s is another user's, who alone may read its log", path)
	case ownsocket.Absent(err):
		return shoal.Errorf(shoal.Unreachable, "no log service runs at %s; start one with shoal rpclog, or say with --socket where it is", path)
	}
	return shoal.Errorf(shoal.Unreachable, "asking the log service at %s: %w", path, err)
}

func readPage(body io.Reader) (p rpclog.Page, err error) {
	in := bufio.NewReader(io.LimitReader(body, maxAnswer))
	var line []byte
	for {
		next, err := in.ReadBytes('\n')
		if err == io.EOF && len(next) == 0 {
			break
		}
		if err != nil {
			return rpclog.Page{}, shoal.Errorf(shoal.Unreachable, "the log service ended before it was done: %w", err)
		}
		if line != nil {
			p.Lines = append(p.Lines, line)
		}
		line = bytes.TrimSuffix(next, []byte{'\n'})
	}
	var last lastLine
	if err := json.Unmarshal(line, &last); err != nil || last.Next == "" && last.Error == nil {
		return rpclog.Page{}, shoal.Errorf(shoal.Unreachable, "the log service ended before it was done")
	}
	if last.Error != nil {
		return rpclog.Page{}, shoal.Errorf(last.Error.Code, "%s", last.Error.Text)
	}
	p.Next, p.More = last.Next, last.More
	return p, nil
}
