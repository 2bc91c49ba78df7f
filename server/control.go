package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/ownsocket"
	"shoal/server/audit"
	"shoal/server/meta"
	"shoal/server/passwords"
	"shoal/server/registry"
)

// The socket in the state folder is how whoever holds it reaches the server that runs there: HTTP over a unix socket that
// only its owner can use, with a controlRequest as the body and a controlReply as the answer.
const controlSocket = "server.sock"

// maxControl is the longest request in bytes.
const maxControl = 16 << 10

// maxControlReply is the longest answer in bytes: one with all keys that can be revoked.
const maxControlReply = 1 << 20

type controlRequest struct {
	Backup   string        `json:"backup,omitempty"` // an absolute path
	User     meta.Username `json:"user,omitempty"`
	Password []byte        `json:"password,omitempty"`
	Device   string        `json:"device,omitempty"` // that is to be the user's, instead of making one
	Label    string        `json:"label,omitempty"`  // its
	Keys     bool          `json:"keys,omitempty"`   // what RealmOf tells is asked for
	Revoke   string        `json:"revoke,omitempty"` // a key
	RootFile string        `json:"root_file,omitempty"`
}

func (q *controlRequest) operation() string {
	switch {
	case q.Backup != "":
		return "backup"
	case q.Device != "":
		return "enrol"
	case q.Keys:
		return "keys"
	case q.Revoke != "":
		return "revoke"
	}
	return "register"
}

// object is what it is about.
func (q *controlRequest) object() string {
	if q.Revoke != "" {
		return q.Revoke
	}
	return string(q.User)
}

type controlReply struct {
	Revision uint64     `json:"revision,omitempty"`
	Code     shoal.Code `json:"code,omitempty"` // of an error
	Text     string     `json:"text,omitempty"`
	Realm    *RealmInfo `json:"realm,omitempty"`
}

// control does what whoever holds the state folder asks for.
type control struct {
	keeper    *keeper
	passwords *passwords.Keeper
	state     *state
	registry  *registry.Registry
	runs      bool       // as part of a server
	audit     *audit.Log // nil for none
}

// ServeHTTP implements http.Handler.
func (c *control) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var q controlRequest
	var reply controlReply
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxControl)).Decode(&q)
	if err == nil {
		begin := time.Now()
		reply, err = c.do(r.Context(), &q)
		c.audit.Record(audit.Event{
			Device: c.state.server.Device(), Operation: q.operation(), Object: q.object(), Err: err, Remote: controlSocket, Begin: begin, Duration: time.Since(begin),
		})
	} else {
		err = shoal.Errorf(shoal.BadRequest, "a request that cannot be read")
	}
	if err != nil {
		reply.Code, reply.Text = shoal.CodeOf(err), err.Error()
	}
	_ = json.NewEncoder(w).Encode(reply) // who went away need not be told
}

func (c *control) do(ctx context.Context, q *controlRequest) (reply controlReply, err error) {
	defer clear(q.Password)
	switch {
	case q.Keys:
		reply.Realm, err = c.realmInfo()
	case q.Revoke != "":
		err = c.revoke(ctx, q)
	default:
		reply.Revision, err = c.change(ctx, q)
	}
	return reply, err
}

func (c *control) change(ctx context.Context, q *controlRequest) (revision uint64, err error) {
	switch {
	case q.Backup != "" && filepath.IsAbs(q.Backup):
		return c.keeper.store.Backup(ctx, q.Backup)
	case q.User != "" && q.Device != "":
		device, err := shoal.ParseDeviceID(q.Device)
		if err != nil {
			return 0, err
		}
		o, err := c.keeper.apply(ctx, holder(c.state.server.Device()), &meta.AddDevice{User: q.User, Device: device, Label: q.Label})
		return o.Revision, err
	case q.User != "":
		hash, err := c.passwords.Hash(ctx, netip.Addr{}, q.Password)
		if err != nil {
			return 0, err
		}
		o, err := c.keeper.apply(ctx, holder(c.state.server.Device()), &meta.CreateUser{User: q.User, Password: hash})
		return o.Revision, err
	}
	return 0, shoal.Errorf(shoal.BadRequest, "a request for nothing")
}

