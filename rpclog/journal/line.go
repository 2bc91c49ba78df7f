package journal

import (
	"bytes"
	"strconv"

	"shoal"
	"shoal/rpclog"
)

// head is what every entry's line begins with, aliasing the line.
type head struct {
	time    []byte // as timeLayout
	level   []byte // empty for none
	device  []byte
	process uint64
	seq     uint64
}

// parseHead reads the beginning of a line as newRequest writes it; not ok is what is no entry's line.
func parseHead(line []byte) (h head, ok bool) {
	const opening = `{"time":"`
	if len(line) < len(opening)+len(timeLayout) || string(line[:len(opening)]) != opening {
		return h, false
	}
	line = line[len(opening):]
	h.time, line = line[:len(timeLayout)], line[len(timeLayout):]
	if rest, found := bytes.CutPrefix(line, []byte(`","level":"`)); found {
		i := bytes.IndexByte(rest, '"')
		if i < 0 {
			return h, false
		}
		h.level, line = rest[:i], rest[i:]
	}
	const deviceLength = 52
	line, ok = bytes.CutPrefix(line, []byte(`","device":"`))
	if !ok || len(line) < deviceLength {
		return h, false
	}
	h.device, line = line[:deviceLength], line[deviceLength:]
	if h.process, line, ok = cutNumber(line, `","process":`); !ok {
		return h, false
	}
	h.seq, _, ok = cutNumber(line, `,"seq":`)
	return h, ok
}

func cutNumber(line []byte, name string) (v uint64, rest []byte, ok bool) {
	line, ok = bytes.CutPrefix(line, []byte(name))
	if !ok {
		return 0, nil, false
	}
	n := 0
	for n < len(line) && line[n] >= '0' && line[n] <= '9' {
		n++
	}
	v, err := strconv.ParseUint(string(line[:n]), 10, 64)
	return v, line[n:], err == nil
}

// rank is the level's place in the order of levels.
func (h *head) rank() rpclog.Level {
	level, err := rpclog.ParseLevel(string(h.level))
	if err != nil {
		return rpclog.NoLevel
	}
	return level
}

// lineMarks raises marks by entries' lines.
type lineMarks struct {
	*marks
	text   []byte // of the last sender's device, which the next line mostly has, too
	device shoal.DeviceID
}

func (m *lineMarks) read(line []byte) {
	h, ok := parseHead(line)
	if !ok {
		return
	}
	if !bytes.Equal(h.device, m.text) {
		device, err := shoal.ParseDeviceID(string(h.device))
		if err != nil {
			return
		}
		m.text, m.device = append(m.text[:0], h.device...), device
	}
	m.raise(rpclog.Sender{Device: m.device, Process: h.process}, h.seq)
}
