package service

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"
)

// connections keeps the number of connections down. Whoever opens many and stays silent loses those that have been
// silent for longest as soon as others come, and locks nobody out. Who has asked something goes last.
type connections struct {
	limit int

	mu      sync.Mutex // guards what is below
	all     map[net.Conn]*quiet
	evicted int        // of all, those that have been closed and have not ended yet
	ended   *sync.Cond // there is one less
}

// quiet says for how long nothing complete has come over a connection.
type quiet struct {
	since   time.Time
	busy    bool // a request has come and is being answered
	asked   bool // one has come
	evicted bool
}

func newConnections(limit int) *connections {
	c := &connections{limit: limit, all: make(map[net.Conn]*quiet)}
	c.ended = sync.NewCond(&c.mu)
	return c
}

// note hears from net/http what becomes of a connection.
func (c *connections) note(nc net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		if len(c.all)-c.evicted >= c.limit {
			c.evict()
		}
		c.all[nc] = &quiet{since: time.Now()}
	case http.StateIdle:
		if q := c.all[nc]; q != nil {
			q.since, q.busy = time.Now(), false
		}
	case http.StateClosed:
		if q := c.all[nc]; q != nil && q.evicted {
			c.evicted--
		}
		delete(c.all, nc)
		c.ended.Broadcast()
	}
}

// evict closes the connection that has been quiet for longest, of those that have asked nothing if there are such. c.mu is
// held; closing does not wait.
func (c *connections) evict() {
	var oldest *quiet
	var its net.Conn
	for nc, q := range c.all {
		if !q.busy && !q.evicted && (oldest == nil || oldest.asked && !q.asked || oldest.asked == q.asked && q.since.Before(oldest.since)) {
			oldest, its = q, nc
		}
	}
	if oldest != nil {
		shut(its)
		oldest.evicted = true
		c.evicted++
	}
}

// closeQuiet closes every connection on which nothing is being answered.
func (c *connections) closeQuiet() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for nc, q := range c.all {
		if !q.busy {
			shut(nc)
		}
	}
}

// wait returns when there are no connections left.
func (c *connections) wait() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.all) > 0 {
		c.ended.Wait()
	}
}

// answering notes that a request on nc has come completely.
func (c *connections) answering(nc net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if q := c.all[nc]; q != nil {
		q.busy, q.asked = true, true
	}
}

// shut closes nc without TLS's farewell, for which there may be nobody.
func shut(nc net.Conn) {
	if secure, ok := nc.(*tls.Conn); ok {
		nc = secure.NetConn()
	}
	nc.Close()
}

type contextKey struct{}

// inContext lets handlers know the connection of a request.
func inContext(ctx context.Context, nc net.Conn) context.Context {
	return context.WithValue(ctx, contextKey{}, nc)
}

func connectionOf(r *http.Request) net.Conn {
	nc, _ := r.Context().Value(contextKey{}).(net.Conn)
	return nc
}
