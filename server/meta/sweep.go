package meta

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"shoal"
	"shoal/xdr"
)

const (
	// sweepEvery is how often there is a look at what is too old.
	sweepEvery = time.Hour
	// outcomeLasts is how long outcomes are kept, however few a device has.
	outcomeLasts = 24 * time.Hour
)

// sweepUntil removes what is too old now and then, until ctx ends. All servers of a cluster may do so at once.
func (s *Store) sweepUntil(ctx context.Context) {
	for sleep(ctx, sweepEvery) {
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn().Err(err).Msg("removing what is too old from the state")
		}
	}
}

// sweep removes invites and revocations that have expired, and outcomes that nobody asks for any more: a device that is gone for good must
// not leave them forever.
func (s *Store) sweep(ctx context.Context) error {
	if s.space.check() != nil {
		return nil
	}
	now := s.now()
	for _, kind := range []key{"i/", revocationKeys} {
		err := s.scanAll(ctx, kind, func(k key, e entry) error {
			r, err := decodeRecord(k, e.value)
			if err != nil || now.Before(expires(r)) {
				return err
			}
			return s.removeIf(ctx, k, e.revision, clientv3.OpDelete(s.full(k)))
		})
		if err != nil {
			return err
		}
	}
	// Outcomes come by device and sequence number. What goes is all up to the last that is too old.
	var device, last key
	err := s.scanAll(ctx, "a/", func(k key, e entry) error {
		of := k[:len("a/")+len(shoal.DeviceID{})+len("/")]
		if of != device {
			if err := s.dropOutcomes(ctx, last); err != nil {
				return err
			}
			device, last = of, ""
		}
		_, _, when, err := decodeOutcome(k, e.value)
		if err == nil && now.Sub(when) > outcomeLasts {
			last = k
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.dropOutcomes(ctx, last)
}

// expires is when a record of a kind that does so does.
func expires(r Record) time.Time {
	if revocation, is := r.(*Revocation); is {
		return revocation.Expires
	}
	return r.(*Invite).Expires
}

// dropOutcomes removes a device's outcomes up to the one with a key, which may be empty, and sees that their sequence
// numbers are refused from now on.
func (s *Store) dropOutcomes(ctx context.Context, last key) error {
	if last == "" {
		return nil
	}
	from := last[:len(last)-8]
	floor := floorKey(shoal.DeviceID([]byte(strings.TrimSuffix(string(from[len("a/"):]), "/"))))
	sequence := binary.BigEndian.Uint64([]byte(last[len(from):]))
	e, err := s.fetch(ctx, floor)
	if err != nil {
		return err
	}
	if sequence++; sequence == 0 {
		return nil
	}
	return s.removeIf(ctx, floor, e.revision,
		clientv3.OpPut(s.full(floor), string(xdr.AppendUint64([]byte{recordVersion}, sequence))),
		clientv3.OpDelete(s.full(from), clientv3.WithRange(s.full(last)+"\x00")))
}

// removeIf does what is asked if a key still has the revision. If not, it does nothing: there is a next time.
func (s *Store) removeIf(ctx context.Context, k key, revision int64, ops ...clientv3.Op) error {
	_, err := s.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(s.full(k)), "=", revision)).Then(ops...).Commit()
	if err != nil {
		return fmt.Errorf("removing %v: %w", k, err)
	}
	return nil
}

// scanAll calls use for all keys that begin with prefix, page by page.
func (s *Store) scanAll(ctx context.Context, prefix key, use func(key, entry) error) error {
	const few = 1024 // pages are small, so that mutations do not wait for them
	for at, end := s.full(prefix), s.full(prefix.end()); ; {
		r, err := s.client.Get(ctx, at, clientv3.WithRange(end), clientv3.WithLimit(few), clientv3.WithSerializable())
		if err != nil {
			return fmt.Errorf("reading the state: %w", err)
		}
		for _, kv := range r.Kvs {
			if err := use(s.short(kv.Key), entry{kv.Value, kv.ModRevision}); err != nil {
				return err
			}
			at = string(kv.Key) + "\x00"
		}
		if !r.More {
			return nil
		}
	}
}
