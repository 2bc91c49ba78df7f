package service

import (
	"bytes"
	"encoding/xml"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"shoal"
	"shoal/rpclog"
	"shoal/soap"
	"shoal/soap/envelope"
)

// maxBody is how long an envelope may be, in bytes.
const maxBody = 1 << 20

// ServeHTTP answers one HTTP request: what HTTP itself finds wrong by a status, and what SOAP does by a fault.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	wsdl := strings.EqualFold(r.URL.RawQuery, "wsdl")
	switch {
	case r.URL.Path != soap.Path:
		http.NotFound(w, r)
	case wsdl && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		s.contract(w, r)
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "SOAP 1.1 is posted here; the contract is at "+soap.Path+"?wsdl", http.StatusMethodNotAllowed)
	case !isXML(r.Header.Get("Content-Type")):
		w.Header().Set("Connection", "close")
		http.Error(w, "a SOAP 1.1 envelope is text/xml, in UTF-8", http.StatusUnsupportedMediaType)
	case r.ContentLength > maxBody:
		tooLarge(w)
	default:
		s.call(w, r)
	}
}

func isXML(contentType string) bool {
	mediaType, parameters, err := mime.ParseMediaType(contentType)
	charset := strings.ToLower(parameters["charset"])
	return err == nil && mediaType == "text/xml" && (charset == "" || charset == "utf-8" || charset == "us-ascii")
}

func tooLarge(w http.ResponseWriter) {
	w.Header().Set("Connection", "close")
	http.Error(w, "an envelope has 1 MiB at most", http.StatusRequestEntityTooLarge)
}

// call answers a SOAP request.
func (s *Service) call(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	message, err := envelope.Read(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case err == nil:
	case errors.As(err, &large):
		tooLarge(w)
		return
	case !errors.Is(err, envelope.ErrMalformed):
		// The rest of the request has not come, in time or at all.
		w.Header().Set("Connection", "close")
		http.Error(w, "the envelope did not come", http.StatusRequestTimeout)
		return
	default:
		// What is left of it is not worth being read.
		w.Header().Set("Connection", "close")
		s.reply(w, http.StatusInternalServerError, faultFor(err))
		s.log.Debug().Str(rpclog.KeyRemote, r.RemoteAddr).AnErr("reason", err).Msg("no envelope")
		return
	}
	s.connections.answering(connectionOf(r))
	status := http.StatusOK
	body, err := s.perform(r, message)
	if err != nil {
		status, body = http.StatusInternalServerError, faultFor(err)
	}
	s.reply(w, status, body)
	s.note(r, message, began, err)
}

// reply writes an envelope with body in it.
func (s *Service) reply(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(enveloped(body)) // whoever asked may be gone
}

// note logs how a call ended: what was wrong here for those who run the service, the rest for those who look closely.
func (s *Service) note(r *http.Request, m *envelope.Message, began time.Time, err error) {
	event := s.log.Debug()
	if err != nil && shoal.CodeOf(err) != shoal.BadRequest && r.Context().Err() == nil {
		event = s.log.Error()
	}
	if !event.Enabled() {
		return
	}
	outcome := "ok"
	if err != nil {
		outcome = shoal.CodeOf(err).Error()
	}
	event.Err(err).Str(rpclog.KeyOperation, operationName(m.Name)).Str(rpclog.KeyOutcome, outcome).
		Str(rpclog.KeyRemote, r.RemoteAddr).Dur(rpclog.KeyDuration, time.Since(began)).Msg("call")
}

// contract gives the WSDL, with the address in it by which it was asked for.
func (s *Service) contract(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if u, err := url.Parse("http://" + host); err != nil || host == "" || u.Host != host || strings.ContainsAny(host, "\"'<>&@") {
		host = s.Addr().String()
	}
	var address bytes.Buffer
	if err := xml.EscapeText(&address, []byte(s.url(host))); err != nil {
		http.Error(w, "the contract cannot be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	_, _ = w.Write([]byte(strings.Replace(soap.WSDL, soap.Address, address.String(), 1))) // whoever asked may be gone
}
