package simulation

import (
	"slices"
	"time"

	"shoal/client/swarm"
	"shoal/client/swarm/upload"
)

// flow is one connection, on which blocks go from a source to the peer that has joined it.
type flow struct {
	src, dst  *node
	session   int32         // its place in dst.out
	place     int32         // in src.in; -1 for not yet
	delay     time.Duration // from one to the other
	most      int32         // bytes that may be on their way
	source    swarm.Handle  // what dst's engine calls src
	sink      upload.Handle // what src's upload side calls dst
	connected bool          // dst's engine knows
	closed    bool
	all       bool // dst may know of all that src has

	sending block // what src sends at the moment
	left    int32 // bytes of it that are not transmitted; -1 for nothing to send
	inRing  bool  // it waits for src's uplink
	underway
	gave int32 // bytes that have come and the upload side has not heard of
}

// newFlow is one that ends at dst, and begins at src when that lets it join.
func (s *simulator) newFlow(src, dst *node, session int32, source swarm.Handle) *flow {
	f := &flow{src: src, dst: dst, session: session, source: source, place: -1, left: -1, delay: src.delay + dst.delay}
	// What the path holds, and a little that waits at the bottleneck.
	f.most = 4*s.quantum + int32(min(min(src.up, dst.down)*2*f.delay.Seconds(), 64<<20))
	return f
}

// joined is one who has joined a node.
type joined struct {
	flow *flow // nil for a place that is free
	dst  int32 // beside it, because most news are none to most
}

// join gives a flow a place at its source.
func (f *flow) join() {
	n := f.src
	f.place = int32(slices.IndexFunc(n.in, func(j joined) bool { return j.flow == nil }))
	if f.place < 0 {
		f.place = int32(len(n.in))
		n.in = append(n.in, joined{})
	}
	n.in[f.place] = joined{f, f.dst.index}
	n.joins++
}

// toEngine is an event of the source for the engine at the flow's end, and toUpload one of the end for the source.
func (f *flow) toEngine(kind swarm.EventKind, b block) swarm.Event {
	return swarm.Event{
		Kind: kind, Handle: f.source, Piece: int(b.piece), Begin: int(b.begin), Length: int(b.length),
	}
}

func (f *flow) toUpload(kind upload.EventKind, b block) upload.Event {
	return upload.Event{
		Kind: kind, Handle: f.sink, Piece: int(b.piece), Begin: int(b.begin), Length: int(b.length),
	}
}

// nodeSet is a set of nodes.
type nodeSet []uint64

func newNodeSet(n int) nodeSet { return make(nodeSet, (n+63)/64) }

func (s nodeSet) has(n int32) bool { return s[n/64]>>(n%64)&1 != 0 }
func (s nodeSet) add(n int32)      { s[n/64] |= 1 << (n % 64) }

// underway is what is on its way on a flow.
type underway struct {
	bytes  int32
	chunks []chunk // in the order in which they arrive
	last   time.Duration
}

// part is what an uplink sends of a flow at a time.
type part struct {
	flow  *flow
	bytes int32
}

type chunk struct {
	at    time.Duration
	bytes int32
}

// add notes what is on its way from now on.
func (u *underway) add(c chunk, now time.Duration) {
	if u.last <= now {
		u.bytes, u.chunks = 0, u.chunks[:0]
	} else if len(u.chunks) == cap(u.chunks) {
		u.expire(now)
	}
	u.chunks = append(u.chunks, c)
	u.bytes += c.bytes
	u.last = c.at
}

// expire forgets what has arrived by now.
func (u *underway) expire(now time.Duration) {
	k := 0
	for k < len(u.chunks) && u.chunks[k].at <= now {
		u.bytes -= u.chunks[k].bytes
		k++
	}
	if k > 0 {
		u.chunks = u.chunks[:copy(u.chunks, u.chunks[k:])]
	}
}

// transmit sends the next parts of blocks on the node's uplink, of each flow in turn: so it is shared in equal parts by
// all who have something to send, as TCP does in the long run. What comes then waits for the other's downlink.
func (s *simulator) transmit(n *node) {
	if n.busy || n.dead {
		return
	}
	earliest, bytes, tried := time.Duration(-1), int32(0), 0
	for all := len(n.ring); tried < all && bytes < s.quantum; tried++ {
		f := n.ring[tried]
		f.inRing = false
		if f.closed || f.left < 0 {
			continue
		}
		if f.bytes >= f.most {
			f.expire(s.now)
			if f.bytes >= f.most {
				if at := f.chunks[0].at; earliest < 0 || at < earliest {
					earliest = at
				}
				s.enter(f)
				continue
			}
		}
		p := part{f, min(f.left, s.quantum)}
		bytes += p.bytes
		n.burst = append(n.burst, p)
	}
	n.ring = n.ring[:copy(n.ring, n.ring[tried:])]
	switch {
	case len(n.burst) > 0:
		n.busy = true
		s.after(seconds(float64(bytes)/n.up), happening{kind: transmitted, node: n.index})
	case earliest >= 0: // all wait for what is on its way
		n.busy = true
		s.after(earliest-s.now, happening{kind: transmitted, node: n.index})
	}
}

// enter lets a flow wait for its source's uplink.
func (s *simulator) enter(f *flow) {
	if !f.inRing {
		f.inRing = true
		f.src.ring = append(f.src.ring, f)
	}
}

// transmitted moves on what the uplink has sent.
func (s *simulator) transmitted(n *node) {
	for k, p := range n.burst {
		if p.flow.closed || n.dead {
			continue
		}
		end := s.now
		for _, later := range n.burst[k+1:] {
			end -= seconds(float64(later.bytes) / n.up)
		}
		s.moveOn(p, end)
	}
	n.burst, n.busy = n.burst[:0], false
	s.transmit(n)
}

// moveOn sends on a part that has left its source's uplink.
func (s *simulator) moveOn(p part, end time.Duration) {
	f, n := p.flow, p.flow.src
	f.left -= p.bytes
	n.sent += int64(p.bytes)
	// The way's delay comes after the wait for the downlink: what is far would else keep it for itself until it is there.
	f.dst.downFree = max(f.dst.downFree, end) + seconds(float64(p.bytes)/f.dst.down)
	at := f.dst.downFree + f.delay
	f.add(chunk{at, p.bytes}, s.now)
	if f.left > 0 {
		s.enter(f)
		return
	}
	f.left = -1
	s.at(at, happening{kind: delivered, flow: f, block: f.sending})
	s.sent(f, f.sending)
}

// latency is how long a short message takes from n to the other end of a flow: what n has to send stands before it.
func (s *simulator) latency(n *node, f *flow) time.Duration {
	queued := seconds(float64(len(n.ring)) * float64(s.quantum) / n.up)
	return f.delay + min(queued, 50*time.Millisecond) + 100*time.Microsecond
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
