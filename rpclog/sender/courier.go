package sender

import (
	"context"
	"errors"
	"fmt"
	"time"

	"shoal/rpclog"
	"shoal/rpclog/oncrpc"
)

const (
	dialTimeout = 5 * time.Second
	callTimeout = 10 * time.Second // what the service may take to write a batch to its disk
	maxReply    = 4 << 10          // bytes; a right one has less than a hundred
)

// courier sends batches, one at a time, and owns the connection. A batch may be stored although the outcome is an error.
type courier struct {
	target   oncrpc.Target
	key      *rpclog.Key
	jobs     chan *batch
	outcomes chan outcome // room for one, so that the courier never waits for who asked
	client   *oncrpc.Client
}

// outcome is how the sending of a batch ended: all of it is with the service, unless err says why not.
type outcome struct {
	verified bool
	err      error
}

// errRefused says that the service does not take this batch, now or ever.
var errRefused = errors.New("the log service calls the entries malformed")

func newCourier(target oncrpc.Target, key *rpclog.Key) *courier {
	target.Network, target.Program, target.Version, target.MaxReply = "tcp", rpclog.Program, rpclog.Version, maxReply
	return &courier{target: target, key: key, jobs: make(chan *batch), outcomes: make(chan outcome, 1)}
}

// run sends what comes in jobs until that is closed. When ctx ends, so does what is under way.
func (c *courier) run(ctx context.Context) {
	defer c.hangUp()
	for b := range c.jobs {
		r, err := c.send(ctx, b.seal(c.key))
		if err == nil {
			if err = check(b, r); err != nil {
				c.hangUp()
			}
		}
		c.outcomes <- outcome{r.Verified, err}
	}
}

// send calls APPEND. Where a connection from earlier turns out to be broken it takes a new one.
func (c *courier) send(ctx context.Context, args []byte) (rpclog.Result, error) {
	if c.client != nil {
		r, err := c.call(ctx, args)
		if err == nil || c.client != nil || errors.Is(err, context.DeadlineExceeded) {
			return r, err
		}
	}
	dialCtx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var err error
	if c.client, err = oncrpc.Dial(dialCtx, c.target); err != nil {
		c.client = nil
		return rpclog.Result{}, err
	}
	return c.call(ctx, args)
}

// call calls APPEND over the connection there is, and gives that up unless it may be used again.
func (c *courier) call(ctx context.Context, args []byte) (r rpclog.Result, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	reply, err := c.client.Call(ctx, rpclog.ProcAppend, args)
	var failed *oncrpc.AcceptError
	if errors.As(err, &failed) {
		if failed.Stat == oncrpc.GarbageArgs {
			err = errRefused
		}
		return r, err
	}
	if err == nil {
		r, err = rpclog.DecodeResult(reply)
	}
	if err != nil {
		c.hangUp()
	}
	return r, err
}

func (c *courier) hangUp() {
	if c.client != nil {
		_ = c.client.Close() // nothing is lost by what a broken connection says
		c.client = nil
	}
}

// check returns why a result does not mean that the whole batch is stored.
func check(b *batch, r rpclog.Result) error {
	if r.Status != rpclog.OK {
		return errors.New(r.Status.String())
	}
	if uint64(r.Stored)+uint64(r.Duplicates) != uint64(b.count) || r.Mark < b.last() {
		return fmt.Errorf("the log service is wrong: of %d entries up to number %d it stored %d, had %d before, and its last is number %d",
			b.count, b.last(), r.Stored, r.Duplicates, r.Mark)
	}
	return nil
}
