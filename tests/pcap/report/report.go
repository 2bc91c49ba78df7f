// Package report says what a capture shows: who talked to whom, what about and how fast, where the bytes of a download
// came from, what the capture does not have, and which rules were broken. As text for people, and as JSON.
package report

import (
	"net/netip"
	"time"

	"shoal"
	"shoal/tests/pcap/check"
	"shoal/tests/pcap/dialect"
	"shoal/tests/pcap/packet"
)

// Report is all that is said of a capture. Its times are the capture's. Texts in it are as they came: not fit for a terminal.
type Report struct {
	Capture       packet.Counts   `json:"capture"`
	Begin         time.Time       `json:"begin"`
	End           time.Time       `json:"end"`
	Conversations []*Conversation `json:"conversations"`
	Kinds         []*Kind         `json:"kinds"`
	Peers         []*Peer         `json:"peers"`
	Objects       []*Object       `json:"objects"`
	Gets          []*Get          `json:"gets"`
	Gaps          []Gap           `json:"gaps"`
	Violations    []Violation     `json:"violations"`
	Omitted       Omitted         `json:"omitted"`
}

// Clean reports whether no rule was broken.
func (r *Report) Clean() bool { return len(r.Violations) == 0 }

// Omitted is how many of each there were besides those listed.
type Omitted struct {
	Conversations int `json:"conversations"`
	Peers         int `json:"peers"`
	Objects       int `json:"objects"`
	Gets          int `json:"gets"`
	Gaps          int `json:"gaps"`
	Violations    int `json:"violations"`
}

// How a conversation ended.
const (
	Open       = "open" // when the capture ended
	HalfClosed = "closed by one"
	Closed     = "closed"
	Reset      = "reset"
)

// How many of each are listed.
const (
	maxConversations = 1 << 14
	maxPeers         = 1 << 12
	maxObjects       = 1 << 12
	maxGets          = 1 << 10
	maxSources       = 1 << 8 // of a get
	maxGaps          = 1 << 12
	maxViolations    = 1 << 12
	maxAddresses     = 16 // of a peer
)

// Conversation is a TCP connection, or the datagrams between two ports.
type Conversation struct {
	Number    int             `json:"number"` // from 1
	Transport string          `json:"transport"`
	Dialect   dialect.Dialect `json:"dialect"`
	Initiator netip.AddrPort  `json:"initiator"`
	Responder netip.AddrPort  `json:"responder"`
	Begin     time.Time       `json:"begin"`
	End       time.Time       `json:"end"`
	Whole     bool            `json:"whole"` // captured from its beginning on
	Bytes     [2]int64        `json:"bytes"` // that initiator and responder sent
	Again     [2]int64        `json:"again"` // bytes sent once more
	Lost      [2]int64        `json:"lost"`  // bytes that the capture does not have; -1: not known how many
	Frames    [2]int          `json:"frames"`
	Closed    string          `json:"closed"` // how it ended
	Broken    int             `json:"violations"`

	// Of Shoal's.
	Service string         `json:"service,omitempty"`
	Device  shoal.DeviceID `json:"device,omitzero"` // of the initiator
	Peer    shoal.DeviceID `json:"peer,omitzero"`   // the responder, where it is one

	// Of TLS, what the client said in clear.
	ServerName string   `json:"server_name,omitempty"`
	Protocols  []string `json:"protocols,omitempty"`

	gets []getKey // that go on over it
}

// Kind is a kind of message in a dialect. Bytes are those of requests, replies and events. Latencies are from a request's last byte to
// its reply's.
type Kind struct {
	Dialect  dialect.Dialect `json:"dialect"`
	Name     string          `json:"kind"`
	Requests int             `json:"requests"`
	Replies  int             `json:"replies"`
	Errors   int             `json:"errors"` // replies that say so
	Events   int             `json:"events"`
	Bytes    int64           `json:"bytes"`
	P50      Duration        `json:"p50_us"`
	P90      Duration        `json:"p90_us"`
	P99      Duration        `json:"p99_us"`
	Max      Duration        `json:"max_us"`

	latencies histogram
}

// Peer is a device, as HELLO names it.
type Peer struct {
	Device    shoal.DeviceID `json:"device"`
	Addresses []netip.Addr   `json:"addresses"` // the first few
	Sent      int64          `json:"sent"`      // bytes, of all Shoal's conversations
	Received  int64          `json:"received"`
	BlocksOut int64          `json:"blocks_sent"` // bytes of blocks alone
	BlocksIn  int64          `json:"blocks_received"`
}

// Object is what was fetched in a group.
type Object struct {
	File   shoal.FileID `json:"file"`
	Group  shoal.Group  `json:"group"`
	Size   int64        `json:"size"`
	Blocks int          `json:"blocks"` // PIECEs
	Bytes  int64        `json:"bytes"`  // of these
	To     int          `json:"devices"`
	From   int          `json:"sources"`

	to, from map[shoal.DeviceID]bool
}

// Gap is what a capture does not have of a conversation.
type Gap struct {
	Conversation int        `json:"conversation"`
	Packet       int        `json:"packet"` // that showed it
	At           time.Time  `json:"at"`
	From         check.Side `json:"-"`
	Side         string     `json:"from"`
	Bytes        int64      `json:"bytes"` // -1: not known
}

// Violation is a rule of PROTOCOL.md that was broken.
type Violation struct {
	Rule         string         `json:"rule"`
	At           time.Time      `json:"at"`
	Packet       int            `json:"packet"` // of the capture, that showed it
	Conversation int            `json:"conversation"`
	Initiator    netip.AddrPort `json:"initiator"`
	Responder    netip.AddrPort `json:"responder"`
	Side         string         `json:"from"`
	Frame        int            `json:"frame"` // among those of this side; -1: it is that there is none
	Text         string         `json:"text"`
}
