package meta

import (
	"context"
	"fmt"
	"iter"

	"github.com/rs/zerolog"
	clientv3 "go.etcd.io/etcd/client/v3"

	"shoal/server/meta/embedded"
)

const (
	// fillKeys and fillBytes are how much is written to etcd at once where nobody else waits for it.
	fillKeys, fillBytes = 2048, 1 << 20
)

// Import adds records to the folder of an embedded etcd that no server uses, making it if it is not there, as they are:
// whether they fit together is the caller's business. After an error some of them may be there. It is how a large state is
// made without the time that so many mutations would take.
func Import(ctx context.Context, folder string, records iter.Seq[Record], log zerolog.Logger) error {
	server, err := embedded.StartToFill(ctx, folder, log)
	if err != nil {
		return err
	}
	defer server.Close()
	in := filler{ctx: ctx, client: server.Client()}
	for r := range records {
		if err := in.put(r.key(), encode(r)); err != nil {
			return fmt.Errorf("importing into %s: %w", folder, err)
		}
	}
	if err := in.flush(); err != nil {
		return fmt.Errorf("importing into %s: %w", folder, err)
	}
	return nil
}

// filler writes to an etcd that nobody else uses, many keys at once.
type filler struct {
	ctx    context.Context
	client *clientv3.Client
	batch  []clientv3.Op
	size   int // bytes of batch, about
}

func (f *filler) put(k key, value []byte) error {
	f.batch = append(f.batch, clientv3.OpPut(DefaultPrefix+string(k), string(value)))
	if f.size += len(k) + len(value); len(f.batch) < fillKeys && f.size < fillBytes {
		return nil
	}
	return f.flush()
}

// flush writes what is left.
func (f *filler) flush() error {
	if len(f.batch) == 0 {
		return nil
	}
	_, err := f.client.Txn(f.ctx).Then(f.batch...).Commit()
	f.batch, f.size = f.batch[:0], 0
	return err
}
