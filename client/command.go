package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"shoal"
	"shoal/client/store"
	"shoal/ownsocket"
	"shoal/wire"
)

// Control talks to the daemon of a state folder.
type Control struct {
	http   http.Client
	socket *ownsocket.Dialer
}

// FindDaemon connects to the daemon whose state folder this is. It returns nil, and no error, when none is running.
func FindDaemon(state string) (*Control, error) {
	dialer, err := ownsocket.NewDialer(state, socketName)
	if ownsocket.Absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	nc, err := dialer.Dial(context.Background(), "", "")
	if err != nil {
		_ = dialer.Close()
		if ownsocket.Absent(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("connecting to the daemon: %w", err)
	}
	_ = nc.Close() // it answers
	return &Control{http.Client{Transport: &http.Transport{DialContext: dialer.Dial}}, dialer}, nil
}

// Publish makes the daemon publish and serve the file at path, an absolute one. hashed, if not nil, is told how many
// bytes have been hashed so far. mirrors are where web servers have the file.
func (c *Control) Publish(ctx context.Context, group shoal.Group, name shoal.Name, path string, sampling Sampling, mirrors []shoal.Mirror, hashed func(int64)) (shoal.Object, error) {
	last, err := c.ask(ctx, "publish", controlRequest{Group: group, Name: name, Path: path, NoSample: sampling == NoSample, Mirrors: mirrors}, hashed)
	if err != nil || last.Object == nil {
		return shoal.Object{}, err
	}
	return *last.Object, nil
}

// HandOver makes the daemon serve a file that this process has fetched and verified.
func (c *Control) HandOver(ctx context.Context, group shoal.Group, name shoal.Name, f *store.File) error {
	proof := wire.ManifestReply{Manifest: *f.Manifest()}
	_, err := c.ask(ctx, "publish", controlRequest{
		Group: group, Name: name, Path: f.Path(),
		Verified: &verifiedFile{Object: f.Object(), Stamp: f.Stamp()}, manifest: proof.Append(nil),
	}, nil)
	return err
}

// Unpublish makes the daemon take a name away.
func (c *Control) Unpublish(ctx context.Context, group shoal.Group, name shoal.Name) error {
	_, err := c.ask(ctx, "unpublish", controlRequest{Group: group, Name: name}, nil)
	return err
}

// Folder is where the daemon wants files that are fetched to go; "" for nowhere in particular.
func (c *Control) Folder(ctx context.Context) (string, error) {
	last, err := c.ask(ctx, "folder", controlRequest{}, nil)
	return last.Dir, err
}

// Reconnect makes the daemon open its session with the server anew: what this device may do there has changed.
func (c *Control) Reconnect(ctx context.Context) error {
	_, err := c.ask(ctx, "reconnect", controlRequest{}, nil)
	return err
}

// ask sends one request and reads its answer: everything that its lines said, and the error that the last one had.
func (c *Control) ask(ctx context.Context, what string, request controlRequest, hashed func(int64)) (all controlLine, err error) {
	query, err := json.Marshal(request)
	if err != nil {
		return all, fmt.Errorf("asking the daemon to %s: %w", what, err)
	}
	target := what + "?" + url.Values{"request": {string(query)}}.Encode()
	err = c.post(ctx, target, request.manifest, func(line controlLine) {
		switch {
		case line.Object != nil:
			all.Object = line.Object
		case line.Dir != "":
			all.Dir = line.Dir
		case line.Rates != nil:
			all.Rates = line.Rates
		case line.Hashed > 0 && hashed != nil:
			hashed(line.Hashed)
		}
	})
	return all, err
}

// post sends one request, calls each with the lines of its answer, and returns the error that the last one had.
func (c *Control) post(ctx context.Context, target string, body []byte, each func(controlLine)) error {
	what, _, _ := strings.Cut(target, "?")
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://daemon/"+target, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("asking the daemon to %s: %w", what, err)
	}
	response, err := c.http.Do(r)
	if err != nil {
		return shoal.Errorf(unreachable(ctx), "asking the daemon to %s: %w", what, err)
	}
	defer response.Body.Close()
	lines := json.NewDecoder(response.Body)
	for {
		var line controlLine
		switch err := lines.Decode(&line); {
		case errors.Is(err, io.EOF):
			return shoal.Errorf(unreachable(ctx), "the daemon ended before it was done")
		case err != nil:
			return shoal.Errorf(unreachable(ctx), "the daemon's answer cannot be read: %w", err)
		}
		switch {
		case line.Error != nil:
			return shoal.Errorf(line.Error.Code, "%s", line.Error.Text)
		case line.Done:
			return nil
		}
		each(line)
	}
}

// unreachable is what a failure to hear the daemon is to be called: it may be ours.
func unreachable(ctx context.Context) shoal.Code {
	if ctx.Err() != nil {
		return shoal.Canceled
	}
	return shoal.Unreachable
}

// Close lets go of the daemon.
func (c *Control) Close() {
	c.http.CloseIdleConnections()
	_ = c.socket.Close() // only ever a path
}
