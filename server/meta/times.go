package meta

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"shoal"
)

// Told is what a server of the realm said its time was.
type Told struct {
	Time     time.Time
	Revision int64 // another one each time it says so
}

// Times is how the servers on one etcd tell each other what their clocks show. What they say is beside the state: it is
// in no feed and no backup, and gone some time after its server. One goroutine at a time may use it.
type Times struct {
	s      *Store
	server [32]byte
	lasts  time.Duration
	lease  clientv3.LeaseID // 0 before the first
}

// NewTimes returns the Times of a server, known by its key; what it says is gone when it says nothing for lasts, whole
// seconds.
func (s *Store) NewTimes(server [32]byte, lasts time.Duration) *Times {
	return &Times{s: s, server: server, lasts: lasts}
}

// Exchange says what this server's clock shows, in milliseconds, and returns what others said. The error has code
// Unreachable where etcd cannot be asked.
func (t *Times) Exchange(ctx context.Context, now time.Time) (map[[32]byte]Told, error) {
	limited, cancel := context.WithTimeout(ctx, roundLimit)
	defer cancel()
	others, err := t.exchange(limited, now)
	if err != nil {
		return nil, shoal.Errorf(shoal.Unreachable, "exchanging times with the realm's other servers: %w", err)
	}
	return others, nil
}

func (t *Times) exchange(ctx context.Context, now time.Time) (map[[32]byte]Told, error) {
	if err := t.stay(ctx); err != nil {
		return nil, err
	}
	prefix := timesPrefix(t.s.prefix)
	mine := string(binary.BigEndian.AppendUint64(nil, uint64(now.UnixMilli())))
	r, err := t.s.client.Txn(ctx).Then(
		clientv3.OpPut(prefix+string(t.server[:]), mine, clientv3.WithLease(t.lease)),
		clientv3.OpGet(prefix, clientv3.WithPrefix()),
	).Commit()
	if err != nil {
		return nil, err
	}
	others := make(map[[32]byte]Told)
	for _, kv := range r.Responses[1].GetResponseRange().Kvs {
		server := kv.Key[len(prefix):]
		if len(server) != len(t.server) || len(kv.Value) != 8 || [32]byte(server) == t.server {
			continue // nothing that this version knows, or our own
		}
		others[[32]byte(server)] = Told{time.UnixMilli(int64(binary.BigEndian.Uint64(kv.Value))), kv.ModRevision}
	}
	return others, nil
}

// stay sees to it that what this server says does not vanish just now.
func (t *Times) stay(ctx context.Context) error {
	if t.lease != 0 {
		_, err := t.s.client.KeepAliveOnce(ctx, t.lease)
		if !errors.Is(err, rpctypes.ErrLeaseNotFound) {
			return err
		}
	}
	granted, err := t.s.client.Grant(ctx, int64(t.lasts/time.Second))
	if err == nil {
		t.lease = granted.ID
	}
	return err
}

// timesPrefix is what the keys of times begin with. Those of the state do not: they are watched.
func timesPrefix(state string) string { return "times." + state }
