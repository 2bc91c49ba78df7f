package upload

import (
	"testing"
	"time"

	"shoal"
	"shoal/client/swarm"
)

func id(n int) swarm.PeerID {
	return swarm.PeerID{Device: shoal.DeviceID{byte(n), byte(n >> 8)}, Session: 1}
}

// office is a machine with what it has said, on virtual time.
type office struct {
	*Machine
	now     time.Duration
	choked  map[swarm.PeerID]bool
	shown   map[swarm.PeerID]int
	all     map[swarm.PeerID]bool
	serving []Action
	refused []Action
}

const pieces = 40

func open(c Config) *office {
	c.Object = shoal.Object{Size: pieces << 18}
	return &office{Machine: New(c), choked: map[swarm.PeerID]bool{}, shown: map[swarm.PeerID]int{}, all: map[swarm.PeerID]bool{}}
}

func (o *office) peer(id swarm.PeerID) *peer { return o.peers.Find(&id) }

func (o *office) do(ev Event) {
	ev.Now = o.now
	for _, a := range o.Step(ev, nil) {
		switch a.Kind {
		case Choke:
			o.choked[a.Peer] = true
		case Unchoke:
			o.choked[a.Peer] = false
		case Reveal:
			o.shown[a.Peer]++
		case RevealAll:
			o.all[a.Peer] = true
		case Serve:
			o.serving = append(o.serving, a)
		case Refuse:
			o.refused = append(o.refused, a)
		}
	}
}

func (o *office) unchoked() (n int) {
	for _, choked := range o.choked {
		if !choked {
			n++
		}
	}
	return n + len(o.order) - len(o.choked)
}

func (o *office) pass(d time.Duration, each func()) {
	for end := o.now + d; o.now < end; o.now += swarm.TickEvery {
		each()
		o.do(Event{Kind: Tick})
	}
}

func TestNobodyIsChokedInSmallSwarms(t *testing.T) {
	o := open(Config{Whole: true})
	for n := range Slots {
		o.do(Event{Kind: Joined, Peer: id(n)})
	}
	o.pass(time.Minute, func() {})
	if len(o.choked) != 0 || len(o.all) != Slots {
		t.Errorf("%d were choked", len(o.choked))
	}
}

// In a crowd those who give have the slots, and a newcomer gets started within 10 s all the same.
func TestNewcomerIsStarted(t *testing.T) {
	for _, without := range []Rule{0, Optimistic} {
		o := open(Config{Bitfield: []byte{0xff}, Without: without})
		for n := range 3 * Slots {
			o.do(Event{Kind: Joined, Peer: id(n)})
		}
		giving := func() {
			for n := range Slots {
				o.do(Event{Kind: Gave, Peer: id(n), Length: 1 << 20})
			}
			for n := range 3 * Slots {
				if o.choked[id(n)] {
					continue
				}
				o.do(Event{Kind: Asked, Peer: id(n), Length: 1 << 14})
				o.do(Event{Kind: Sent, Peer: id(n), Length: 1 << 14})
			}
		}
		o.pass(15*time.Minute, giving) // all have had their turn
		for n := range Slots {
			if o.choked[id(n)] {
				t.Errorf("%d gives and is choked", n)
			}
		}
		if n := o.unchoked(); n > Slots+1 {
			t.Errorf("%d are served at a time", n)
		}
		newcomer, started := id(1000), false
		o.do(Event{Kind: Joined, Peer: newcomer})
		o.pass(10*time.Second, func() {
			giving()
			started = started || !o.choked[newcomer]
		})
		if started != (without == 0) {
			t.Errorf("without %v the newcomer's start is %v", without, started)
		}
	}
}

// Without reciprocity those who give are choked as often as others.
func TestGiversHaveTheSlots(t *testing.T) {
	for _, without := range []Rule{0, Reciprocity} {
		o := open(Config{Bitfield: []byte{0xff}, Without: without | Optimistic})
		for n := range 3 * Slots {
			o.do(Event{Kind: Joined, Peer: id(n)})
		}
		o.pass(time.Minute, func() {
			for n := range Slots {
				o.do(Event{Kind: Gave, Peer: id(100 + n), Length: 1 << 20}) // nobody here
				o.do(Event{Kind: Gave, Peer: id(2*Slots + n), Length: 1 << 20})
			}
		})
		serving := 0
		for n := range Slots {
			if !o.choked[id(2*Slots+n)] {
				serving++
			}
		}
		if (serving == Slots) != (without == 0) {
			t.Errorf("without %v, %d of those who give are served", without, serving)
		}
	}
}

