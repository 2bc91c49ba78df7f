// Package embedded runs an etcd server inside this process, for it alone: one member, no socket of any kind, its data
// in one folder.
//
// Nobody but the process's own client can reach it: a listen URL of any scheme (unix:// ones too, which open an abstract
// socket) would let others in, so there is none.
package embedded

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"sync"
	"time"

	"github.com/rs/zerolog"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/etcd/server/v3/storage/wal"

	"shoal/folder"
)

const (
	// MaxOperations is how many operations a transaction may have.
	MaxOperations = 1 << 14
	// segment is the size of a file of etcd's log, in bytes: the log has two at least, preallocated.
	segment = 16 << 20
	// startLimit is how long starting may take: a log of the largest size is read in less.
	startLimit = 5 * time.Minute
	// snapshotEvery is after how many entries of its log etcd has all of them in the database, so that they are not read
	// again at the next start; of a server that is being filled, whose entries are large, after how few.
	snapshotEvery, snapshotFilling = 10_000, 8
	// keptEntries is how many entries stay in memory after that: nobody is there who could need them.
	keptEntries = 16
	// defragmentAtStart is how much disk space must be won for the database to be rewritten at the start, in MiB.
	defragmentAtStart = 64
)

func init() { wal.SegmentSizeBytes = segment }

// Server is a running etcd. Its methods may be called concurrently.
type Server struct {
	etcd   *embed.Etcd
	client *clientv3.Client
	lock   io.Closer // held while it is open
	close  sync.Once
}

// Start opens the folder dir, making it if it is not there, and returns when the server answers. etcd's own log goes to
// log, the parts that matter. The error has code Busy where another process uses the folder, and Unsupported where
// another version made it.
func Start(ctx context.Context, dir string, log zerolog.Logger) (*Server, error) {
	return open(ctx, dir, snapshotEvery, log)
}

// StartToFill does as Start does, for one who writes a lot in large transactions and then closes the server.
func StartToFill(ctx context.Context, dir string, log zerolog.Logger) (*Server, error) {
	return open(ctx, dir, snapshotFilling, log)
}

func open(ctx context.Context, dir string, snapshots uint64, log zerolog.Logger) (*Server, error) {
	lock, err := claim(dir)
	if err != nil {
		return nil, err
	}
	s := &Server{lock: lock}
	if err := s.start(ctx, dir, snapshots, log); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, dir string, snapshots uint64, log zerolog.Logger) (err error) {
	c := configure(dir)
	c.SnapshotCount, c.SnapshotCatchUpEntries = snapshots, keptEntries
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(bridge(log))
	if s.etcd, err = embed.StartEtcd(c); err != nil {
		return fmt.Errorf("starting etcd in %s: %w", dir, err)
	}
	timer := time.NewTimer(startLimit)
	defer timer.Stop()
	select {
	case <-s.etcd.Server.ReadyNotify():
	case <-s.etcd.Server.StopNotify():
		return fmt.Errorf("starting etcd in %s: it stopped by itself", dir)
	case <-ctx.Done():
		return fmt.Errorf("starting etcd in %s: %w", dir, context.Cause(ctx))
	case <-timer.C:
		return fmt.Errorf("starting etcd in %s: it is not ready after %v", dir, startLimit)
	}
	s.client = v3client.New(s.etcd.Server)
	return nil
}

func configure(dir string) *embed.Config {
	c := embed.NewConfig()
	c.Name = "shoal"
	c.Dir = filepath.Join(dir, "data")
	// The one member names itself by an address at which nobody listens.
	self := url.URL{Scheme: "http", Host: "localhost:2380"}
	c.ListenPeerUrls, c.ListenClientUrls, c.ListenClientHttpUrls, c.ListenMetricsUrls = nil, nil, nil, nil
	c.AdvertisePeerUrls = []url.URL{self}
	c.AdvertiseClientUrls = nil
	c.InitialCluster = c.Name + "=" + self.String()
	c.EnableGRPCGateway = false
	// There are no others to wait for: an election is over at once.
	c.TickMs, c.ElectionMs = 20, 100
	c.MaxTxnOps = MaxOperations
	c.MaxRequestBytes = 8 << 20
	// What limits the database is the disk, which the owner of this server watches.
	c.QuotaBackendBytes = -1
	c.BootstrapDefragThresholdMegabytes = defragmentAtStart
	c.WarningApplyDuration, c.WarningUnaryRequestDuration = time.Second, 5*time.Second
	return c
}

// Client returns the way to the server: calls within the process. It is valid until Close.
func (s *Server) Client() *clientv3.Client { return s.client }

// Size returns how large the database is, and how much of that is in use, in bytes.
func (s *Server) Size() (size, used int64) {
	b := s.etcd.Server.Backend()
	return b.Size(), b.SizeInUse()
}

// Defragment rewrites the database without the space that is not in use. Nothing else is answered meanwhile.
func (s *Server) Defragment() error {
	if err := s.etcd.Server.Backend().Defrag(); err != nil {
		return fmt.Errorf("defragmenting the database: %w", err)
	}
	// etcd renames the new database to the old one's name, and leaves it at that.
	if err := folder.Sync(filepath.Dir(s.etcd.Server.Cfg.BackendPath())); err != nil {
		return fmt.Errorf("defragmenting the database: %w", err)
	}
	return nil
}

// Close stops the server; again does nothing. What was acknowledged is on disk before and after.
func (s *Server) Close() {
	s.close.Do(func() {
		if s.client != nil {
			s.client.Close()
		}
		if s.etcd != nil {
			s.etcd.Close()
		}
		s.lock.Close()
	})
}
