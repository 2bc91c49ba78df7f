package client

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"shoal"
	"shoal/tests/bounds"
)

// FuzzControl reads what comes to the daemon's socket: one line that ends the answer, whatever it is.
func FuzzControl(f *testing.F) {
	for _, query := range []string{
		"", "{}", `{"group":"lab","name":"a","path":"/x"}`, `{"Verified":{"Object":{"ID":"00","Size":-1}}}`, `{"rates":{"Up":-5}}`, `{"mirrors":["http://a/"]}`, "[", "null",
	} {
		f.Add(query, []byte("body"), int64(4))
	}
	f.Add("{}", []byte{}, int64(4<<20))
	f.Add("{}", []byte(`{"wishes":[{"group":"lab","target":"a","out":"/x"}],"ids":[1,18446744073709551615],"alter":"pause"}`), int64(-1))
	f.Fuzz(func(t *testing.T, query string, body []byte, length int64) {
		bounds.Hold(t, len(query)+len(body), func() {
			for what, h := range []http.HandlerFunc{
				answerControl(readControl, func(context.Context, controlRequest, func(controlLine)) error { return nil }),
				answerControl(readDownloads, func(_ context.Context, r downloadsRequest, _ func(controlLine)) error {
					for _, w := range r.Wishes {
						if err := w.Check(); err != nil && shoal.CodeOf(err) != shoal.BadRequest {
							t.Error(err)
						}
					}
					return nil
				}),
			} {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://daemon/?"+url.Values{"request": {query}}.Encode(), bytes.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				r.ContentLength = length
				w := httptest.NewRecorder()
				h(w, r)
				var last controlLine
				if err := json.Unmarshal(w.Body.Bytes(), &last); err != nil || last.Done == (last.Error != nil) {
					t.Errorf("%d: %q, %v", what, w.Body, err)
				}
			}
		})
	})
}
