package soap

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/hooklift/gowsdl/soap"

	"shoal"
	"shoal/soap/enrichment"
	"shoal/soap/envelope"
	"shoal/tests/bounds"
	"shoal/tests/names"
)

const goodTime = "2026-01-02T03:04:05.678+01:00"

func TestStampsAreChecked(t *testing.T) {
	c := lying(t, saying(200, stampReply(goodTime, "CET", "7")))
	got, err := c.Stamp(t.Context(), 3)
	if err != nil || got.First != 7 || got.Zone != "CET" || !got.Time.Equal(time.Date(2026, 1, 2, 2, 4, 5, 678e6, time.UTC)) {
		t.Errorf("%+v, %v", got, err)
	}
	for what, reply := range map[string]string{
		"no number":              stampReply(goodTime, "CET", ""),
		"number 0":               stampReply(goodTime, "CET", "0"),
		"a text":                 stampReply(goodTime, "CET", "seven"),
		"a negative number":      stampReply(goodTime, "CET", "-7"),
		"too large a number":     stampReply(goodTime, "CET", "18446744073709551616"),
		"too few numbers":        stampReply(goodTime, "CET", "18446744073709551614"),
		"no time":                stampReply("", "CET", "7"),
		"a wrong time":           stampReply("yesterday", "CET", "7"),
		"an impossible time":     stampReply("2026-02-30T03:04:05Z", "CET", "7"),
		"a time without offset":  stampReply("2026-01-02T03:04:05", "CET", "7"),
		"a date":                 stampReply("2026-01-02", "CET", "7"),
		"a time long ago":        stampReply("0001-01-01T00:00:00Z", "CET", "7"),
		"a time before all":      stampReply("1969-12-31T23:59:59Z", "CET", "7"),
		"no zone":                stampReply(goodTime, "", "7"),
		"a zone with an escape":  stampReply(goodTime, "C&#x9b;ET", "7"),
		"a zone of two lines":    stampReply(goodTime, "C\nET", "7"),
		"a zone turned round":    stampReply(goodTime, "C\u202eET", "7"),
		"a long zone":            stampReply(goodTime, strings.Repeat("x", MaxZone+1), "7"),
		"facts":                  enrichReply(`<mediaType>text/plain</mediaType><category>text</category>`),
		"nothing":                envelopeOf(""),
		"an empty response":      envelopeOf(`<StampResponse xmlns="` + Namespace + `"/>`),
		"another namespace":      strings.ReplaceAll(stampReply(goodTime, "CET", "7"), Namespace, "urn:other"),
		"a part of another":      strings.Replace(stampReply(goodTime, "CET", "7"), "<first>", `<first xmlns="urn:other">`, 1),
		"something nested":       stampReply(goodTime, "<b>CET</b>", "7"),
		"a list as a number":     stampReply(goodTime, "CET", "<Headers>7</Headers>"),
		"no envelope":            `<StampResponse xmlns="` + Namespace + `"/>`,
		"SOAP 1.2":               strings.Replace(stampReply(goodTime, "CET", "7"), envelope.Namespace, "http://www.w3.org/2003/05/soap-envelope", 1),
		"half of it":             stampReply(goodTime, "CET", "7")[:150],
		"DOCTYPE":                "<!DOCTYPE x>" + stampReply(goodTime, "CET", "7"),
		"attachments":            strings.Replace(stampReply(goodTime, "CET", "7"), "</e:Envelope>", "<attachments><Name>a</Name></attachments></e:Envelope>", 1),
		"attachments in front":   strings.Replace(stampReply(goodTime, "CET", "7"), "<e:Body>", "<attachments><Name>a</Name></attachments><e:Body>", 1),
		"a header to understand": strings.Replace(stampReply(goodTime, "CET", "7"), "<e:Body>", `<e:Header><h e:mustUnderstand="1"/></e:Header><e:Body>`, 1),
	} {
		_, err := lying(t, saying(200, reply)).Stamp(t.Context(), 3)
		wantCode(t, what, err, shoal.Untrusted)
	}
}

