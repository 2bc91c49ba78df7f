package peer

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/wire"
)

// busy makes the server send a block that the test does not read yet, so that what is asked for now waits.
func busy(t *testing.T, c *raw, handle uint32) (finish func() []byte) {
	t.Helper()
	c.askBlock(handle, 0, 0, pieceLength)
	f, err := c.ReadFrame()
	must(t, err)
	return func() []byte {
		data := make([]byte, f.Data)
		must(t, c.ReadData(data))
		return data
	}
}

// Rules F8 and P9.
func TestControlOvertakesBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := place(t, random(2*pieceLength, 10))
		r := newRig(t, plaintext)
		r.Shelf.Put(swarmOf(f), f)
		c := r.pipe(8 << 10)
		finish := busy(t, c, c.join(swarmOf(f)).Handle)
		sent := c.ID
		first, second := c.askBlock(1, 1, 0, 100), c.askBlock(1, 1, 100, 50)
		ping := c.Ask(wire.KindPing, &wire.Empty{})
		manifest := c.Ask(wire.KindManifest, &wire.ManifestRequest{Handle: 1})
		for _, id := range []uint32{first, first, sent, 4711} { // but for the first of them none is open
			c.Send(wire.AppendEvent(nil, wire.KindCancel, &wire.Cancel{ID: id}))
		}
		synctest.Wait()
		if got := finish(); !bytes.Equal(got, pieceOf(t, f, 0)) {
			t.Error("wrong bytes")
		}
		c.Reply(ping, wire.KindPing, &wire.Empty{})
		c.Reply(manifest, wire.KindManifest, &wire.ManifestReply{})
		c.Refusal(first, wire.KindRequest, shoal.Canceled)
		if got := c.block(second, 1, 100); !bytes.Equal(got, pieceOf(t, f, 1)[100:150]) {
			t.Error("wrong bytes")
		}
		c.Alive()
	})
}

// Rule P8.
func TestTooManyRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := place(t, random(2*pieceLength, 11))
		r := newRig(t, plaintext)
		r.Shelf.Put(swarmOf(f), f)
		c := r.pipe(64 << 10)
		finish := busy(t, c, c.join(swarmOf(f)).Handle)
		const tooMany = 5
		first := c.ID + 1
		for range maxOpen + tooMany {
			c.askBlock(1, 1, 0, 1)
		}
		synctest.Wait()
		finish()
		for i := range uint32(tooMany) {
			c.Refusal(first+maxOpen+i, wire.KindRequest, shoal.Limit)
		}
		for i := range uint32(maxOpen) {
			c.block(first+i, 1, 0)
		}
		c.Alive()
	})
}

// Rule H9: 120 seconds of silence are enough, and any byte is an end of it.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, plaintext)
		c := r.pipe(0)
		frames := wire.AppendRequest(nil, wire.KindPing, 7, &wire.Empty{})
		for range 3 {
			for _, b := range frames {
				time.Sleep(idleLimit - time.Second)
				c.Send([]byte{b})
			}
			c.Reply(7, wire.KindPing, &wire.Empty{})
		}
		// A frame that is there with half of the next one, which takes its time.
		c.Send(append(frames, frames[:6]...))
		c.Reply(7, wire.KindPing, &wire.Empty{})
		time.Sleep(idleLimit - time.Second)
		c.Send(frames[6:])
		c.Reply(7, wire.KindPing, &wire.Empty{})

		began := time.Now()
		c.Bye(shoal.Unreachable, "")
		if silent := time.Since(began); silent != idleLimit {
			t.Errorf("closed after %v", silent)
		}
	})
}

// One who asks and does not read is not read from any more, and closed after a while.
func TestClientThatDoesNotRead(t *testing.T) {
	for name, ask := range map[string]func(c *raw, i uint32) []byte{
		"manifests": func(c *raw, i uint32) []byte {
			return wire.AppendRequest(nil, wire.KindManifest, i, &wire.ManifestRequest{Handle: 1})
		},
		"blocks": func(c *raw, i uint32) []byte {
			return wire.AppendRequest(nil, wire.KindRequest, i, &wire.Request{Handle: 1, Length: pieceLength})
		},
		"errors": func(c *raw, i uint32) []byte {
			return wire.AppendRequest(nil, wire.KindJoin, i, &wire.Join{Swarm: shoal.Swarm{Group: "none"}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := place(t, random(2*pieceLength, 12))
				r := newRig(t, plaintext)
				r.Shelf.Put(swarmOf(f), f)
				c := r.pipe(4 << 10)
				c.join(swarmOf(f))
				began := time.Now()
				var taken int
				var err error
				for i := uint32(10); err == nil; i++ {
					var n int
					n, err = c.Write(ask(c, i))
					taken += n
				}
				if waited := time.Since(began); waited < writeTimeout || waited > 2*writeTimeout {
					t.Errorf("closed after %v: %v", waited, err)
				}
				// An error is longer than the request that it answers.
				if taken > 2*enoughQueued {
					t.Errorf("%d bytes of requests were read", taken)
				}
			})
		})
	}
}

// The server's end does not wait for a client that does not read.
func TestEndWithStuckClient(t *testing.T) {
	for _, transport := range []identity.Transport{plaintext, overTLS} {
		t.Run(transport.Security.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := place(t, random(pieceLength, 13))
				r := newRig(t, transport)
				r.Shelf.Put(swarmOf(f), f)
				c := r.pipe(4 << 10)
				c.askBlock(c.join(swarmOf(f)).Handle, 0, 0, pieceLength)
				synctest.Wait()
				began := time.Now()
				r.end()
				if took := time.Since(began); took != 0 {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}
