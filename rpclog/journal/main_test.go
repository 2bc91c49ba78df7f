package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"shoal"
	"shoal/rpclog"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(asAppender); dir != "" {
		appendForever(dir)
	}
	goleak.VerifyTestMain(m)
}

// reopened is a journal's, opened and closed as often as a test likes.
type reopened struct {
	*testing.T
	dir    string
	limits Limits
	*Journal
}

func newJournal(t *testing.T, limits Limits) *reopened {
	t.Helper()
	f := &reopened{T: t, dir: t.TempDir(), limits: limits}
	f.open()
	return f
}

func (f *reopened) open() {
	f.Helper()
	j, err := Open(f.dir, f.limits, zerolog.New(zerolog.NewTestWriter(f.T)))
	if err != nil {
		f.Fatal(err)
	}
	f.Journal = j
	f.Cleanup(f.close)
}

func (f *reopened) close() {
	if f.Journal == nil {
		return
	}
	if err := f.Journal.Close(); err != nil {
		f.Error(err)
	}
	f.Journal = nil
}

func (f *reopened) reopen() {
	f.close()
	f.open()
}

// store appends and returns the answer.
func (f *reopened) store(b *rpclog.Batch, verified bool) rpclog.Result {
	f.Helper()
	r, err := f.Append(b, verified, Origin{Address: "127.0.0.1:9"})
	if err != nil || r.Status != rpclog.OK {
		f.Fatalf("Append: %+v, %v", r, err)
	}
	return r
}

// all returns what a query finds, over all pages.
func (f *reopened) all(q rpclog.Query) []line {
	f.Helper()
	lines, _ := f.from(q)
	return lines
}

// from returns that and where to go on.
func (f *reopened) from(q rpclog.Query) (lines []line, next string) {
	f.Helper()
	texts, next := f.texts(q)
	for _, text := range texts {
		lines = append(lines, decode(f.T, []byte(text)))
	}
	return lines, next
}

// texts returns that as it is stored.
func (f *reopened) texts(q rpclog.Query) (lines []string, next string) {
	f.Helper()
	for {
		p, err := f.Query(context.Background(), q)
		if err != nil {
			f.Fatal(err)
		}
		for _, text := range p.Lines {
			lines = append(lines, string(text))
		}
		if q.After = p.Next; !p.More {
			return lines, p.Next
		}
	}
}

// line is what is read of an entry.
type line struct {
	Time     time.Time
	Level    string
	Device   shoal.DeviceID
	Process  uint64
	Seq      uint64
	Lost     uint64
	Message  string
	User     string
	Op       string
	Object   string
	Outcome  string
	Remote   string
	Duration json.Number
	Fields   map[string]json.RawMessage
	From     struct {
		Address string
		AuthSys *struct {
			Machine  string
			UID, GID uint32
		} `json:"auth_sys"`
	}
	text string
}

func decode(t *testing.T, text []byte) (l line) {
	t.Helper()
	if err := json.Unmarshal(text, &l); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	l.text = string(text)
	return l
}

// numbers says which entries lines are: their sequence numbers.
func numbers(lines []line) (n []uint64) {
	for _, l := range lines {
		n = append(n, l.Seq)
	}
	return n
}

// upTo returns first to last.
func upTo(first, last uint64) (n []uint64) {
	for i := first; i <= last; i++ {
		n = append(n, i)
	}
	return n
}

func sender(n byte) rpclog.Sender {
	return rpclog.Sender{Device: shoal.DeviceID{n}, Process: uint64(n)}
}

// batch makes entries of s from number first to last.
func batch(s rpclog.Sender, first, last uint64) *rpclog.Batch {
	b := &rpclog.Batch{Sender: s, First: first}
	for n := first; n <= last; n++ {
		b.Entries = append(b.Entries, rpclog.Entry{
			Time: time.Date(2026, 11, 21, 10, 0, 0, int(n), time.UTC), Level: rpclog.Info, Message: fmt.Sprintf("entry %d", n),
		})
	}
	return b
}
