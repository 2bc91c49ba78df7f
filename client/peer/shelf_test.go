package peer

import (
	"bytes"
	"os"
	"sync"
	"testing"
	"testing/synctest"

	"shoal"
	"shoal/wire"
)

// Who joins while pieces come learns of each exactly once, by the bitfield or by HAVE, and of none before the reply to
// JOIN (rule P12).
func TestPiecesThatComeDuringJoin(t *testing.T) {
	const pieces, joins = 40, 12
	f := place(t, random(pieces*pieceLength, 20))
	part := partOf(t, f)
	r := newRig(t, plaintext)
	r.Shelf.Put(swarmOf(f), part)
	conns := make([]*raw, joins)
	for i := range conns {
		conns[i] = r.pipe(0)
	}
	var run sync.WaitGroup
	run.Go(func() {
		for i := range pieces {
			if err := part.WritePiece(i, pieceOf(t, f, i)); err != nil {
				t.Error(err)
			}
			r.Shelf.Have(swarmOf(f), i)
		}
	})
	for _, c := range conns {
		run.Go(func() {
			joined := c.join(swarmOf(f))
			told := 0
			seen := make([]bool, pieces)
			for i := range seen {
				if seen[i] = joined.Whole || joined.Bitfield.Has(i); seen[i] {
					told++
				}
			}
			for told < pieces {
				var have wire.Have
				c.Event(wire.KindHave, &have)
				for _, i := range have.Pieces {
					if seen[i] || have.Handle != joined.Handle {
						t.Errorf("piece %d is announced twice, or as %d", i, have.Handle)
						return
					}
					seen[i] = true
					told++
				}
			}
		})
	}
	run.Wait()
	for _, c := range conns {
		c.Alive() // with nothing in between
	}
}

func TestLeaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := place(t, random(2*pieceLength, 21))
		part := partOf(t, f, 0)
		r := newRig(t, plaintext)
		r.Shelf.Put(swarmOf(f), part)
		c := r.pipe(4 << 10)
		finish := busy(t, c, c.join(swarmOf(f)).Handle)
		must(t, part.WritePiece(1, pieceOf(t, f, 1)))
		r.Shelf.Have(swarmOf(f), 1)
		leave := c.Ask(wire.KindLeave, &wire.Leave{Handle: 1})
		synctest.Wait()
		r.Shelf.Withdraw(swarmOf(f), shoal.NotFound)
		finish()
		c.Reply(leave, wire.KindLeave, &wire.Empty{}) // and neither HAVE nor WITHDRAW
		c.Alive()
	})
}

// Rule P11.
func TestChangedFile(t *testing.T) {
	f := place(t, random(2*pieceLength, 22))
	r := newRig(t, plaintext)
	r.Shelf.Put(swarmOf(f), f)
	one, two, outsider := r.pipe(0), r.pipe(0), r.pipe(0)
	one.join(swarmOf(f))
	two.join(swarmOf(f))
	must(t, os.Truncate(f.Path(), pieceLength))

	id := one.askBlock(1, 0, 0, 1)
	for _, c := range []*raw{one, two} {
		var m wire.Withdraw
		c.Event(wire.KindWithdraw, &m)
		wantCode(t, m.Err(), shoal.Changed)
	}
	one.Refusal(id, wire.KindRequest, shoal.Changed)
	for _, c := range []*raw{one, two} {
		c.Refusal(c.askBlock(1, 0, 0, 1), wire.KindRequest, shoal.NotFound) // P4
		c.Refusal(c.Ask(wire.KindHashes, &wire.HashesRequest{Handle: 1}), wire.KindHashes, shoal.NotFound)
		c.Refusal(c.Ask(wire.KindJoin, &wire.Join{Swarm: swarmOf(f)}), wire.KindJoin, shoal.NotFound)
		c.Alive() // with no second WITHDRAW
	}
	outsider.Alive()
	if n := r.changed.Load(); n != 1 {
		t.Errorf("told %d times", n)
	}
}

