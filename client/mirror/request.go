package mirror

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"shoal"
)

const (
	// redirects is how many are followed for a request.
	redirects = 5
	// longestWait bounds for how long a web server can put off being asked again; usualWait is where it does not say.
	longestWait = 10 * time.Minute
	usualWait   = 5 * time.Second
)

// probe asks for the first byte.
func (c *Conn) probe(ctx context.Context) error {
	first, err := url.Parse(string(c.source.URL))
	if err != nil {
		return shoal.Errorf(shoal.BadRequest, "the URL of a mirror: %w", err)
	}
	size := c.source.Object.Size
	if c.url, c.ranges = first, true; size == 0 {
		return nil // there is nothing to ask for
	}
	r, at, err := c.get(ctx, "bytes=0-0")
	if err != nil {
		return err
	}
	defer r.Body.Close()
	c.ranges = r.StatusCode == http.StatusPartialContent
	if c.ranges {
		err = c.checkRange(r, 0, 1)
	} else {
		err = c.checkWhole(r)
	}
	if err != nil {
		return err
	}
	c.url, c.etag, c.modified = at, r.Header.Get("ETag"), r.Header.Get("Last-Modified")
	return nil
}

// open asks for the bytes from begin to before end, or, without ranges, for all. The answer is the right one, as far as its
// head tells.
func (c *Conn) open(begin, end int64) (*http.Response, error) {
	wanted := ""
	if c.ranges {
		wanted = fmt.Sprintf("bytes=%d-%d", begin, end-1)
	}
	r, _, err := c.get(c.ctx, wanted)
	if err != nil {
		return nil, err
	}
	switch {
	case c.ranges && r.StatusCode == http.StatusOK: // the range was only wanted of what was there before
		err = c.changed("it is not what it was")
	case c.ranges:
		err = c.checkRange(r, begin, end)
	case r.StatusCode != http.StatusOK:
		err = c.changed("an answer of status %d to a request without a range", r.StatusCode)
	default:
		err = c.checkWhole(r)
	}
	if err == nil && (r.Header.Get("ETag") != c.etag || r.Header.Get("Last-Modified") != c.modified) {
		err = c.changed("it is not what it was")
	}
	if err != nil {
		r.Body.Close()
		return nil, err
	}
	return r, nil
}

// get sends a request, follows redirects, and returns an answer of status 200 or 206, and from where it is.
func (c *Conn) get(ctx context.Context, ranges string) (*http.Response, *url.URL, error) {
	at := c.url
	for hop := 0; ; hop++ {
		r, err := c.transport.RoundTrip(c.request(ctx, at, ranges))
		if err != nil {
			return nil, nil, c.failed(ctx, err)
		}
		switch r.StatusCode {
		case http.StatusOK, http.StatusPartialContent:
			return r, at, nil
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
			r.Body.Close()
			if hop == redirects {
				return nil, nil, c.changed("more than %d redirects", redirects)
			}
			if at, err = c.redirect(at, r.Header.Get("Location")); err != nil {
				return nil, nil, err
			}
		default:
			r.Body.Close()
			return nil, nil, c.refusal(r)
		}
	}
}

// request has nothing that tells of this device, its user, or where the URL is from (rule W10).
func (c *Conn) request(ctx context.Context, at *url.URL, ranges string) *http.Request {
	header := http.Header{"User-Agent": {"shoal"}, "Accept-Encoding": {"identity"}}
	if ranges != "" {
		header.Set("Range", ranges)
		if validator := c.validator(); validator != "" {
			header.Set("If-Range", validator)
		}
	}
	r := &http.Request{Method: http.MethodGet, URL: at, Host: at.Host, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	return r.WithContext(ctx)
}

// validator is what If-Range compares: a strong entity tag, else the time of the last change.
func (c *Conn) validator() string {
	if strings.HasPrefix(c.etag, `"`) {
		return c.etag
	}
	return c.modified
}

// redirect is where an answer leads.
func (c *Conn) redirect(from *url.URL, location string) (*url.URL, error) {
	to, err := from.Parse(location)
	switch {
	case err != nil || location == "" || to.Host == "" || to.User != nil || to.Scheme != "http" && to.Scheme != "https":
		return nil, shoal.Errorf(shoal.Denied, "the mirror at %s redirects to what is no URL to follow", c.source.URL.Host())
	case from.Scheme == "https" && to.Scheme == "http":
		return nil, shoal.Errorf(shoal.Denied, "the mirror at %s redirects from https to http, which is not followed", c.source.URL.Host())
	}
	to.Fragment = ""
	return to, nil
}

// failed is the error of a request that has no answer.
func (c *Conn) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	code := shoal.Unreachable
	if errors.Is(err, shoal.Denied) {
		code = shoal.Denied
	}
	return shoal.Errorf(code, "reading from the mirror at %s: %w", c.source.URL.Host(), err)
}

// refusal is the error of an answer that says no.
func (c *Conn) refusal(r *http.Response) error {
	host := c.source.URL.Host()
	switch r.StatusCode {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		wait := min(retryAfter(r.Header.Get("Retry-After")), longestWait)
		c.source.waitUntil(time.Now().Add(wait))
		return shoal.Errorf(shoal.Busy, "the mirror at %s is busy (status %d)", host, r.StatusCode)
	case http.StatusRequestedRangeNotSatisfiable:
		return c.changed("it is shorter than the file")
	case http.StatusUnauthorized, http.StatusForbidden:
		return shoal.Errorf(shoal.Denied, "the mirror at %s refuses (status %d)", host, r.StatusCode)
	case http.StatusNotFound, http.StatusGone:
		return c.changed("there is nothing at its URL (status %d)", r.StatusCode)
	}
	return shoal.Errorf(shoal.Unreachable, "the mirror at %s answers with status %d", host, r.StatusCode)
}

// retryAfter reads the header of that name: seconds or a date.
func retryAfter(text string) time.Duration {
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(time.Until(at), 0)
	}
	return usualWait
}

// changed is the error for a mirror that does not have the file.
func (c *Conn) changed(format string, args ...any) error {
	return shoal.Errorf(shoal.Changed, "the mirror at %s does not have the file: %s", c.source.URL.Host(), fmt.Sprintf(format, args...))
}

// checkRange looks whether an answer has the bytes from begin to before end of a file of the right size.
func (c *Conn) checkRange(r *http.Response, begin, end int64) error {
	text, _ := strings.CutPrefix(r.Header.Get("Content-Range"), "bytes ")
	span, total, _ := strings.Cut(text, "/")
	if size := strconv.FormatInt(c.source.Object.Size, 10); total != size && total != "*" {
		return c.changed("it says %q about %s bytes", r.Header.Get("Content-Range"), size)
	}
	if span != fmt.Sprintf("%d-%d", begin, end-1) || r.ContentLength >= 0 && r.ContentLength != end-begin {
		return c.changed("it answers with %q, %d bytes, where %d-%d were asked for", r.Header.Get("Content-Range"), r.ContentLength, begin, end-1)
	}
	return c.checkEncoding(r)
}

// checkWhole looks whether an answer has a file of the right size.
func (c *Conn) checkWhole(r *http.Response) error {
	if r.ContentLength >= 0 && r.ContentLength != c.source.Object.Size {
		return c.changed("it has %d bytes instead of %d", r.ContentLength, c.source.Object.Size)
	}
	return c.checkEncoding(r)
}

func (c *Conn) checkEncoding(r *http.Response) error {
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return c.changed("it is encoded as %q", e)
	}
	return nil
}
