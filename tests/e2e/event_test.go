package e2e

import (
	"encoding/json"
	"slices"
)

// event is what the program prints with --json, whatever the kind.
type event struct {
	Event   string
	Address string
	URL     string
	Socket  string
	Key     string
	Realm   string
	Device  string
	Name    string
	File    string
	Path    string
	Code    string
	Text    string
	Size    int64
	Held    int64
	Resumed int64
	Begin   int64
	End     int64
	Present bool
	Served  bool
	Sources sources
	Missing []missing

	// Of queued downloads.
	ID       uint64
	State    string
	Attempts int
}

// source is one source's share of a download.
type source struct {
	Device    string
	Mirror    string
	Connected bool
	Bytes     int64
}

// sources are the shares; in what ls prints, Count has how many whole sources there are.
type sources struct {
	Shares []source
	Count  int
}

func (s *sources) UnmarshalJSON(b []byte) error {
	if b[0] != '[' {
		return json.Unmarshal(b, &s.Count)
	}
	return json.Unmarshal(b, &s.Shares)
}

// from is the share of one device.
func (s sources) from(device string) source {
	i := slices.IndexFunc(s.Shares, func(share source) bool { return share.Device == device })
	if i < 0 {
		return source{Device: device}
	}
	return s.Shares[i]
}

// total is how many bytes came from all.
func (s sources) total() (n int64) {
	for _, share := range s.Shares {
		n += share.Bytes
	}
	return n
}
