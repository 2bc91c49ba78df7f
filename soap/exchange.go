package soap

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"shoal"
	"shoal/soap/envelope"
)

// The limits of an answer, in bytes.
const (
	maxReply     = 64 << 10
	maxHeaders   = 16 << 10
	maxFaultText = 255
)

// exchange carries the generated client's messages. That client reads whatever comes, for as long as it comes, panics at
// some replies, and makes a connection for each; so a reply gets to it only after it has been read, bounded, and found to
// be an envelope of one plain element.
type exchange struct {
	transport *http.Transport
}

func newExchange(roots *x509.CertPool) *exchange {
	return &exchange{&http.Transport{
		DialContext:            (&net.Dialer{Timeout: patience}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout:    patience,
		MaxResponseHeaderBytes: maxHeaders,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        30 * time.Second, // below the service's, or calls would meet a connection's end
		DisableCompression:     true,
	}}
}

// Do sends a request and returns the reply with all of its body read. It follows no redirects: the service is where it
// was said to be. A fault is an error.
func (e *exchange) Do(request *http.Request) (*http.Response, error) {
	request.Close = false
	// Both operations can be repeated, so one that met a connection's end may be.
	request.Header["Idempotency-Key"] = nil
	reply, err := e.transport.RoundTrip(request)
	if err != nil {
		return nil, unreached(err)
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK && reply.StatusCode != http.StatusInternalServerError {
		return nil, refused(reply.StatusCode)
	}
	if err := checkContentType(reply.Header.Get("Content-Type")); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(reply.Body, maxReply+1))
	if err != nil {
		return nil, shoal.Errorf(shoal.Unreachable, "reading its answer: %w", err)
	}
	if len(body) > maxReply {
		return nil, untrusted("it is longer than %d bytes", maxReply)
	}
	message, err := envelope.Read(bytes.NewReader(body))
	if err != nil {
		return nil, untrusted("%w", err)
	}
	if message.Name == (xml.Name{Space: envelope.Namespace, Local: "Fault"}) {
		return nil, faultOf(message)
	}
	if reply.StatusCode != http.StatusOK {
		return nil, untrusted("its status is %d, and it is no fault", reply.StatusCode)
	}
	for _, f := range message.Fields {
		if f.Nested || f.Name.Space != Namespace {
			return nil, untrusted("it has elements that do not belong there")
		}
	}
	reply.Body = io.NopCloser(bytes.NewReader(body))
	return reply, nil
}

// unreached is about a request that got no reply.
func unreached(err error) error {
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return shoal.Errorf(shoal.Untrusted, "%w; make its authority known to this system, or correct the address", err)
	}
	return shoal.Errorf(shoal.Unreachable, "%w", err)
}

// refused is about an HTTP status that no answer to a call has.
func refused(status int) error {
	switch {
	case status == http.StatusTooManyRequests, status > http.StatusInternalServerError:
		return shoal.Errorf(shoal.Busy, "it cannot answer now (HTTP status %d)", status)
	case status >= http.StatusBadRequest:
		return shoal.Errorf(shoal.Untrusted, "it refuses (HTTP status %d); is the address the enrichment service's?", status)
	}
	return untrusted("HTTP status %d", status)
}

func checkContentType(s string) error {
	mediaType, parameters, err := mime.ParseMediaType(s)
	if err != nil || mediaType != "text/xml" {
		return untrusted("it is not text/xml")
	}
	if charset := parameters["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return untrusted("it is not UTF-8")
	}
	return nil
}

// faultOf makes an error of a fault (SOAP 1.1 section 4.4).
func faultOf(m *envelope.Message) error {
	var code, text string
	for _, f := range m.Fields {
		switch f.Name.Local {
		case "faultcode":
			code = f.Text[strings.LastIndexByte(f.Text, ':')+1:]
		case "faultstring":
			text = f.Text
		}
	}
	if err := checkText(text, maxFaultText); err != nil {
		return untrusted("the text of its fault: %w", err)
	}
	switch code {
	case "Client":
		return shoal.Errorf(shoal.BadRequest, "it calls the request wrong: %s", text)
	case "Server":
		return shoal.Errorf(shoal.Busy, "it failed: %s", text)
	}
	return untrusted("a fault that there is not")
}

// checkText refuses what cannot be shown or kept.
func checkText(s string, limit int) error {
	switch {
	case len(s) > limit:
		return fmt.Errorf("it has %d bytes; at most %d are allowed", len(s), limit)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unprintable):
		return errors.New("it cannot be shown")
	}
	return nil
}

// unprintable reports what controls a terminal or the direction of text, or ends a line.
func unprintable(r rune) bool { return !unicode.IsPrint(r) }
