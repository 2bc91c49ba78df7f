package service

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"shoal"
	"shoal/rpclog"
	"shoal/rpclog/journal"
)

// The socket in the state folder is how the log is read: HTTP over a unix socket that only its owner can use.
//
//	GET /entries?query=QUERY    a rpclog.Query in JSON
//
// The answer is JSON lines: the entries', as they are in the log, and then one that has Next, or Error.

const socketName = "log.sock"

// SocketIn is the path of the socket of the service that has the given state folder.
func SocketIn(state string) string { return filepath.Join(state, socketName) }

// lastLine ends an answer.
type lastLine struct {
	Next  string     `json:"next,omitempty"`
	More  bool       `json:"more,omitempty"`
	Error *readError `json:"error,omitempty"`
}

type readError struct {
	Code shoal.Code `json:"code"`
	Text string     `json:"text"`
}

// maxReaders is how many pages are collected at the same time: reading leaves the machine to storing.
const maxReaders = 2

type socket struct {
	listener net.Listener
	path     string
	readers  chan struct{} // holds a token for each page that is being collected
}

// listenSocket takes the socket's place, which one that a killed service left may have: the folder's lock says that none
// is running.
func listenSocket(state string) (*socket, error) {
	path := SocketIn(state)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("removing an old socket: %w", err)
	}
	dir, err := os.Open(state)
	if err != nil {
		return nil, fmt.Errorf("opening the state folder: %w", err)
	}
	defer dir.Close()
	l, err := onlyOwner.Listen(context.Background(), "unix", through(dir, socketName))
	if err != nil {
		return nil, fmt.Errorf("opening the socket for readers: %w", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	return &socket{l, path, make(chan struct{}, maxReaders)}, nil
}

// through is the path of a file by its folder's descriptor, because a socket's path cannot be longer than 107 bytes.
func through(dir *os.File, name string) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), name)
}

// onlyOwner makes a socket that nobody else can connect to, not even for the moment that a chmod after bind would
// leave: Linux gives the file the mode that the socket has.
var onlyOwner = net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
	var chmodErr error
	err := c.Control(func(fd uintptr) { chmodErr = unix.Fchmod(int(fd), 0o600) })
	return errors.Join(err, chmodErr)
}}

func (s *socket) close() {
	_ = s.listener.Close()
	_ = os.Remove(s.path) // the next service would
}

// run answers readers until ctx ends.
func (s *socket) run(ctx context.Context, j *journal.Journal, log zerolog.Logger) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /entries", func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, j) })
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	var closer sync.WaitGroup
	closer.Go(func() {
		<-ctx.Done()
		// Requests end with the context; what they still say takes a moment.
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if server.Shutdown(limit) != nil {
			_ = server.Close()
		}
	})
	if err := server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		log.Error().Err(err).Msg("the socket for readers ended")
	}
	closer.Wait()
}

func (s *socket) answer(w http.ResponseWriter, r *http.Request, j *journal.Journal) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	page, err := s.page(r, j)
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute))
	out := bufio.NewWriter(w)
	defer out.Flush() // a reader that went away cancels the request
	for _, line := range page.Lines {
		_, _ = out.Write(line)
		_ = out.WriteByte('\n')
	}
	last := lastLine{Next: page.Next, More: page.More}
	if err != nil {
		last = lastLine{Error: &readError{shoal.CodeOf(err), err.Error()}}
	}
	_ = json.NewEncoder(out).Encode(last)
}

func (s *socket) page(r *http.Request, j *journal.Journal) (rpclog.Page, error) {
	var q rpclog.Query
	if err := json.Unmarshal([]byte(r.URL.Query().Get("query")), &q); err != nil {
		return rpclog.Page{}, shoal.Errorf(shoal.BadRequest, "a query that cannot be read: %w", err)
	}
	select {
	case s.readers <- struct{}{}:
		defer func() { <-s.readers }()
	case <-r.Context().Done():
		return rpclog.Page{}, r.Context().Err()
	}
	return j.Query(r.Context(), q)
}
