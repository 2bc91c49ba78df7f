package client

import (
	"context"
	"errors"

	"shoal"
	"shoal/client/peer"
)

// Rates are limits in bytes of pieces a second; 0 is none.
type Rates struct {
	Up   int64 `json:"up"`
	Down int64 `json:"down"`
}

// RateChange is what to make of Rates: what is nil stays.
type RateChange struct {
	Up   *int64 `json:"up,omitempty"`
	Down *int64 `json:"down,omitempty"`
}

// apply makes the change, and returns what holds then. It counts at once, for transfers that run too.
func (r RateChange) apply(l *peer.Limits) Rates {
	if r.Up != nil {
		l.Up.Set(*r.Up)
	}
	if r.Down != nil {
		l.Down.Set(*r.Down)
	}
	return Rates{Up: l.Up.Rate(), Down: l.Down.Rate()}
}

// limit changes the limits of the process, or, with a name, of what that stands for.
func (d *Daemon) limit(ctx context.Context, group shoal.Group, target string, change RateChange) (Rates, error) {
	if target == "" {
		return change.apply(&d.limits), nil
	}
	d.mu.Lock()
	o, here := d.names[label{group, shoal.Name(target)}]
	d.mu.Unlock()
	if !here { // it may be a download, or a FileID
		found, err := d.find(ctx, Get{Group: group, Target: target})
		if err != nil {
			return Rates{}, err
		}
		o = found.Object
	}
	return change.apply(d.shelf.Limits(shoal.Swarm{Group: group, Object: o})), nil
}

func (d *Daemon) controlLimit(ctx context.Context, r controlRequest, say func(controlLine)) error {
	if r.Name != "" {
		if _, err := shoal.ParseGroup(string(r.Group)); err != nil {
			return err
		}
	}
	for _, n := range []*int64{r.Rates.Up, r.Rates.Down} {
		if n != nil && *n < 0 {
			return shoal.Errorf(shoal.BadRequest, "a limit of %d bytes a second", *n)
		}
	}
	rates, err := d.limit(ctx, r.Group, string(r.Name), r.Rates)
	if err == nil {
		say(controlLine{Rates: &rates})
	}
	return err
}

// Limit changes the limits of the daemon, or, where target is not empty, those of one file alone, by its name or FileID. It
// returns what holds then; they last as long as the daemon runs.
func (c *Control) Limit(ctx context.Context, group shoal.Group, target string, change RateChange) (Rates, error) {
	last, err := c.ask(ctx, "limit", controlRequest{Group: group, Name: shoal.Name(target), Rates: change}, nil)
	if err == nil && last.Rates == nil {
		err = errors.New("the daemon does not say which limits hold")
	}
	if err != nil {
		return Rates{}, err
	}
	return *last.Rates, nil
}
