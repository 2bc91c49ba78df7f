package peer

import (
	"context"
	"sync"
	"time"

	"shoal"
	"shoal/client/swarm/upload"
	"shoal/wire"
)

// How an item's machine hears of what happens, and how what it says is done. All is under the item's mu, so that what the
// connections' senders have queued is always what the machine believes.

const (
	// aloneWithin is how long it may take to learn whether nobody else has everything; after that somebody has.
	aloneWithin = 2 * time.Second
	// aloneWait is how long a JOIN waits for that.
	aloneWait = 20 * time.Millisecond
)

// tell tells the machine of an event, and does what it says. id is that of the REQUEST that the event is about; else 0. mu
// is held.
func (it *item) tell(ev upload.Event, id uint32) {
	if it.machine != nil {
		it.step(ev)
		it.act(id)
	}
}

func (it *item) step(ev upload.Event) {
	ev.Now = time.Since(it.began)
	it.actions = it.machine.Step(ev, it.actions[:0])
}

// act does what the machine has said, and what it says to the consequences.
func (it *item) act(id uint32) {
	for {
		for _, a := range it.actions {
			if m := it.members[a.Peer]; m != nil {
				m.do(a, id)
			}
		}
		if len(it.unsent) == 0 {
			return
		}
		last := len(it.unsent) - 1
		ev := it.unsent[last]
		it.unsent = it.unsent[:last]
		id = 0
		it.step(ev)
	}
}

func (m *member) do(a upload.Action, id uint32) {
	is := extent{uint32(a.Piece), uint32(a.Begin), uint32(a.Length)}
	switch a.Kind {
	case upload.Choke:
		if m.out.choke(m) {
			m.item.unsent = append(m.item.unsent, lost(m))
		}
	case upload.Unchoke:
		m.out.event(wire.KindUnchoke, &wire.Unchoke{Handle: m.handle})
	case upload.Reveal:
		m.announce(a.Piece)
	case upload.RevealAll:
		if m.all {
			return
		}
		m.all = true
		for i := range m.item.swarm.Object.Pieces() {
			if m.item.held == nil || m.item.held.Has(i) {
				m.announce(i)
			}
		}
	case upload.Serve:
		m.out.serve(m, is)
	case upload.Refuse:
		m.out.refuseBlock(m, is, id, refusal(a.Code))
	}
}

// lost is the event of a block that was granted and is not sent.
func lost(m *member) upload.Event { return upload.Event{Kind: upload.Sent, Peer: m.id} }

// refusal is what a REQUEST is answered that the machine refuses.
func refusal(code shoal.Code) error {
	switch code {
	case shoal.Busy:
		return shoal.Errorf(code, "others are served for now (rule P19)")
	case shoal.Limit:
		return errTooMuch
	case shoal.NotHeld:
		return shoal.Errorf(code, "the piece is not here yet (rule P6)")
	case shoal.Canceled:
		return errCanceled
	}
	return code
}

// ask puts a REQUEST before the machine.
func (m *member) ask(b block) {
	m.item.mu.Lock()
	defer m.item.mu.Unlock()
	if err := m.ended(); err != nil {
		m.out.refuse(wire.KindRequest, b.id, err)
		return
	}
	if m.out.ask(b) {
		m.item.tell(upload.Event{
			Kind: upload.Asked, Peer: m.id, Piece: int(b.piece), Begin: int(b.begin), Length: int(b.length),
		}, b.id)
	}
}

// cancel takes a REQUEST back that is not on its way yet (rule P9).
func (m *member) cancel(b block) {
	m.item.mu.Lock()
	defer m.item.mu.Unlock()
	switch m.out.where(b.id) {
	case asked:
		m.item.tell(upload.Event{
			Kind: upload.Canceled, Peer: m.id, Piece: int(b.piece), Begin: int(b.begin), Length: int(b.length),
		}, b.id)
	case granted:
		if m.out.revoke(b.id, errCanceled) {
			m.item.tell(lost(m), 0)
		}
	}
}

// sent tells the machine that a block has been handed to the network, or, with no bytes, that it has failed.
func (m *member) sent(b *block, bytes int) {
	m.item.mu.Lock()
	defer m.item.mu.Unlock()
	if m.item.members[m.id] == m {
		m.item.tell(upload.Event{
			Kind: upload.Sent, Peer: m.id, Piece: int(b.piece), Begin: int(b.begin), Length: bytes,
		}, 0)
	}
}

// has notes that the other side has a piece. Who has something himself has no use for it.
func (m *member) has(pieces []uint32) {
	m.item.mu.Lock()
	defer m.item.mu.Unlock()
	if m.item.held != nil || m.item.members[m.id] != m {
		return
	}
	for _, p := range pieces {
		m.item.tell(upload.Event{Kind: upload.PeerHas, Peer: m.id, Piece: int(p)}, 0)
	}
}

// settle finds out, when the first device joins what is whole here, whether nobody else has all of it. It does not keep
// that one waiting for long: until it is known, nobody else has.
func (it *item) settle(ctx context.Context, alone func(context.Context, shoal.Swarm) bool, helpers *sync.WaitGroup) {
	it.mu.Lock()
	if alone == nil || it.machine != nil || it.gone != nil || it.content.Bitfield() != nil || it.swarm.Object.Pieces() < 2 {
		it.mu.Unlock()
		return
	}
	known := it.alone
	if known == nil {
		known = make(chan struct{})
		it.alone = known
		helpers.Go(func() { it.learn(ctx, alone, known) })
	}
	it.mu.Unlock()
	wait := time.NewTimer(aloneWait)
	defer wait.Stop()
	select {
	case <-known:
	case <-wait.C:
	}
}

func (it *item) learn(ctx context.Context, alone func(context.Context, shoal.Swarm) bool, known chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, aloneWithin)
	defer cancel()
	only := alone(ctx, it.swarm)
	it.mu.Lock()
	defer it.mu.Unlock()
	it.onlySeed, it.alone = only, nil
	close(known)
	if !only {
		it.tell(upload.Event{Kind: upload.OnlySeed}, 0)
	}
}
