package peer

import (
	"context"
	"sync/atomic"

	"shoal"
	"shoal/client/swarm"
)

// supplier is where a transfer gets blocks from: a swarm that was joined on a connection to a peer, or a mirror. What comes
// of what is asked of it, the sink hears.
type supplier interface {
	// from is always the same.
	from() *origin
	// received counts the bytes that have come.
	received() int64
	fetch(piece, begin, length int)
	cancel(piece, begin, length int)
	// manifest fetches what should prove the object, and hashes the values of a piece's blocks of 16 KiB. Neither is
	// verified.
	manifest(context.Context) (*shoal.Manifest, error)
	hashes(ctx context.Context, piece int) ([]shoal.Hash, error)
	// renew shows another ticket, and tell says which pieces are here, to who wants to know: curious reports whether
	// it does.
	renew(ticket []byte)
	tell(pieces ...int)
	curious() bool
	// fail ends the connection, for all who use it, and leave this transfer's part in it. Either once.
	fail(error)
	leave()
}

// origin is what those know of a supplier who put pieces together.
type origin struct {
	id      swarm.PeerID
	ctx     context.Context // ends with the connection
	waiting *atomic.Bool    // it waits for memory or for a limit, and is not to blame for its silence
	heard   int64           // the owner's: received when it looked last
	dropped bool            // what comes is void; the sink's
}

func (o *origin) from() *origin { return o }
