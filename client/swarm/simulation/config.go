// Package simulation runs engines and their upload machines against each other in virtual time, over links whose rates up
// and down are shared by all connections, and reports how a swarm does. The same Config gives the same Report.
package simulation

import (
	"math"
	"time"

	"shoal"
	"shoal/client/swarm"
	"shoal/client/swarm/upload"
)

// Config describes a swarm.
type Config struct {
	Size   int64   `json:"size"` // bytes of the object
	Groups []Group `json:"groups"`
	Seed   uint64  `json:"seed"`
	// Alpha, Beta and K weigh scores; all 0 for the engine's own.
	Alpha float64 `json:"alpha"`
	Beta  float64 `json:"beta"`
	K     float64 `json:"k"`
	// Peers is how many each connects to; 0 for the engine's own limit.
	Peers int `json:"peers"`
	// Slots is how many each serves in a crowd; 0 for the upload side's own number.
	Slots int `json:"slots"`
	// Goodput is the part of a link's rate that is left for blocks; 0 for 0.956, what Ethernet and TCP leave.
	Goodput float64 `json:"goodput"`
	// Limit ends the simulation; 0 for an hour.
	Limit Duration `json:"limit"`
	// Without leaves rules of the engine out, WithoutUpload of the upload side.
	Without       swarm.Rule  `json:"without"`
	WithoutUpload upload.Rule `json:"without_upload"`
}

// Group is a number of peers that are alike.
type Group struct {
	Name  string  `json:"name"`
	Count int     `json:"count"`
	Up    float64 `json:"up"`   // Mbit/s; 0 for no limit
	Down  float64 `json:"down"` // Mbit/s; 0 for no limit
	// Delay is the time from such a peer to the middle of the network.
	Delay Duration `json:"delay"`
	// Whole is for those who have everything from the beginning.
	Whole bool `json:"whole"`
	// Part is for those who have the first part of the object, from 0 to 1, and fetch nothing.
	Part float64 `json:"part"`
	// Start is when the first arrives, and Every the time between two.
	Start Duration `json:"start"`
	Every Duration `json:"every"`
	// LeaveAt is the part of its download at which it leaves; 0 for never.
	LeaveAt float64 `json:"leave_at"`
	// LeaveDone is for those who leave as soon as they have everything.
	LeaveDone bool `json:"leave_done"`
	// DieAt is when they all die; with Hang nobody is told.
	DieAt Duration `json:"die_at"`
	Hang  bool     `json:"hang"`
	// Selfish is for those who serve nothing.
	Selfish bool `json:"selfish"`
	// Lie is what they do wrong: "" for nothing.
	Lie Lie `json:"lie"`
}

// fetches reports whether they download.
func (g *Group) fetches() bool { return !g.Whole && g.Part == 0 }

// Lie is a kind of misbehaviour.
type Lie string

// The lies.
const (
	Flips    Lie = "flips"    // each block that is sent is false
	Trickles Lie = "trickles" // a byte a second
	Stale    Lie = "stale"    // says that it has everything, and refuses all
	Forges   Lie = "forges"   // its manifests are false, and its blocks
	Silent   Lie = "silent"   // never answers a request
)

// Duration is a time.Duration that is written as 1.5s.
type Duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return shoal.Errorf(shoal.BadRequest, "%w; write it as 500ms or 1m30s", err)
	}
	*d = Duration(parsed)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// The most that is simulated.
const (
	maxPeers = 100_000
	noLimit  = 100_000 // Mbit/s
)

// check refuses what cannot be simulated. The error has code BadRequest.
func (c *Config) check() error {
	if err := (shoal.Object{Size: c.Size}).Check(); err != nil {
		return err
	}
	total := 0
	for i := range c.Groups {
		g := &c.Groups[i]
		bad := func(what string) error {
			return shoal.Errorf(shoal.BadRequest, "group %q (number %d): %s", g.Name, i+1, what)
		}
		if total += max(g.Count, 0); total > maxPeers || g.Count > maxPeers {
			return shoal.Errorf(shoal.BadRequest, "more than %d peers cannot be simulated", maxPeers)
		}
		switch {
		case g.Count < 1:
			return bad("a group has at least one peer; give it a count")
		case !(g.Up >= 0 && g.Up <= noLimit) || !(g.Down >= 0 && g.Down <= noLimit):
			return bad("rates are 0 (no limit) to 100000 Mbit/s")
		case g.Delay < 0 || g.Delay > Duration(time.Minute) || g.Start < 0 || g.Every < 0 || g.DieAt < 0:
			return bad("delays are 0s to 1m, and times not negative")
		case !(g.Part >= 0 && g.Part <= 1):
			return bad("part is a part of the object, from 0 to 1")
		case g.LeaveAt < 0 || g.LeaveAt > 1 || math.IsNaN(g.LeaveAt):
			return bad("leave_at is a part of the download, from 0 to 1")
		}
		switch g.Lie {
		case "", Flips, Trickles, Stale, Forges, Silent:
		default:
			return bad("lie is one of flips, trickles, stale, forges, silent")
		}
	}
	switch {
	case total == 0:
		return shoal.Errorf(shoal.BadRequest, "there are no peers; give groups of them")
	case c.Peers < 0 || c.Peers > 1000:
		return shoal.Errorf(shoal.BadRequest, "each connects to 1 to 1000 peers, not %d", c.Peers)
	case c.Slots < 0:
		return shoal.Errorf(shoal.BadRequest, "slots are not negative, and 0 for the usual number")
	case c.Goodput < 0 || c.Goodput > 1:
		return shoal.Errorf(shoal.BadRequest, "goodput is a part of the rate, from 0 to 1")
	case !(c.Alpha >= 0 && c.Beta >= 0 && c.K >= 0):
		return shoal.Errorf(shoal.BadRequest, "alpha, beta and k are not negative")
	}
	return nil
}

func (c *Config) setDefaults() {
	if c.Goodput == 0 {
		c.Goodput = 0.956
	}
	if c.Limit <= 0 {
		c.Limit = Duration(time.Hour)
	}
	if c.Peers == 0 {
		c.Peers = 50
	}
}
