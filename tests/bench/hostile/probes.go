package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"shoal"
	"shoal/rpclog"
	"shoal/rpclog/oncrpc"
	"shoal/soap"
)

// A probe is what an honest client does again and again. do is for one goroutine; after an error everything begins anew.
type probe struct {
	name    string
	clients int
	every   time.Duration // of each client
	begin   func(*targets) doer
}

// doer is one client that measures. do does it once.
type doer interface {
	do(ctx context.Context) error
	end()
}

// probes are all that is measured.
var probes = []probe{
	{"request", 4, 10 * time.Millisecond, func(t *targets) doer { return &requester{t: t} }},
	{"session", 4, 80 * time.Millisecond, func(t *targets) doer { return &newcomer{t} }},
	{"block", 2, 10 * time.Millisecond, func(t *targets) doer { return &fetcher{t: t} }},
	{"join", 2, 80 * time.Millisecond, func(t *targets) doer { return &joiner{t: t} }},
	{"append", 1, 10 * time.Millisecond, func(t *targets) doer { return &appender{t: t} }},
	{"stamp", 2, 20 * time.Millisecond, func(t *targets) doer { return &stamper{t: t} }},
}

// requester asks LOOKUP, and sometimes LIST, in an established session.
type requester struct {
	t *targets
	a *asker
	n int
}

func (r *requester) do(ctx context.Context) (err error) {
	if r.a == nil {
		if r.a, err = r.t.session(ctx); err != nil {
			return err
		}
	}
	r.n++
	if err = r.t.lookUp(r.a, r.n%8 == 0); err != nil {
		r.end()
	}
	return err
}

func (r *requester) end() {
	if r.a != nil {
		r.a.Close()
		r.a = nil
	}
}

// newcomer opens a session, asks something in it, and leaves.
type newcomer struct{ t *targets }

func (n *newcomer) do(ctx context.Context) error {
	a, err := n.t.session(ctx)
	if err != nil {
		return err
	}
	defer a.Close()
	return n.t.lookUp(a, false)
}

func (n *newcomer) end() {}

// fetcher asks a peer for blocks, on one connection.
type fetcher struct {
	t      *targets
	a      *asker
	handle uint32
}

func (f *fetcher) do(ctx context.Context) (err error) {
	if f.a == nil {
		ticket, err := f.t.ask(ctx)
		if err != nil {
			return err
		}
		if f.a, f.handle, err = f.t.join(ctx, ticket); err != nil {
			return err
		}
	}
	if err = f.t.block(f.a, f.handle); err != nil {
		f.end()
	}
	return err
}

func (f *fetcher) end() {
	if f.a != nil {
		f.a.Close()
		f.a = nil
	}
}

// ask gets a ticket by a session of its own.
func (t *targets) ask(ctx context.Context) ([]byte, error) {
	a, err := t.session(ctx)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	return a.ticket()
}

// joiner opens a connection to a peer, joins a swarm there, and leaves.
type joiner struct {
	t      *targets
	ticket []byte
}

func (j *joiner) do(ctx context.Context) (err error) {
	if j.ticket == nil {
		if j.ticket, err = j.t.ask(ctx); err != nil {
			return err
		}
	}
	a, _, err := j.t.join(ctx, j.ticket)
	if err != nil {
		return err
	}
	return a.Close()
}

func (j *joiner) end() {}

// appender logs one entry at a time, on one connection. It takes another where that breaks, as senders do.
type appender struct {
	t      *targets
	c      *oncrpc.Client
	sender rpclog.Sender
	number uint64
}

func (p *appender) do(ctx context.Context) error {
	if p.number == 0 {
		p.sender = rpclog.Sender{Device: p.t.key.Device(), Process: rand.Uint64()}
		p.number = 1
	}
	entry := rpclog.AppendEntry(nil, &rpclog.Entry{Level: rpclog.Info, Time: time.Now(), Message: "an entry"})
	args := rpclog.Seal(p.sender, p.number, true, 1, entry, p.t.logKey)
	var err error
	for range 2 {
		if err = p.append(ctx, args); err == nil {
			p.number++
			return nil
		}
		p.end()
	}
	return err
}

