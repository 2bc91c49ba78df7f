package meta

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"shoal"
	"shoal/server/meta/embedded"
	"shoal/xdr"
)

const (
	// formatVersion is the version of the keys, in the value of versionKey.
	formatVersion = 1
	// DefaultPrefix is what all keys begin with where Options do not say otherwise.
	DefaultPrefix = "shoal/"
	// dialLimit is how long reaching a cluster may take at the start.
	dialLimit = 10 * time.Second
)

// Options say where the state is. Dir or Endpoints is needed.
type Options struct {
	Dir       string   // folder of an embedded etcd, made if it is not there
	Endpoints []string // of a cluster that exists, instead
	CertFile  string   // of the certificate that the cluster knows this server by, PEM; with its KeyFile
	KeyFile   string
	CAFile    string // of the authority that certified the cluster, PEM
	Prefix    string // of all keys in a cluster, DefaultPrefix where empty

	Log zerolog.Logger
	Now func() time.Time // time.Now where nil
	// Free returns how many bytes this process can still write in the filesystem of a folder; what statfs says where nil.
	Free func(folder string) (uint64, error)
}

// Store is the state in etcd. Its methods may be called concurrently.
type Store struct {
	client   *clientv3.Client
	embedded *embedded.Server // nil for a cluster
	prefix   string
	base     uint64 // what is added to etcd's revisions, which begin anew when a backup is restored
	log      zerolog.Logger
	now      func() time.Time

	cache   cache
	turns   turns
	commits *groupCommit
	turn    chan struct{} // held by the one mutation that tries again and again
	space   *space        // nil for a cluster
	count   counts

	maxPlaces int   // of a user; constant
	maxNames  int64 // of a group; constant
	waste     int64 // for which the database is defragmented, in bytes; constant

	left chan struct{} // holds one when a user was deleted
	stop func()
	run  sync.WaitGroup
}

// Open starts an embedded etcd or reaches a cluster, and returns when it answers. The error has code Busy where another
// process uses the folder, Unsupported where another version wrote the state, and Unreachable where the cluster is.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{
		prefix: o.Prefix, log: o.Log, now: o.Now,
		cache: cache{entries: make(map[key]entry)},
		turns: turns{done: make(map[shoal.DeviceID]uint32), limit: countedDevices},
		turn:  make(chan struct{}, 1),
		left:  make(chan struct{}, 1),
		count: counts{groups: make(map[shoal.Group]*counted)},

		maxPlaces: MaxPlaces, maxNames: MaxNames, waste: worthDefragmenting,
	}
	if s.prefix == "" || len(o.Endpoints) == 0 {
		s.prefix = DefaultPrefix
	}
	if s.now == nil {
		s.now = time.Now
	}
	background, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.commits = newGroupCommit(s, background.Done())
	if err := s.open(ctx, background, o); err != nil {
		s.Close()
		return nil, err
	}
	for range flights {
		s.run.Go(func() { s.commits.run(background) })
	}
	return s, nil
}

func (s *Store) open(ctx, background context.Context, o Options) error {
	var err error
	if len(o.Endpoints) > 0 {
		if s.client, err = dial(background, o); err != nil {
			return err
		}
		if err := s.reach(ctx, o.Endpoints); err != nil {
			return err
		}
		if err := s.checkVersion(ctx); err != nil {
			return err
		}
		s.run.Go(func() { s.sweepUntil(background) })
		s.run.Go(func() { s.clearUntil(background) })
		return nil
	}
	if o.Dir == "" {
		return shoal.Errorf(shoal.BadRequest, "neither a folder for etcd nor the endpoints of a cluster are given")
	}
	// Space first: etcd itself ends the process where it finds none.
	if s.space, err = newSpace(o.Dir, o.Free, o.Log); err != nil {
		return err
	}
	if s.embedded, err = embedded.Start(ctx, o.Dir, o.Log); err != nil {
		return err
	}
	s.client = s.embedded.Client()
	if err := s.checkVersion(ctx); err != nil {
		return err
	}
	s.run.Go(func() { s.space.watch(background) })
	s.run.Go(func() { s.maintain(background) })
	s.run.Go(func() { s.sweepUntil(background) })
	s.run.Go(func() { s.clearUntil(background) })
	return nil
}

