package soap

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/url"
	"time"

	"github.com/hooklift/gowsdl/soap"

	"shoal"
	"shoal/soap/enrichment"
)

// patience is how long a call may take, in all.
const patience = 5 * time.Second

// Client calls the service. For concurrent use. Its errors have these codes: BadRequest for what the service calls wrong
// (or is found wrong before it is asked), which is useless to repeat; Busy where the service says that the fault is its
// own; Unreachable where there is no answer in time; Untrusted for an answer that breaks the contract.
type Client struct {
	exchange *exchange
	service  enrichment.Enrichment
}

// Stamp is a time and a range of numbers that the service gave.
type Stamp struct {
	Time  time.Time // by the service's clock
	Zone  string    // its time zone's name
	First uint64    // the first number
}

// NewClient prepares calls to the service at address, such as "https://HOST:PORT/enrichment" or, on this machine alone,
// "http://127.0.0.1:PORT/enrichment"; a path that is missing is added. roots are the authorities that certificates are
// checked by, or nil for the system's. No connection is made yet. The error has code BadRequest or Denied.
func NewClient(address string, roots *x509.CertPool) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, shoal.Errorf(shoal.BadRequest, "the address of the enrichment service must be like https://HOST:PORT%s, not %q", Path, address)
	}
	switch {
	case u.Scheme == "http" && !shoal.IsLoopback(u.Hostname()):
		return nil, shoal.Errorf(shoal.Denied, "plain http is for loopback addresses only, and %q is none; give the enrichment service a certificate and use https", u.Hostname())
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, shoal.Errorf(shoal.BadRequest, "the address of the enrichment service begins with http or https, not %q", u.Scheme)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = Path
	}
	e := newExchange(roots)
	client := soap.NewClient(u.String(), soap.WithHTTPClient(e))
	return &Client{e, enrichment.NewEnrichment(client)}, nil
}

// Close closes the connections that no call uses.
func (c *Client) Close() { c.exchange.transport.CloseIdleConnections() }

// Stamp asks for the service's time and count numbers, 1 to MaxCount.
func (c *Client) Stamp(ctx context.Context, count int) (Stamp, error) {
	if count < 1 || count > MaxCount {
		return Stamp{}, shoal.Errorf(shoal.BadRequest, "%d numbers at once are not possible; 1 to %d are", count, MaxCount)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	n := enrichment.Count(count)
	reply, err := c.service.StampContext(ctx, &enrichment.Stamp{Count: &n})
	if err != nil {
		return Stamp{}, failed(ctx, "Stamp", err)
	}
	stamp, err := checkStamp(reply, count)
	if err != nil {
		return Stamp{}, failed(ctx, "Stamp", err)
	}
	return stamp, nil
}

// Enrich asks what the file is whose content begins with head: up to shoal.MaxHead bytes, empty when it is withheld. The
// facts are Known, and Valid.
func (c *Client) Enrich(ctx context.Context, name shoal.Name, size int64, head []byte) (shoal.Facts, error) {
	if err := checkFile(name, size, head); err != nil {
		return shoal.Facts{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	fileName, fileSize := enrichment.FileName(name), enrichment.FileSize(size)
	encoded := enrichment.Head(base64.StdEncoding.AppendEncode(nil, head))
	reply, err := c.service.EnrichContext(ctx, &enrichment.Enrich{Name: &fileName, Size: &fileSize, Head: &encoded})
	if err != nil {
		return shoal.Facts{}, failed(ctx, "Enrich", err)
	}
	facts, err := checkFacts(reply)
	if err != nil {
		return shoal.Facts{}, failed(ctx, "Enrich", err)
	}
	return facts, nil
}

func checkFile(name shoal.Name, size int64, head []byte) error {
	if _, err := shoal.ParseName(string(name)); err != nil {
		return err
	}
	if err := (shoal.Object{Size: size}).Check(); err != nil {
		return err
	}
	if len(head) > shoal.MaxHead || int64(len(head)) > size {
		return shoal.Errorf(shoal.BadRequest, "a head of %d bytes for a file of %d; at most %d are allowed, and no more than the file has", len(head), size, shoal.MaxHead)
	}
	return nil
}

// failed says which operation err ended, and gives it a code if it has none.
func failed(ctx context.Context, operation string, err error) error {
	code := shoal.CodeOf(err)
	if code == shoal.Internal {
		code = shoal.Untrusted // exchange gives its errors codes, so the generated client could not read the answer
	}
	if cause := ctx.Err(); cause != nil {
		code = shoal.CodeOf(cause)
	}
	return shoal.Errorf(code, "asking the enrichment service (%s): %w", operation, err)
}

// untrusted is about an answer that breaks the contract.
func untrusted(format string, args ...any) error {
	return shoal.Errorf(shoal.Untrusted, "its answer breaks the contract: %w", fmt.Errorf(format, args...))
}