func TestTurns(t *testing.T) {
	o := open(Config{Whole: true, Parallel: 1})
	o.do(Event{Kind: Joined, Peer: id(1)})
	o.do(Event{Kind: Joined, Peer: id(2)})
	for n := range 4 {
		o.do(Event{Kind: Asked, Peer: id(1), Piece: n, Length: 100})
	}
	o.do(Event{Kind: Asked, Peer: id(2), Piece: 9, Length: 100})
	o.do(Event{Kind: Canceled, Peer: id(1), Piece: 1, Length: 100})
	for k := 0; k < len(o.serving); k++ {
		a := o.serving[k]
		o.do(Event{Kind: Sent, Peer: a.Peer, Piece: a.Piece, Length: a.Length})
	}
	if len(o.serving) != 4 || o.serving[1].Peer != id(2) {
		t.Errorf("served %v", o.serving)
	}
	if len(o.refused) != 1 || o.refused[0].Code != shoal.Canceled {
		t.Errorf("refused %v", o.refused)
	}
}

func TestRefusals(t *testing.T) {
	o := open(Config{Bitfield: []byte{0x80}})
	o.do(Event{Kind: Joined, Peer: id(1)})
	o.do(Event{Kind: Asked, Peer: id(1), Piece: 1, Length: 100})
	o.do(Event{Kind: Asked, Peer: id(1), Piece: -1, Length: 100})
	for range maxOpen + 2 { // one of them is being served
		o.do(Event{Kind: Asked, Peer: id(1), Length: 100})
	}
	want := []shoal.Code{shoal.NotHeld, shoal.BadRequest, shoal.Limit}
	for k, a := range o.refused {
		if k >= len(want) || a.Code != want[k] {
			t.Fatalf("refused %v", o.refused)
		}
	}
	if len(o.refused) != len(want) {
		t.Errorf("refused %v", o.refused)
	}
}

// The only seed gives out each piece once, and what one took away with it again.
func TestSuperSeeding(t *testing.T) {
	o := open(Config{Whole: true, Seed: 1})
	o.do(Event{Kind: OnlySeed, Whole: true})
	for n := range 3 {
		o.do(Event{Kind: Joined, Peer: id(n)})
	}
	if o.shown[id(0)] != creditFirst || o.all[id(0)] || !o.SuperSeeding() {
		t.Fatalf("%d pieces are shown at first", o.shown[id(0)])
	}
	given := map[int]int{}
	take := func(n int) {
		for i := range pieces {
			if p := o.peer(id(n)); p != nil && p.revealed.Has(i) && o.super != nil && o.super.owner[i] == p && o.super.to[i] > 0 {
				o.do(Event{Kind: Asked, Peer: id(n), Piece: i, Length: 1 << 18})
				o.do(Event{Kind: Sent, Peer: id(n), Piece: i, Length: 1 << 18})
				given[i]++
				return
			}
		}
	}
	take(2)
	o.do(Event{Kind: Left, Peer: id(2)})
	for k := 0; o.SuperSeeding() && k < 10*pieces; k++ {
		take(k % 2)
	}
	twice := 0
	for i := range pieces {
		if given[i] == 0 {
			t.Errorf("piece %d was never given out", i)
		}
		if given[i] > 1 {
			twice++
		}
	}
	if o.SuperSeeding() || twice != 1 || !o.all[id(0)] {
		t.Errorf("%d pieces were given twice; super-seeding: %v", twice, o.SuperSeeding())
	}
}

// To one who is picky nothing is hidden, and what it takes is not given to others as well.
func TestPickyPeer(t *testing.T) {
	o := open(Config{Whole: true, Seed: 1})
	o.do(Event{Kind: OnlySeed, Whole: true})
	o.do(Event{Kind: Joined, Peer: id(0), Picky: true})
	if !o.all[id(0)] || !o.SuperSeeding() {
		t.Fatal("something is hidden from one who is picky")
	}
	for i := range pieces / 2 {
		o.do(Event{Kind: Asked, Peer: id(0), Piece: i, Length: 1 << 18})
	}
	o.do(Event{Kind: Joined, Peer: id(1)})
	for i := range pieces / 2 {
		o.do(Event{Kind: Sent, Peer: id(0), Piece: i, Length: 1 << 18})
		if o.peer(id(1)).revealed.Has(i) {
			t.Fatalf("piece %d is shown to another", i)
		}
	}
	for o.SuperSeeding() {
		for i := pieces / 2; i < pieces; i++ {
			if o.SuperSeeding() && o.peer(id(1)).revealed.Has(i) && o.super.to[i] > 0 {
				o.do(Event{Kind: Asked, Peer: id(1), Piece: i, Length: 1 << 18})
				o.do(Event{Kind: Sent, Peer: id(1), Piece: i, Length: 1 << 18})
			}
		}
	}
	if !o.all[id(1)] {
		t.Error("not everything is shown in the end")
	}
}
