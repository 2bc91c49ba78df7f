package service

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/ownsocket"
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
	*ownsocket.Server
	readers chan struct{} // holds a token for each page that is being collected
}

func listenSocket(state string) (*socket, error) {
	server, err := ownsocket.Listen(state, socketName)
	return &socket{server, make(chan struct{}, maxReaders)}, err
}

// run answers readers until ctx ends.
func (s *socket) run(ctx context.Context, j *journal.Journal, log zerolog.Logger) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /entries", func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, j) })
	if err := s.Serve(ctx, mux); err != nil {
		log.Error().Err(err).Msg("the socket for readers ended")
	}
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