func TestFactsAreChecked(t *testing.T) {
	const must = `<mediaType>text/plain</mediaType><category>text</category>`
	full := `<mediaType>image/svg+xml</mediaType><category>image</category><encoding>utf-8</encoding><width>3</width>` +
		`<height>4294967295</height><archive>7z</archive><platform>darwin/amd64+arm64</platform>`
	got, err := lying(t, saying(200, enrichReply(full))).Enrich(t.Context(), "a", 1, []byte("a"))
	if want := (shoal.Facts{
		State: shoal.Known, MediaType: "image/svg+xml", Category: "image", Encoding: "utf-8", Width: 3, Height: 1<<32 - 1,
		Archive: "7z", Platform: "darwin/amd64+arm64",
	}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for what, parameters := range map[string]string{
		"no media type":             `<category>text</category>`,
		"no category":               `<mediaType>text/plain</mediaType>`,
		"a media type without type": `<mediaType>plain</mediaType><category>text</category>`,
		"parameters":                `<mediaType>text/plain; charset=utf-8</mediaType><category>text</category>`,
		"a long media type":         `<mediaType>text/` + strings.Repeat("x", 123) + `</mediaType><category>text</category>`,
		"two media types":           `<mediaType>text/plain</mediaType><mediaType>text/` + strings.Repeat("x", 1000) + `</mediaType><category>text</category>`,
		"an escape":                 `<mediaType>text/&#x9b;31m</mediaType><category>text</category>`,
		"another category":          `<mediaType>text/plain</mediaType><category>malware</category>`,
		"another encoding":          must + `<encoding>klingon</encoding>`,
		"an empty encoding":         must + `<encoding/>`,
		"another archive":           must + `<archive>exe</archive>`,
		"a platform with a space":   must + `<platform>linux /amd64</platform>`,
		"a long platform":           must + `<platform>` + strings.Repeat("x", maxPlatform+1) + `</platform>`,
		"a width alone":             must + `<width>3</width>`,
		"no width":                  must + `<width>0</width><height>0</height>`,
		"a negative width":          must + `<width>-3</width><height>3</height>`,
		"too large a width":         must + `<width>4294967296</width><height>3</height>`,
		"a width in words":          must + `<width>three</width><height>3</height>`,
		"too many parameters":       must + strings.Repeat(`<archive>zip</archive>`, 20),
	} {
		_, err := lying(t, saying(200, enrichReply(parameters))).Enrich(t.Context(), "a", 1, []byte("a"))
		wantCode(t, what, err, shoal.Untrusted)
	}
}

func TestFaults(t *testing.T) {
	fault := func(parts string) string { return envelopeOf(`<e:Fault>` + parts + `</e:Fault>`) }
	for what, c := range map[string]struct {
		status int
		reply  string
		code   shoal.Code
	}{
		"Client":             {500, fault(`<faultcode>e:Client</faultcode><faultstring>no such count</faultstring>`), shoal.BadRequest},
		"Server":             {500, fault(`<faultcode>x:Server</faultcode><faultstring>later</faultstring><detail><a><b>1</b></a></detail>`), shoal.Busy},
		"with status 200":    {200, fault(`<faultcode>Client</faultcode>`), shoal.BadRequest},
		"VersionMismatch":    {500, fault(`<faultcode>e:VersionMismatch</faultcode>`), shoal.Untrusted},
		"no code":            {500, fault(`<faultstring>oh</faultstring>`), shoal.Untrusted},
		"control characters": {500, fault(`<faultcode>e:Client</faultcode><faultstring>&#x9b;31m` + "\n" + `red</faultstring>`), shoal.Untrusted},
		"a long text":        {500, fault(`<faultcode>e:Client</faultcode><faultstring>` + strings.Repeat("x", 256) + `</faultstring>`), shoal.Untrusted},
		"no fault":           {500, stampReply(goodTime, "CET", "7"), shoal.Untrusted},
		"no XML":             {500, "internal server error", shoal.Untrusted},
	} {
		_, err := lying(t, saying(c.status, c.reply)).Stamp(t.Context(), 1)
		wantCode(t, what, err, c.code)
	}
}

func TestHTTPThatIsNoAnswer(t *testing.T) {
	elsewhere := false
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		elsewhere = true
		saying(200, stampReply(goodTime, "CET", "7"))(w, r)
	}))
	defer other.Close()
	typed := func(contentType string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{contentType}
			_, _ = io.WriteString(w, stampReply(goodTime, "CET", "7"))
		}
	}
	for what, c := range map[string]struct {
		answer http.HandlerFunc
		code   shoal.Code
	}{
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		}, shoal.Untrusted},
		"no content":         {saying(204, ""), shoal.Untrusted},
		"not found":          {saying(404, "404"), shoal.Untrusted},
		"too busy":           {saying(503, "later"), shoal.Busy},
		"too many":           {saying(429, "later"), shoal.Busy},
		"HTML":               {typed("text/html"), shoal.Untrusted},
		"no type":            {typed(""), shoal.Untrusted},
		"UTF-16":             {typed("text/xml; charset=utf-16"), shoal.Untrusted},
		"parts":              {typed(`multipart/related; boundary=x; type="application/xop+xml"; start-info="application/soap+xml"`), shoal.Untrusted},
		"a broken type":      {typed("text/xml; ="), shoal.Untrusted},
		"a panicking server": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, shoal.Unreachable},
		"half a reply": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			saying(200, "<e:Envelope")(w, r)
		}, shoal.Unreachable},
		"something compressed": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			saying(200, "\x1f\x8b\x08")(w, r)
		}, shoal.Untrusted},
	} {
		_, err := lying(t, c.answer).Stamp(t.Context(), 1)
		wantCode(t, what, err, c.code)
	}
	if elsewhere {
		t.Error("a redirect was followed")
	}
}

