package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"shoal"
	"shoal/rpclog"
)

// pageTime is how long a page is looked for: one that is not full by then says where to go on.
const pageTime = time.Second

// position is a place between two lines: it stays valid when the file is compressed, and means the beginning of the next
// one when it has been removed.
type position struct {
	number uint64
	offset int64 // in bytes of lines
}

// text is what a Page's Next is: the series' first letter, the file's number, and the offset.
func (p position) text(prefix string) string {
	return fmt.Sprintf("%c%d.%d", prefix[0], p.number, p.offset)
}

func parsePosition(prefix, s string) (position, error) {
	number, offset, ok := strings.Cut(strings.TrimPrefix(s, prefix[:1]), ".")
	n, err := strconv.ParseUint(number, 10, 63)
	o, more := strconv.ParseInt(offset, 10, 63)
	if err = errors.Join(err, more); err != nil || !ok || o < 0 || !strings.HasPrefix(s, prefix[:1]) {
		return position{}, shoal.Errorf(shoal.BadRequest, "%q is no place in these entries; ask again from the beginning", s)
	}
	return position{n, o}, nil
}

// Query reads entries, oldest first. A page has at most rpclog.MaxPage bytes of lines, unless a single line is longer,
// and may have fewer lines than there are, or none, even if there is More: a look through much that does not match ends
// after a second. The error has code BadRequest where the query makes no sense.
func (j *Journal) Query(ctx context.Context, q rpclog.Query) (rpclog.Page, error) {
	s := j.series(!q.Unverified)
	f, err := newFilter(q)
	if err != nil {
		return rpclog.Page{}, err
	}
	p := pager{series: s, filter: f, until: time.Now().Add(pageTime), limit: -1}
	switch {
	case q.After != "":
		p.at, err = parsePosition(s.prefix, q.After)
		if end := s.end(); err == nil && end.number < p.at.number {
			err = shoal.Errorf(shoal.BadRequest, "the log does not reach as far as %q: it is another one than before; ask again from the beginning", q.After)
		}
	case q.Last > 0:
		p.limit = q.Last
		p.at, err = s.lastOf(ctx, f, q.Last)
	}
	if err == nil {
		err = p.read(ctx)
	}
	if err != nil {
		return rpclog.Page{}, err
	}
	p.page.Next = p.at.text(s.prefix)
	p.page.More = p.more && p.at != s.end()
	return p.page, nil
}

// pager collects a page.
type pager struct {
	*series
	filter *filter
	until  time.Time
	limit  int // lines; negative for no limit

	at   position // where to go on
	more bool     // there may be more
	page rpclog.Page
	size int // bytes of lines
}

// read collects lines from p.at on.
func (p *pager) read(ctx context.Context) error {
	var missing file
	for p.more = true; p.more; {
		f, last, ok := p.series.at(p.at.number)
		if !ok || last && f == missing {
			p.more = false
			return nil
		}
		if f == missing {
			p.at = position{f.number + 1, 0} // somebody else has removed it
			continue
		}
		if f.number != p.at.number {
			p.at = position{f.number, 0}
		}
		in, err := p.open(f, p.filter.since)
		if errors.Is(err, fs.ErrNotExist) {
			missing = f // compressed or removed since: there is a new answer of at
			continue
		}
		if err != nil {
			return err
		}
		ended, err := p.readFile(ctx, in)
		in.Close()
		switch {
		case err != nil:
			return err
		case !ended:
			return nil
		case last && f.compressed:
			p.at, p.more = position{f.number + 1, 0}, false
		case last:
			p.more = false
		default:
			p.at = position{f.number + 1, 0}
		}
	}
	return nil
}

// readFile collects lines of one file. ended says that it has no more, and not that the page has enough.
func (p *pager) readFile(ctx context.Context, in blocks) (ended bool, err error) {
	// A place that is not between two lines, after a crash that cut off what had been read, is put there.
	p.at.offset = min(p.at.offset, in.size())
	inside := p.at.offset > 0
	if inside {
		p.at.offset--
	}
	for {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		b, err := in.next(p.at.offset)
		if err != nil {
			return false, err
		}
		if b.end == p.at.offset {
			return true, nil
		}
		enough, late := false, false
		b.eachLine(func(line []byte, start int64) bool {
			if !inside && p.filter.match(line) && json.Valid(line) {
				if enough = !p.take(line); enough {
					return false
				}
			}
			inside = false
			p.at.offset = start + int64(len(line)) + 1
			late = p.filter.grep != nil && time.Now().After(p.until)
			return !late
		})
		if enough || late {
			return false, nil
		}
		inside, p.at.offset = false, b.end
		if time.Now().After(p.until) {
			return false, nil
		}
	}
}

// take adds a line to the page, unless that has enough.
func (p *pager) take(line []byte) bool {
	if n := len(p.page.Lines); n == p.limit || n > 0 && p.size+len(line) > rpclog.MaxPage {
		return false
	}
	p.page.Lines = append(p.page.Lines, append([]byte(nil), line...))
	p.size += len(line)
	return true
}

// lastOf returns the place before the last n entries that match, or before the first one if there are fewer.
func (s *series) lastOf(ctx context.Context, f *filter, n int) (position, error) {
	found := s.end()
	var missing file
	for number := found.number + 1; ; {
		file, ok := s.before(number)
		if !ok {
			return found, nil
		}
		if file == missing {
			number = file.number // somebody else has removed it
			continue
		}
		in, err := s.open(file, f.since)
		if errors.Is(err, fs.ErrNotExist) {
			missing = file
			continue
		}
		if err != nil {
			return position{}, err
		}
		n, err = lastIn(ctx, in, f, n, func(offset int64) { found = position{file.number, offset} })
		in.Close()
		if err != nil || n == 0 {
			return found, err
		}
		number = file.number
	}
}

// lastIn looks for the last n matching lines of a file, says where the earliest of them is, and returns how many of them
// there are not.
func lastIn(ctx context.Context, in blocks, f *filter, n int, found func(offset int64)) (int, error) {
	var matches []int64 // of one block
	for end := in.size(); end > 0 && n > 0; {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		b, err := in.previous(end)
		if err != nil {
			return n, err
		}
		matches = matches[:0]
		b.eachLine(func(line []byte, start int64) bool {
			if f.match(line) && json.Valid(line) {
				matches = append(matches, start)
			}
			return f.grep == nil || ctx.Err() == nil
		})
		if err := ctx.Err(); err != nil {
			return n, err
		}
		if k := len(matches); k > 0 {
			found(matches[max(k-n, 0)])
			n -= min(k, n)
		}
		end = b.start
	}
	return n, nil
}