// dial reaches a cluster.
func dial(background context.Context, o Options) (*clientv3.Client, error) {
	c := clientv3.Config{
		Endpoints: o.Endpoints, DialTimeout: dialLimit, DialKeepAliveTime: 5 * time.Second, DialKeepAliveTimeout: 3 * time.Second,
		Context: background, Logger: zap.NewNop(),
	}
	if o.CertFile != "" || o.CAFile != "" {
		tls, err := transport.TLSInfo{CertFile: o.CertFile, KeyFile: o.KeyFile, TrustedCAFile: o.CAFile}.ClientConfig()
		if err != nil {
			return nil, fmt.Errorf("reading the TLS files for etcd: %w", err)
		}
		c.TLS = tls
	}
	client, err := clientv3.New(c)
	if err != nil {
		return nil, shoal.Errorf(shoal.Unreachable, "reaching etcd at %v: %w", o.Endpoints, err)
	}
	return client, nil
}

// reach waits until a cluster answers: it may be starting, too. It asks below etcd's client, whose own errors leave out why
// there is no connection.
func (s *Store) reach(ctx context.Context, endpoints []string) error {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	kv := etcdserverpb.NewKVClient(s.client.ActiveConnection())
	for {
		_, err := kv.Range(ctx, &etcdserverpb.RangeRequest{Key: []byte(s.full(versionKey))})
		if err == nil {
			return nil
		}
		if !sleep(ctx, relist) {
			return shoal.Errorf(shoal.Unreachable, "reaching etcd at %s: %s; is it running there, and are the certificates those that it wants (--etcd-ca, --etcd-cert, --etcd-key)?",
				strings.Join(endpoints, ", "), rpctypes.ErrorDesc(err))
		}
	}
}

// checkVersion marks a new state, and refuses one that another version made.
func (s *Store) checkVersion(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	mine := appendVersion(0)
	at := s.full(versionKey)
	r, err := s.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(at), "=", 0)).
		Then(clientv3.OpPut(at, string(mine))).Else(clientv3.OpGet(at)).Commit()
	if err != nil {
		return shoal.Errorf(shoal.Unreachable, "asking etcd which version made the state: %w", err)
	}
	if r.Succeeded {
		return nil
	}
	s.base, err = decodeVersion(r.Responses[0].GetResponseRange().Kvs[0].Value)
	return err
}

func appendVersion(base uint64) []byte {
	return xdr.AppendUint64(xdr.AppendUint32([]byte{recordVersion}, formatVersion), base)
}

func decodeVersion(value []byte) (base uint64, err error) {
	d, err := newDecoder(versionKey, value)
	if err != nil {
		return 0, err
	}
	if v := d.Uint32(); d.Err() == nil && v != formatVersion {
		return 0, shoal.Errorf(shoal.Unsupported, "the state in etcd was made by a version of shoal that writes format %d; "+
			"this one reads format %d only: use that version, or a backup", v, formatVersion)
	}
	base = d.Uint64()
	return base, d.finish(versionKey)
}

// fetch reads a key from etcd.
func (s *Store) fetch(ctx context.Context, k key, how ...clientv3.OpOption) (entry, error) {
	r, err := s.client.Get(ctx, s.full(k), how...)
	if err != nil {
		return entry{}, unreadable(err)
	}
	if len(r.Kvs) == 0 {
		return entry{}, nil
	}
	return entry{r.Kvs[0].Value, r.Kvs[0].ModRevision}, nil
}

// unreadable is the error of a read that etcd did not answer.
func unreadable(err error) error {
	return shoal.Errorf(shoal.Unreachable, "reading the state from etcd: %w", err)
}

// full returns a key as etcd has it, short the other way around.
func (s *Store) full(k key) string        { return s.prefix + string(k) }
func (s *Store) short(etcdKey []byte) key { return key(etcdKey[len(s.prefix):]) }

// revision returns one of etcd's as everybody else sees it.
func (s *Store) revision(of int64) uint64 { return s.base + uint64(of) }

// Close ends what runs, and the embedded etcd; again does nothing. Mutations under way fail.
func (s *Store) Close() {
	s.stop()
	s.run.Wait()
	switch {
	case s.embedded != nil:
		s.embedded.Close()
	case s.client != nil:
		s.client.Close()
	}
}