func (p *appender) append(ctx context.Context, args []byte) (err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if p.c == nil {
		target := oncrpc.Target{Network: "tcp", Address: p.t.Log, Program: rpclog.Program, Version: rpclog.Version}
		if p.c, err = oncrpc.Dial(ctx, target); err != nil {
			p.c = nil
			return err
		}
	}
	reply, err := p.c.Call(ctx, rpclog.ProcAppend, args)
	if err != nil {
		return err
	}
	r, err := rpclog.DecodeResult(reply)
	if err == nil && (r.Status != rpclog.OK || !r.Verified) {
		err = fmt.Errorf("APPEND is answered by %+v", r)
	}
	return err
}

func (p *appender) end() {
	if p.c != nil {
		_ = p.c.Close() // what a broken connection says does not matter
		p.c = nil
	}
}

// stamper asks the enrichment service for a time.
type stamper struct {
	t *targets
	c *soap.Client
}

func (s *stamper) do(ctx context.Context) (err error) {
	if s.c == nil {
		if s.c, err = soap.NewClient(s.t.Soap, nil); err != nil {
			return err
		}
	}
	_, err = s.c.Stamp(ctx, 1)
	return err
}

func (s *stamper) end() {
	if s.c != nil {
		s.c.Close()
	}
}

// measured is what one probe found in a turn, or in several.
type measured struct {
	took   []time.Duration // from when it was due until it was done; in order after sort
	failed int             // which are among took, as having taken as long as anybody waits
	why    error           // of the last that failed
}

func (m *measured) add(o measured) {
	m.took, m.failed = append(m.took, o.took...), m.failed+o.failed
	if o.why != nil {
		m.why = o.why
	}
}

// at returns how long the given part of all took at most.
func (m *measured) at(part float64) time.Duration {
	slices.Sort(m.took)
	if len(m.took) == 0 {
		return patience
	}
	return m.took[min(int(float64(len(m.took))*part), len(m.took)-1)]
}

// watcher is the clients of all probes. They keep their connections from turn to turn.
type watcher struct {
	clients [][]doer // by probe
}

func newWatcher(t *targets) *watcher {
	w := &watcher{clients: make([][]doer, len(probes))}
	for i, p := range probes {
		for range p.clients {
			w.clients[i] = append(w.clients[i], p.begin(t))
		}
	}
	return w
}

func (w *watcher) end() {
	for _, list := range w.clients {
		for _, c := range list {
			c.end()
		}
	}
}

// watch measures for a while, and returns what each probe found.
func (w *watcher) watch(ctx context.Context, turn time.Duration) ([]measured, error) {
	var all sync.WaitGroup
	var mu sync.Mutex // guards found
	found := make([]measured, len(probes))
	begin := time.Now()
	for i, p := range probes {
		for j, c := range w.clients[i] {
			all.Go(func() {
				m := p.keepDoing(ctx, c, begin.Add(p.every*time.Duration(j)/time.Duration(p.clients)), begin.Add(turn))
				mu.Lock()
				defer mu.Unlock()
				found[i].add(m)
			})
		}
	}
	all.Wait()
	return found, context.Cause(ctx)
}

// keepDoing does it at its times until the end, whether the last one is late or not. What was due and could not even begin
// by then counts as having taken until then.
func (p *probe) keepDoing(ctx context.Context, c doer, due, end time.Time) (m measured) {
	for ; due.Before(end) && ctx.Err() == nil; due = due.Add(p.every) {
		if time.Now().After(end) {
			m.took = append(m.took, end.Sub(due))
			continue
		}
		time.Sleep(time.Until(due))
		once, cancel := context.WithTimeout(ctx, patience)
		err := c.do(once)
		cancel()
		if err != nil {
			m.failed, m.why = m.failed+1, errors.Join(err, shoal.CodeOf(err))
			m.took = append(m.took, max(patience, time.Since(due)))
			continue
		}
		m.took = append(m.took, time.Since(due))
	}
	return m
}
