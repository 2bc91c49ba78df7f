package queue

import (
	"cmp"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"shoal"
)

// Wish is what somebody wants to be downloaded. Two equal wishes are one.
type Wish struct {
	Group   shoal.Group    `json:"group"`
	Target  string         `json:"target"`            // a name or a FileID
	Out     string         `json:"out"`               // an absolute path: the file to write, or, with a slash behind it, the folder
	From    shoal.DeviceID `json:"from,omitzero"`     // the only device to fetch from; zero for all
	Timeout time.Duration  `json:"timeout,omitempty"` // how long an attempt waits while nothing comes; 0 for ever
	Range   shoal.Range    `json:"range,omitzero"`    // of the file's bytes; zero for all
}

// Check returns an error of code BadRequest for a wish that nothing could fulfil.
func (w Wish) Check() error {
	_, badGroup := shoal.ParseGroup(string(w.Group))
	_, badName := shoal.ParseName(w.Target) // a FileID can be a name, too
	switch {
	case badGroup != nil || badName != nil:
		return errors.Join(badGroup, badName)
	case !filepath.IsAbs(w.Out) || !utf8.ValidString(w.Out) || strings.ContainsRune(w.Out, 0):
		return shoal.Errorf(shoal.BadRequest, "a queued download needs an absolute path in UTF-8 to go to, and %q is none", w.Out)
	case w.Timeout < 0:
		return shoal.Errorf(shoal.BadRequest, "a timeout of %v is less than 0", w.Timeout)
	}
	return nil
}

// State is where a download stands.
type State string

// The states. Queued, Paused, Done, Failed and Canceling are kept over restarts; what was Running is Queued then.
const (
	Queued    State = "queued"    // waits for its turn, or for the next attempt
	Running   State = "running"   // is being fetched
	Paused    State = "paused"    // waits to be resumed
	Canceling State = "canceling" // ends, and its unfinished part is removed
	Done      State = "done"      // whole, verified, synced, under its final name
	Failed    State = "failed"    // in a way that waiting does not mend
)

// Moves reports whether a download in this state gets anywhere by itself.
func (s State) Moves() bool { return s == Queued || s == Running || s == Canceling }

// Finished reports whether nothing more is done about a download in this state.
func (s State) Finished() bool { return s == Done || s == Failed }

// Download is a wish, and what has become of it.
type Download struct {
	ID    uint64 `json:"id"` // 1 and up, never used again
	Wish  Wish   `json:"wish"`
	State State  `json:"state"`

	// What the server said that it is, and where it goes; zero until it was asked.
	Name   shoal.Name   `json:"name,omitempty"`
	Object shoal.Object `json:"object,omitzero"`
	Path   string       `json:"path,omitempty"`

	Size    int64        `json:"size,omitempty"`    // bytes that are wanted
	Held    int64        `json:"held,omitempty"`    // bytes verified and on disk, as far as is known
	Rate    float64      `json:"rate,omitempty"`    // bytes a second, lately; 0 unless it is running
	Waiting bool         `json:"waiting,omitempty"` // it is running, and nobody can be asked for anything
	Missing []shoal.Span `json:"missing,omitempty"` // while it waits: pieces that nobody has who can be reached
	Present bool         `json:"present,omitempty"` // the file was there already
	Served  bool         `json:"served,omitempty"`  // it is served on
	Shares  []Share      `json:"shares,omitempty"`  // what each device gave, in all attempts

	Attempts int       `json:"attempts,omitempty"` // that failed since anything came
	Retry    time.Time `json:"retry,omitzero"`     // when the next attempt may begin
	Fault    *Fault    `json:"fault,omitempty"`    // of the last attempt; of one that is Done, why it is not served on

	Added time.Time     `json:"added"`
	Due   time.Time     `json:"due"` // its place: those that are due first go first
	Ended time.Time     `json:"ended,omitzero"`
	Took  time.Duration `json:"took,omitempty"` // how long it has been running, in all attempts
}

// Share is what came from one device or mirror.
type Share struct {
	Device    shoal.DeviceID `json:"device"`           // for a mirror what stands for it
	Mirror    string         `json:"mirror,omitempty"` // its host
	Connected bool           `json:"connected,omitempty"`
	Bytes     int64          `json:"bytes"` // verified
}

// Fault is an error that is kept.
type Fault struct {
	Code shoal.Code `json:"code"`
	Text string     `json:"text"`
}

// maxShares is how many devices' shares are kept of a download.
const maxShares = 64

// addShares adds what came from devices to what had come before, most first.
func addShares(before, more []Share) []Share {
	all := slices.Clone(before)
	for _, m := range more {
		i := slices.IndexFunc(all, func(s Share) bool { return s.Device == m.Device })
		if i < 0 {
			all = append(all, m)
			continue
		}
		all[i].Bytes += m.Bytes
		all[i].Connected = all[i].Connected || m.Connected
	}
	slices.SortStableFunc(all, func(a, b Share) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return all[:min(len(all), maxShares)]
}

// faultOf is what is kept of an error.
func faultOf(err error) *Fault {
	const longest = 4 << 10 // bytes: a source has a line in it each
	text := err.Error()
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + " …"
	}
	return &Fault{shoal.CodeOf(err), text}
}

// Err is the error again; nil for no fault.
func (f *Fault) Err() error {
	if f == nil {
		return nil
	}
	return shoal.Errorf(f.Code, "%s", f.Text)
}
