package service

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	wire "github.com/hooklift/gowsdl/soap"

	"shoal"
	"shoal/soap"
	"shoal/soap/enrichment"
	"shoal/soap/envelope"
	"shoal/soap/facts"
)

// The parameters of both operations, in their order.
var (
	stampParameters  = []string{"count"}
	enrichParameters = []string{"name", "size", "head"}
)

// perform does what m asks for, and returns the XML of the answer. The error has code BadRequest where m is wrong.
func (s *Service) perform(r *http.Request, m *envelope.Message) ([]byte, error) {
	operation := operationName(m.Name)
	if operation == "" {
		return nil, wrong("there is no such operation; there are Stamp and Enrich in %s", soap.Namespace)
	}
	if action := strings.Trim(r.Header.Get("SOAPAction"), `" `); action != "" && action != soap.Namespace+"#"+operation {
		return nil, wrong("SOAPAction is not that of %s", operation)
	}
	var answer any
	var err error
	if operation == "Stamp" {
		answer, err = s.stamp(r.Context(), m)
	} else {
		answer, err = enrich(m)
	}
	if err != nil {
		return nil, err
	}
	return xml.Marshal(answer)
}

// operationName is the name of a request's operation, or nothing if there is no such.
func operationName(name xml.Name) string {
	if name.Space == soap.Namespace && (name.Local == "Stamp" || name.Local == "Enrich") {
		return name.Local
	}
	return ""
}

// wrong is about a request that breaks the contract. Its text goes to whoever sent it.
func wrong(format string, args ...any) error { return shoal.Errorf(shoal.BadRequest, format, args...) }

// parameters checks that m has exactly the parameters of these names.
func parameters(m *envelope.Message, names []string) error {
	for i, f := range m.Fields {
		if i >= len(names) || f.Name != (xml.Name{Space: soap.Namespace, Local: names[i]}) || f.Nested {
			return wrong("the parameters of %s are %s, in this order and each once, all in %s", m.Name.Local, strings.Join(names, ", "), soap.Namespace)
		}
	}
	if len(m.Fields) < len(names) {
		return wrong("%s lacks its parameter %s", m.Name.Local, names[len(m.Fields)])
	}
	return nil
}

func (s *Service) stamp(ctx context.Context, m *envelope.Message) (*enrichment.StampResponse, error) {
	if err := parameters(m, stampParameters); err != nil {
		return nil, err
	}
	count, err := strconv.ParseUint(collapsed(m.Fields[0].Text), 10, 32)
	if err != nil || count < 1 || count > soap.MaxCount {
		return nil, wrong("count is a number from 1 to %d", soap.MaxCount)
	}
	number, err := s.numbers.take(ctx, int(count))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	name, _ := now.Zone()
	zone, first := enrichment.Zone(name), enrichment.Sequence(number)
	return &enrichment.StampResponse{Time: wire.CreateXsdDateTime(now, true), Zone: &zone, First: &first}, nil
}

func enrich(m *envelope.Message) (*enrichment.EnrichResponse, error) {
	if err := parameters(m, enrichParameters); err != nil {
		return nil, err
	}
	name, err := shoal.ParseName(m.Fields[0].Text)
	if err != nil {
		return nil, err
	}
	size, err := strconv.ParseInt(collapsed(m.Fields[1].Text), 10, 64)
	if err != nil || size < 0 || size > shoal.MaxSize {
		return nil, wrong("size is a number from 0 to %d", int64(shoal.MaxSize))
	}
	head, err := decodeHead(m.Fields[2].Text)
	if err != nil {
		return nil, err
	}
	if int64(len(head)) > size {
		return nil, wrong("the head has %d bytes, and its file only %d", len(head), size)
	}
	f := facts.Of(name, size, head)
	return &enrichment.EnrichResponse{
		MediaType: pointer(enrichment.MediaType(f.MediaType)),
		Category:  pointer(enrichment.Category(f.Category)),
		Encoding:  pointer(enrichment.Encoding(f.Encoding)),
		Width:     pointer(enrichment.Pixels(f.Width)),
		Height:    pointer(enrichment.Pixels(f.Height)),
		Archive:   pointer(enrichment.Archive(f.Archive)),
		Platform:  pointer(enrichment.Platform(f.Platform)),
	}, nil
}

// spaces takes white space out.
var spaces = strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "")

// decodeHead decodes base64Binary, in which there may be white space (XML Schema part 2, section 3.2.16).
func decodeHead(text string) ([]byte, error) {
	text = spaces.Replace(text)
	if len(text) > base64.StdEncoding.EncodedLen(shoal.MaxHead) {
		return nil, wrong("head has %d bytes at most", shoal.MaxHead)
	}
	head, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, wrong("head is not base64")
	}
	return head, nil
}

// collapsed is a number's text without the white space that XML Schema allows around it.
func collapsed(s string) string { return strings.Trim(s, " \t\r\n") }

// pointer points to v, or is nil where v says nothing, so that it is left out.
func pointer[T comparable](v T) *T {
	var nothing T
	if v == nothing {
		return nil
	}
	return &v
}

// faultFor makes a fault (SOAP 1.1 section 4.4) of an error: its text only where it is about what was sent.
func faultFor(err error) []byte {
	switch {
	case errors.Is(err, envelope.ErrVersion):
		return fault("VersionMismatch", "the envelope is none of SOAP 1.1")
	case errors.Is(err, envelope.ErrNotUnderstood):
		return fault("MustUnderstand", "no header block is understood here")
	case errors.Is(err, envelope.ErrMalformed), shoal.CodeOf(err) == shoal.BadRequest:
		return fault("Client", err.Error())
	}
	return fault("Server", "the service cannot do this now; try again later")
}
