package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"shoal"
	"shoal/client/queue"
	"shoal/client/store"
	"shoal/wire"
)

// The control socket is how commands talk to the daemon of the same state folder: HTTP over a unix socket that only its
// owner can use. A request is JSON in the query, and its body is the manifest where there is one. The answer is a stream
// of JSON objects, one a line, the last of which has Done or Error.

const socketName = "control.sock"

// controlRequest is what a command asks of the daemon.
type controlRequest struct {
	Group shoal.Group `json:"group"`
	Name  shoal.Name  `json:"name"`
	Path  string      `json:"path,omitempty"`
	// NoSample keeps the file's beginning from the server. Of a file that is handed over it always is: that is for whoever
	// published it first to decide.
	NoSample bool `json:"no_sample,omitempty"`
	// Verified hands over a file that this process has just fetched and verified.
	Verified *verifiedFile `json:"verified,omitempty"`
	Rates    RateChange    `json:"rates"`
	// Mirrors are where web servers have the file.
	Mirrors  []shoal.Mirror `json:"mirrors,omitempty"`
	manifest []byte         // of Verified, as MANIFEST's reply has it
}

type verifiedFile struct {
	Object shoal.Object
	Stamp  store.Stamp
}

// controlLine is one line of an answer.
type controlLine struct {
	Hashed int64         `json:"hashed,omitempty"` // bytes so far
	Object *shoal.Object `json:"object,omitempty"`
	Dir    string        `json:"dir,omitempty"`
	Rates  *Rates        `json:"rates,omitempty"`
	Error  *controlError `json:"error,omitempty"`
	Done   bool          `json:"done,omitempty"`

	Download *queue.Download `json:"download,omitempty"`
	Refused  *refusal        `json:"refused,omitempty"`
	Gone     uint64          `json:"gone,omitempty"`  // a download that is no longer there
	Round    bool            `json:"round,omitempty"` // that was all for now
}

type controlError struct {
	Code shoal.Code `json:"code"`
	Text string     `json:"text"`
}

// runControl answers commands until ctx ends.
func (d *Daemon) runControl(ctx context.Context) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /publish", answerControl(readControl, d.controlPublish))
	mux.HandleFunc("POST /unpublish", answerControl(readControl, d.controlUnpublish))
	mux.HandleFunc("POST /folder", answerControl(readControl, d.controlFolder))
	mux.HandleFunc("POST /reconnect", answerControl(readControl, d.controlReconnect))
	mux.HandleFunc("POST /limit", answerControl(readControl, d.controlLimit))
	mux.HandleFunc("POST /queue", answerControl(readDownloads, d.controlQueue))
	mux.HandleFunc("POST /downloads", answerControl(readDownloads, d.controlDownloads))
	mux.HandleFunc("POST /downloads/alter", answerControl(readDownloads, d.controlAlter))
	if err := d.control.Serve(ctx, mux); err != nil {
		d.config.Log.Error().Err(err).Msg("the control socket ended")
	}
}

// answerControl decodes a request, carries it out, and writes its outcome as the last line.
func answerControl[R any](read func(*http.Request) (R, error), do func(context.Context, R, func(controlLine)) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var mu sync.Mutex // guards w
		out := json.NewEncoder(w)
		say := func(line controlLine) {
			mu.Lock()
			defer mu.Unlock()
			_ = out.Encode(line) // a command that went away cancels the request
			_ = http.NewResponseController(w).Flush()
		}
		request, err := read(r)
		if err == nil {
			err = do(r.Context(), request, say)
		}
		if err != nil && r.Context().Err() != nil && shoal.CodeOf(err) == shoal.Canceled {
			// If the command went away, it does not hear this.
			err = shoal.Errorf(shoal.Busy, "the peer is stopping, and it is not known whether that was done; ask again when it runs")
		}
		if err != nil {
			say(controlLine{Error: &controlError{shoal.CodeOf(err), err.Error()}})
			return
		}
		say(controlLine{Done: true})
	}
}

func readControl(r *http.Request) (request controlRequest, err error) {
	const limit = 4 << 20 // bytes: more than the largest manifest has
	if r.ContentLength < 0 || r.ContentLength > limit {
		return request, shoal.Errorf(shoal.BadRequest, "a request to the daemon of %d bytes", r.ContentLength)
	}
	err = json.Unmarshal([]byte(r.URL.Query().Get("request")), &request)
	if err == nil {
		request.manifest, err = io.ReadAll(http.MaxBytesReader(nil, r.Body, limit))
	}
	if err != nil {
		err = shoal.Errorf(shoal.BadRequest, "a request to the daemon that cannot be read: %w", err)
	}
	return request, err
}

func (d *Daemon) controlFolder(_ context.Context, _ controlRequest, say func(controlLine)) error {
	say(controlLine{Dir: d.dir})
	return nil
}

func (d *Daemon) controlReconnect(context.Context, controlRequest, func(controlLine)) error {
	d.tracker.Reconnect()
	return nil
}

func (d *Daemon) controlUnpublish(ctx context.Context, r controlRequest, _ func(controlLine)) error {
	return d.Unpublish(ctx, r.Group, r.Name)
}

func (d *Daemon) controlPublish(ctx context.Context, r controlRequest, say func(controlLine)) error {
	_, badName := shoal.ParseName(string(r.Name))
	_, badGroup := shoal.ParseGroup(string(r.Group))
	if err := errors.Join(badName, badGroup, shoal.CheckMirrors(r.Mirrors)); err != nil {
		return err
	}
	for _, m := range r.Mirrors {
		if _, err := shoal.ParseMirror(string(m)); err != nil {
			return err
		}
	}
	if !filepath.IsAbs(r.Path) {
		return shoal.Errorf(shoal.BadRequest, "the path %q is not absolute, and the daemon's folder is not the command's", r.Path)
	}
	file, err := d.openFor(ctx, r, say)
	if err != nil {
		return err
	}
	o := file.Object()
	if err := d.Share(ctx, r.Group, r.Name, file, Sampling(!r.NoSample && r.Verified == nil), r.Mirrors...); err != nil {
		return err
	}
	say(controlLine{Object: &o})
	return nil
}

// openFor opens the file to be shared: as it was verified, or hashing it now.
func (d *Daemon) openFor(ctx context.Context, r controlRequest, say func(controlLine)) (*store.File, error) {
	if v := r.Verified; v != nil {
		var proof wire.ManifestReply
		if err := wire.Decode(r.manifest, &proof); err != nil {
			return nil, err
		}
		if err := proof.Verify(v.Object); err != nil {
			return nil, err
		}
		proof.Tail = bytes.Clone(proof.Tail) // and let go of the rest of the body
		return store.OpenFile(r.Path, v.Stamp, v.Object, &proof.Manifest)
	}
	var hashed, said atomic.Int64
	return store.Hash(ctx, r.Path, func(n int64) {
		const step = 32 << 20
		if now := hashed.Add(n); now/step > said.Load() {
			said.Store(now / step)
			say(controlLine{Hashed: now})
		}
	})
}

func makeFolder(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", path, err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		code := shoal.Internal
		if errors.Is(err, unix.EACCES) {
			code = shoal.Denied
		}
		return "", shoal.Errorf(code, "making the folder %s: %w", path, err)
	}
	return path, nil
}
