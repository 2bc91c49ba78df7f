// Package spec reads the two documents that define the protocol, PROTOCOL.md and shoal.x, and encodes values as they
// say, without the code that speaks the protocol. So tests and test vectors follow the documents.
package spec

import (
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
)

// Spec is what the documents say.
type Spec struct {
	Schema
	Kinds      []Kind              // the table of section 7, in its order
	Access     []Access            // the table of who may ask for what, in its order
	Besides    map[string][]string // by the kind, the codes of errors besides those of Access
	Codes      map[string]uint64   // the table of codes
	Rules      []string            // the numbers of the rules, in their order
	ErrorLimit uint64              // bytes in the body of an error_reply
}

// Kind is one row of the table of kinds. Request or Reply is "" where the table has no such body, and "empty" where
// the body is empty. Limits are in bytes.
type Kind struct {
	Name         string
	Number       uint64
	To           string // both, server, peer, or event
	Request      string // a type of shoal.x
	RequestLimit uint64
	Reply        string
	ReplyLimit   uint64
}

// Event reports whether frames of the kind are events.
func (k Kind) Event() bool { return k.To == "event" }

// Load reads PROTOCOL.md and shoal.x in dir.
func Load(dir fs.FS) (*Spec, error) {
	text, err := fs.ReadFile(dir, "PROTOCOL.md")
	if err != nil {
		return nil, err
	}
	declarations, err := fs.ReadFile(dir, "shoal.x")
	if err != nil {
		return nil, err
	}
	schema, err := ParseSchema(string(declarations))
	if err != nil {
		return nil, fmt.Errorf("reading shoal.x: %w", err)
	}
	s := &Spec{Schema: *schema, Besides: map[string][]string{}, Codes: map[string]uint64{}}
	if err := s.readProtocol(string(text)); err != nil {
		return nil, fmt.Errorf("reading PROTOCOL.md: %w", err)
	}
	return s, nil
}

var (
	ruleRow    = regexp.MustCompile(`^\| \*\*([A-Z]\d+)\*\* \|`)
	codeRow    = regexp.MustCompile(`^\| ([a-z-]+) \| (\d+) \|`)
	kindRow    = regexp.MustCompile(`^\| ([A-Z_]+) \| (\d+) \| (both|server|peer|event) \| (.+), (\d+) \|(.*)\|$`)
	replyCell  = regexp.MustCompile(`^ (.+), (\d+) $`)
	typeName   = regexp.MustCompile("^`([a-z_]+)`")
	errorLimit = regexp.MustCompile("(?m)^An `error_reply` has at most (\\d+) bytes")
)

func (s *Spec) readProtocol(text string) error {
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if m := ruleRow.FindStringSubmatch(line); m != nil {
			s.Rules = append(s.Rules, m[1])
		} else if m := codeRow.FindStringSubmatch(line); m != nil {
			s.Codes[m[1]] = number(m[2])
		} else if m := kindRow.FindStringSubmatch(line); m != nil {
			k := Kind{Name: m[1], Number: number(m[2]), To: m[3], Request: bodyType(m[4]), RequestLimit: number(m[5])}
			if reply := replyCell.FindStringSubmatch(m[6]); reply != nil {
				k.Reply, k.ReplyLimit = bodyType(reply[1]), number(reply[2])
			}
			if k.Event() != (k.Reply == "") {
				return fmt.Errorf("%s is an event, or has a reply, but not both", k.Name)
			}
			s.Kinds = append(s.Kinds, k)
		} else if err := s.readAccess(line); err != nil {
			return err
		}
	}
	m := errorLimit.FindStringSubmatch(text)
	if m == nil || len(s.Kinds) == 0 || len(s.Codes) == 0 || len(s.Rules) == 0 {
		return fmt.Errorf("the tables or the limit of error_reply are missing")
	}
	if !strings.Contains(text, accessHead) {
		return fmt.Errorf("the table of who may ask for what, or a column of it, is missing")
	}
	s.ErrorLimit = number(m[1])
	return s.checkAccess()
}

// bodyType is the type in a cell such as "`piece_head` and bytes"; "empty" stands for itself.
func bodyType(cell string) string {
	if m := typeName.FindStringSubmatch(cell); m != nil {
		return m[1]
	}
	return cell
}

// number converts decimal digits that a pattern has matched.
func number(digits string) uint64 {
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}