// canned answers every request alike.
type canned struct {
	status int
	body   []byte
}

func (c *canned) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: c.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"text/xml"}}, Body: io.NopCloser(strings.NewReader(string(c.body))),
	}, nil
}

// FuzzReply looks for panics, and for answers that are taken though they break the contract.
func FuzzReply(f *testing.F) {
	for _, seed := range []string{
		"", stampReply(goodTime, "CET", "7"), stampReply("2026-01-02", "\u202e", "0"),
		enrichReply(`<mediaType>image/png</mediaType><category>image</category><width>1</width><height>2</height>`),
		enrichReply(`<mediaType>text/plain</mediaType><category>text</category><encoding>utf-8</encoding><platform>linux/386</platform>`),
		envelopeOf(`<e:Fault><faultcode>e:Client</faultcode><faultstring>x</faultstring><detail><a/></detail></e:Fault>`),
		strings.Replace(stampReply(goodTime, "CET", "7"), "<e:Body>", "<attachments><Name>a</Name><Data>b</Data></attachments><e:Body>", 1),
		strings.Replace(stampReply(goodTime, "CET", "7"), "<e:Body>", "<e:Header><Headers>x</Headers></e:Header><e:Body>", 1),
	} {
		f.Add(200, []byte(seed))
		f.Add(500, []byte(seed))
	}
	answer := new(canned)
	e := newExchange(nil)
	e.transport.RegisterProtocol("canned", answer)
	c := &Client{e, enrichment.NewEnrichment(soap.NewClient("canned://service", soap.WithHTTPClient(e)))}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		bounds.Hold(t, len(body), func() {
			answer.status, answer.body = status, body
			stamp, err := c.Stamp(t.Context(), 5)
			if err == nil && (stamp.First == 0 || stamp.First+5 < stamp.First || stamp.Zone == "" || len(stamp.Zone) > MaxZone || stamp.Time.Year() < 1969) {
				t.Errorf("%+v", stamp)
			}
			facts, factsErr := c.Enrich(t.Context(), "a", 5, []byte("hello"))
			if factsErr == nil && (facts.Validate() != nil || facts.State != shoal.Known || facts.MediaType == "" || facts.Category == "") {
				t.Errorf("%+v", facts)
			}
			for _, err := range []error{err, factsErr} {
				if err != nil && (shoal.CodeOf(err) == shoal.Internal || errors.Is(err, context.Canceled)) {
					t.Errorf("an error without a code: %v", err)
				}
			}
		})
	})
}

// A service that puts hostile names into facts and zones is not believed: none of it gets any further.
func TestHostileNamesInReplies(t *testing.T) {
	answer := &canned{status: 200}
	e := newExchange(nil)
	e.transport.RegisterProtocol("canned", answer)
	c := &Client{e, enrichment.NewEnrichment(soap.NewClient("canned://service", soap.WithHTTPClient(e)))}
	places := []string{"mediaType", "category", "encoding", "archive", "platform"}
	for i, name := range names.Hostile() {
		if strings.ContainsAny(name, "/\\.") && !strings.ContainsFunc(name, unicode.IsControl) && len(name) < 100 {
			continue // which a media type may have
		}
		var text bytes.Buffer
		if err := xml.EscapeText(&text, []byte(name)); err != nil {
			t.Fatal(err)
		}
		for _, as := range []string{name, text.String()} {
			fields := "<mediaType>text/plain</mediaType><category>text</category>"
			place := places[i%len(places)]
			if lied := "<" + place + ">" + as + "</" + place + ">"; i%len(places) < 2 {
				fields = strings.NewReplacer("<"+place+">text/plain</"+place+">", lied, "<"+place+">text</"+place+">", lied).Replace(fields)
			} else {
				fields += lied
			}
			answer.body = []byte(enrichReply(fields))
			facts, err := c.Enrich(t.Context(), "a", 5, []byte("hello"))
			if err == nil && (facts.Validate() != nil || strings.ContainsFunc(facts.MediaType+facts.Category+facts.Encoding+facts.Archive+facts.Platform, unicode.IsControl)) {
				t.Errorf("%.100q is believed: %+v", name, facts)
			}
			answer.body = []byte(stampReply(goodTime, as, "7"))
			stamp, stampErr := c.Stamp(t.Context(), 5)
			if stampErr == nil && strings.ContainsFunc(stamp.Zone, unicode.IsControl) {
				t.Errorf("%.100q is believed: %+v", name, stamp)
			}
			for _, err := range []error{err, stampErr} {
				if err != nil && shoal.CodeOf(err) == shoal.Internal {
					t.Errorf("an error without a code: %v", err)
				}
			}
		}
	}
}
