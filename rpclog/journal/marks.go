package journal

import (
	"bytes"
	"container/list"
	"encoding/json"

	"shoal"
	"shoal/rpclog"
)

// How many senders' marks are kept. Beyond that, those that were heard of longest ago are forgotten; what they send again
// after that is stored again. A verified sender is a process of somebody who has the key: so many others have to come
// in the meantime, with half of their answers lost, that it does not happen by itself.
//
// Strangers can make any number of senders. They are forgotten, too, rather than turned away, because turning away would
// let a flood lock out everybody else; what it does now is that others' entries, as unverified as the flood's, may be
// there twice.
const (
	maxSenders    = 32768
	maxUnverified = 1024
)

// mark is how far a sender has come.
type mark struct {
	Device  shoal.DeviceID `json:"device"`
	Process uint64         `json:"process"`
	Seq     uint64         `json:"seq"` // the highest number stored
}

// marks are those of a series. Not for concurrent use.
type marks struct {
	limit    int
	bySender map[rpclog.Sender]*list.Element // of order
	order    *list.List                      // of *mark, the one heard of longest ago first
}

func newMarks(limit int) *marks {
	return &marks{limit: limit, bySender: make(map[rpclog.Sender]*list.Element), order: list.New()}
}

// of returns the highest number stored of s; 0 if there is none.
func (m *marks) of(s rpclog.Sender) uint64 {
	if e := m.bySender[s]; e != nil {
		return e.Value.(*mark).Seq
	}
	return 0
}

// raise notes that s was heard of, and that its entries are stored up to seq.
func (m *marks) raise(s rpclog.Sender, seq uint64) {
	if e := m.bySender[s]; e != nil {
		k := e.Value.(*mark)
		k.Seq = max(k.Seq, seq)
		m.order.MoveToBack(e)
		return
	}
	m.bySender[s] = m.order.PushBack(&mark{s.Device, s.Process, seq})
	if m.order.Len() > m.limit {
		oldest := m.order.Remove(m.order.Front()).(*mark)
		delete(m.bySender, rpclog.Sender{Device: oldest.Device, Process: oldest.Process})
	}
}

// firstLine is what a file begins with.
type firstLine struct {
	Journal int    `json:"journal"` // the form of the lines: 1
	Marks   []mark `json:"marks"`   // in the order of marks.order
}

const firstLineStart = `{"journal":1,`

// line returns the first line of a file that is begun now, with its newline.
func (m *marks) line() ([]byte, error) {
	l := firstLine{Journal: 1, Marks: make([]mark, 0, m.order.Len())}
	for e := m.order.Front(); e != nil; e = e.Next() {
		l.Marks = append(l.Marks, *e.Value.(*mark))
	}
	b, err := json.Marshal(l)
	return append(b, '\n'), err
}

// readLine takes over the marks of a first line. It tells whether line is one.
func (m *marks) readLine(line []byte) bool {
	var l firstLine
	if !bytes.HasPrefix(line, []byte(firstLineStart)) || json.Unmarshal(line, &l) != nil {
		return false
	}
	for _, k := range l.Marks {
		m.raise(rpclog.Sender{Device: k.Device, Process: k.Process}, k.Seq)
	}
	return true
}