func TestChangedFileIsNotJoined(t *testing.T) {
	f := place(t, random(10, 23))
	r := newRig(t, plaintext)
	r.Shelf.Put(swarmOf(f), f)
	must(t, os.Chmod(f.Path(), 0o400))
	c := r.pipe(0)
	c.Refusal(c.Ask(wire.KindJoin, &wire.Join{Swarm: swarmOf(f)}), wire.KindJoin, shoal.Changed)
	c.Alive() // with no WITHDRAW of what was not joined
}

// A block that waits is not sent from a file that changed meanwhile, and the swarm is withdrawn there and then.
func TestChangedWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := place(t, random(2*pieceLength, 24))
		other := place(t, random(pieceLength, 25))
		r := newRig(t, plaintext)
		r.Shelf.Put(swarmOf(f), f)
		r.Shelf.Put(swarmOf(other), other)
		c := r.pipe(4 << 10)
		finish := busy(t, c, c.join(swarmOf(other)).Handle)
		id := c.Ask(wire.KindJoin, &wire.Join{Swarm: swarmOf(f)})
		block := c.askBlock(2, 1, 0, 10)
		synctest.Wait()
		must(t, os.Remove(f.Path()))
		finish()
		c.Reply(id, wire.KindJoin, &wire.JoinReply{})
		c.Event(wire.KindWithdraw, &wire.Withdraw{})
		c.Refusal(block, wire.KindRequest, shoal.Changed)
		if n := r.changed.Load(); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

// What its owner closes without a word is not there any more; the connection goes on.
func TestClosedContent(t *testing.T) {
	f := place(t, random(10, 26))
	r := newRig(t, plaintext)
	r.Shelf.Put(swarmOf(f), f)
	c := r.pipe(0)
	c.join(swarmOf(f))
	must(t, f.Close())
	id := c.askBlock(1, 0, 0, 10)
	c.Event(wire.KindWithdraw, &wire.Withdraw{})
	c.Refusal(id, wire.KindRequest, shoal.NotFound)
	c.Alive()
	if r.changed.Load() != 0 {
		t.Error("a closed file counts as changed")
	}
}

func TestPartDoesNotReplaceTheWhole(t *testing.T) {
	f := place(t, random(2*pieceLength, 27))
	part := partOf(t, f, 0)
	r := newRig(t, plaintext)
	if !r.Shelf.Put(swarmOf(f), part) || !r.Shelf.Put(swarmOf(f), f) || r.Shelf.Put(swarmOf(f), part) {
		t.Error("the whole replaces a part, and not the other way round")
	}
	c := r.pipe(0)
	c.join(swarmOf(f))
	if got := c.block(c.askBlock(1, 1, 0, pieceLength), 1, 0); !bytes.Equal(got, pieceOf(t, f, 1)) {
		t.Error("wrong bytes")
	}
}

// Two downloads of one object in one process serve what the first one has; and only the end of that one ends it.
func TestPartDoesNotReplaceAPart(t *testing.T) {
	f := place(t, random(2*pieceLength, 27))
	first, second := partOf(t, f, 0), partOf(t, f, 1)
	r := newRig(t, plaintext)
	if !r.Shelf.Put(swarmOf(f), first) || r.Shelf.Put(swarmOf(f), second) || !r.Shelf.Put(swarmOf(f), first) {
		t.Error("a part replaces another one")
	}
	c := r.pipe(0)
	c.join(swarmOf(f))
	r.Shelf.Have(swarmOf(f), 1) // which the second one has
	if got := c.block(c.askBlock(1, 0, 0, pieceLength), 0, 0); !bytes.Equal(got, pieceOf(t, f, 0)) {
		t.Error("wrong bytes")
	}
	if r.Shelf.withdraw(swarmOf(f), second, shoal.NotFound) || !r.Shelf.serves(swarmOf(f), first) {
		t.Error("the end of a download that is not served withdraws another one")
	}
	if whole := r.Shelf.Whole(swarmOf(f)); whole != nil {
		t.Error("a part counts as the whole")
	}
	r.Shelf.Put(swarmOf(f), f)
	if r.Shelf.withdraw(swarmOf(f), first, shoal.NotFound) {
		t.Error("the end of a download withdraws the whole")
	}
	if whole := r.Shelf.Whole(swarmOf(f)); whole != f {
		t.Error("the whole is not found")
	} else {
		whole.Release()
	}
}