// askServer has the server that runs in a state folder do something, or, where none runs, does it in its place.
func askServer(ctx context.Context, dir string, e Etcd, q *controlRequest, log zerolog.Logger) (reply controlReply, err error) {
	dialer, err := ownsocket.NewDialer(dir, controlSocket)
	if err != nil {
		return reply, shoal.Errorf(shoal.NotFound, "there is no state folder of a server: %w", err)
	}
	defer dialer.Close()
	body, err := json.Marshal(q)
	if err != nil {
		return reply, err
	}
	defer clear(body)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://server/", bytes.NewReader(body))
	if err != nil {
		return reply, err
	}
	transport := &http.Transport{DialContext: dialer.Dial, DisableKeepAlives: true}
	answer, err := (&http.Client{Transport: transport}).Do(request)
	if ownsocket.Absent(err) {
		return askNobody(ctx, dir, e, q, log)
	}
	if err != nil {
		return reply, fmt.Errorf("asking the server: %w", err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxControlReply)).Decode(&reply); err != nil {
		return reply, fmt.Errorf("asking the server: %w", err)
	}
	if reply.Code != 0 {
		return reply, shoal.Errorf(reply.Code, "%s", reply.Text)
	}
	return reply, nil
}

// askNobody opens the state itself.
func askNobody(ctx context.Context, dir string, e Etcd, q *controlRequest, log zerolog.Logger) (reply controlReply, err error) {
	s, err := openState(dir)
	if err != nil {
		return reply, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	r := registry.New()
	k, err := openKeeper(ctx, dir, e, r, log)
	if err != nil {
		return reply, err
	}
	defer k.close()
	return (&control{keeper: k, passwords: passwords.New(), state: s, registry: r}).do(ctx, q)
}

// Backup writes all that must not be lost but the keys to a new file at an absolute path, whether the server of the state
// folder runs or not, and returns the state's revision. The error has code Exists where there is such a file.
func Backup(ctx context.Context, dir string, e Etcd, path string, log zerolog.Logger) (revision uint64, err error) {
	reply, err := askServer(ctx, dir, e, &controlRequest{Backup: path}, log)
	return reply.Revision, err
}

// CreateUser makes a user for whoever holds a server's state folder, whether the server runs or not. The first one is an
// admin. The error has code Exists, or BadRequest for a password that cannot be one.
func CreateUser(ctx context.Context, dir string, e Etcd, name string, password []byte, log zerolog.Logger) error {
	user, err := meta.ParseUsername(name)
	if err == nil {
		err = passwords.CheckRules(password)
	}
	if err != nil {
		return err
	}
	_, err = askServer(ctx, dir, e, &controlRequest{User: user, Password: password}, log)
	return err
}

// AddDevice enrols a device as one of a user's for whoever holds a server's state folder, whether the server runs or not: it
// needs no password, so that it is possible where none may be sent, over plaintext. The error has code NotFound where there
// is no such user, Exists where the device is another user's, or Limit.
func AddDevice(ctx context.Context, dir string, e Etcd, name string, device shoal.DeviceID, label string, log zerolog.Logger) error {
	user, err := meta.ParseUsername(name)
	if err != nil {
		return err
	}
	_, err = askServer(ctx, dir, e, &controlRequest{User: user, Device: device.String(), Label: label}, log)
	return err
}

// Restore puts a backup into a state folder that has no state. No server may run there. The keys stay as they are.
func Restore(ctx context.Context, dir, path string, log zerolog.Logger) (meta.BackupInfo, error) {
	s, err := lockState(dir)
	if err != nil {
		return meta.BackupInfo{}, err
	}
	info, err := meta.Restore(ctx, path, etcdFolder(dir), log)
	return info, errors.Join(err, s.close())
}
