package meta

import (
	"context"
	"strings"
	"time"

	"shoal"
	"shoal/xdr"
)

// What a user published, or shares, stays when the user is deleted, because it can be far more than one transaction takes.
// So that transaction notes in which groups there may be something, and it goes afterwards, name by name: as if the user
// had stopped sharing it. The note goes last, so that a server which starts again goes on.

// departedLimit bounds the groups in a note: those that a user can be in, and shoal.Public.
const departedLimit = MaxPlaces + 1

func encodeDeparted(groups []shoal.Group) []byte {
	b := xdr.AppendUint32([]byte{recordVersion}, uint32(len(groups)))
	for _, g := range groups {
		b = xdr.AppendString(b, g)
	}
	return b
}

func decodeDeparted(k key, value []byte) (groups []shoal.Group, err error) {
	d, err := newDecoder(k, value)
	if err != nil {
		return nil, err
	}
	for range d.Count(departedLimit, 4) {
		groups = append(groups, shoal.Group(d.String(shoal.MaxGroup)))
	}
	return groups, d.finish(k)
}

// clearSoon makes clearUntil look for what deleted users left.
func (s *Store) clearSoon() {
	select {
	case s.left <- struct{}{}:
	default:
	}
}

// clearUntil takes away what deleted users left, now, whenever one is deleted, and now and then, until ctx ends. All servers
// of a cluster may do so at once.
func (s *Store) clearUntil(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		if err := s.clearDeparted(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn().Err(err).Msg("removing what deleted users had published")
		}
		select {
		case <-s.left:
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Store) clearDeparted(ctx context.Context) error {
	if s.space.check() != nil {
		return nil
	}
	prefix := departedKey("")
	return s.scanAll(ctx, prefix, func(k key, e entry) error {
		groups, err := decodeDeparted(k, e.value)
		if err != nil {
			return err
		}
		for _, g := range groups {
			if err := s.clearGroup(ctx, Username(k[len(prefix):]), g); err != nil {
				return err
			}
		}
		return s.change(ctx, func(t *transaction) { t.delete(k) })
	})
}

// clearGroup takes away what a deleted user left in a group.
func (s *Store) clearGroup(ctx context.Context, u Username, g shoal.Group) error {
	end := func(n shoal.Name) error {
		return s.change(ctx, func(t *transaction) {
			if o := (&Object{Group: g, Name: n}); t.load(o) {
				t.endShare(o, u)
			}
		})
	}
	objects := objectKey(g, "")
	err := s.scanAll(ctx, objects, func(k key, e entry) error {
		r, err := decodeRecord(k, e.value)
		if o, is := r.(*Object); err != nil || !is || o.Publisher != u || !o.Shared {
			return err
		}
		return end(shoal.Name(k[len(objects):]))
	})
	if err != nil {
		return err
	}
	shares := key("s/" + g + "/")
	return s.scanAll(ctx, shares, func(k key, _ entry) error {
		name, by, _ := strings.Cut(string(k[len(shares):]), "/")
		if Username(by) != u {
			return nil
		}
		return end(shoal.Name(name))
	})
}

// change does what decide writes, in one transaction, which is tried again while others change what it reads. It is for
// what nobody asked for, so that it has no outcome.
func (s *Store) change(ctx context.Context, decide func(*transaction)) error {
	a := &application{s: s, ctx: ctx, known: make(map[key]entry)}
	for {
		t := s.begin(ctx, ID{}, a.known)
		decide(t)
		if t.failed != nil {
			return t.failed
		}
		if len(t.ops) == 0 {
			return nil
		}
		if _, done, err := a.commit(t); done || err != nil {
			return err
		}
	}
}
