package check

import (
	"fmt"
	"slices"
	"time"

	"shoal/wire"
)

// duty is something that a side must do by a time.
type duty struct {
	rule string
	by   time.Time
	from Side
	text string
	met  func(*Frame) bool // nil for what no frame meets
}

// owe notes a duty.
func (c *Conn) owe(d duty) {
	if len(c.duties) < maxDuties {
		c.duties = append(c.duties, d)
	}
}

const (
	maxDuties   = 1 << 12     // of one connection
	settleEvery = time.Second // of the capture's time
)

// meet ends the duties that a frame meets.
func (c *Conn) meet(f *Frame) {
	if len(c.duties) > 0 {
		c.duties = slices.DeleteFunc(c.duties, func(d duty) bool { return d.from == f.From && d.met != nil && d.met(f) })
	}
}

// settle tells of what should have happened until now and did not.
func (c *Conn) settle(now time.Time) {
	if c.blind || c.broken != nil || !c.alive() || now.Sub(c.settled) < settleEvery {
		return
	}
	c.settled = now
	if h := &c.handshake; h.done == nil && h.refused == nil && now.Sub(c.Opened) > handshakeTime+slack {
		c.broken, c.wentOn = &Frame{}, true
		c.missed("H2", Responder, now, "the connection is not closed, and not authenticated after %v", handshakeTime)
		return
	}
	c.duties = slices.DeleteFunc(c.duties, func(d duty) bool {
		late := now.After(d.by.Add(slack))
		if late {
			c.missed(d.rule, d.from, now, "%s", d.text)
		}
		return late
	})
	for _, asked := range c.open {
		if rule := asked.overdue(now); rule != "" && !asked.ask.told {
			asked.ask.told = true
			c.missed(rule, Responder, now, "%v was not answered for %v", asked.Header, now.Sub(asked.At))
		}
	}
}

// overdue is the rule by which a request should have been answered; "" if there is time.
func (f *Frame) overdue(now time.Time) string {
	switch waits := now.Sub(f.At); {
	case !f.ask.canceled.IsZero() && now.Sub(f.ask.canceled) > answerTime:
		return "P9"
	case !f.ask.peer.choked.IsZero() && now.Sub(f.ask.peer.choked) > answerTime:
		return "P19"
	case waits > blockTime, waits > answerTime && f.Kind != wire.KindRequest:
		return "F4"
	}
	return ""
}

// missed tells of what a side did not do.
func (c *Conn) missed(rule string, from Side, at time.Time, format string, args ...any) {
	c.report(Violation{Rule: rule, At: at, From: from, Frame: -1, Text: fmt.Sprintf(format, args...)})
}
