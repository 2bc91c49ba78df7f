package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// debianEtcd is the etcd of Debian's package, as somebody has it who does not use the embedded one. It knows its clients
// by certificates.
type debianEtcd struct {
	w       *world
	program string
	process *process

	mu     sync.Mutex // guards listen
	listen string     // where it listens, which changes with every start
}

// startEtcd starts one with new certificates. The test is skipped where there is none.
func startEtcd(w *world) *debianEtcd {
	w.Helper()
	e := &debianEtcd{w: w, program: findEtcd(w.T)}
	certify(w)
	e.start()
	return e
}

// findEtcd finds the program where setup.sh unpacks it, or where the package installs it.
func findEtcd(t *testing.T) string {
	t.Helper()
	unpacked, err := filepath.Abs("../../build/tools/usr/bin/etcd")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(unpacked); err == nil {
		return unpacked
	}
	installed, err := exec.LookPath("etcd")
	if err != nil {
		t.Skip("there is no etcd: bash scripts/setup.sh test provides it")
	}
	return installed
}

// start starts it, or starts it again, and returns when it answers.
func (e *debianEtcd) start() {
	e.w.Helper()
	const anyPort, noPeers = "https://127.0.0.1:0", "http://127.0.0.1:0"
	e.process = prepare(e.w.T, e.program, e.w.dir, []string{"PATH=" + os.Getenv("PATH")},
		"--data-dir", e.w.path("etcd"), "--logger", "zap", "--enable-grpc-gateway=false",
		"--listen-client-urls", anyPort, "--advertise-client-urls", anyPort,
		"--listen-peer-urls", noPeers, "--initial-advertise-peer-urls", noPeers, "--initial-cluster", "default="+noPeers,
		"--client-cert-auth", "--trusted-ca-file", e.w.path("ca.pem"), "--cert-file", e.w.path("etcd.pem"), "--key-file", e.w.path("etcd.key"),
	)
	e.process.watch(fork(e.process.cmd.Start))
	e.process.awaitError("serving client traffic securely")
	at := regexp.MustCompile(`serving client traffic securely","address":"([^"]+)"`).FindStringSubmatch(e.process.errors())
	if at == nil {
		e.w.Fatal("etcd does not say where it listens")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.listen = at[1]
}

// address is where it listens now.
func (e *debianEtcd) address() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.listen
}

// client is a way to it for the test itself.
func (e *debianEtcd) client() *clientv3.Client {
	e.w.Helper()
	pair, err := tls.LoadX509KeyPair(e.w.path("client.pem"), e.w.path("client.key"))
	if err != nil {
		e.w.Fatal(err)
	}
	ca, err := os.ReadFile(e.w.path("ca.pem"))
	if err != nil {
		e.w.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	c, err := clientv3.New(clientv3.Config{
		Endpoints: []string{"https://" + e.address()}, Logger: zap.NewNop(),
		TLS: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
	})
	if err != nil {
		e.w.Fatal(err)
	}
	e.w.Cleanup(func() { c.Close() })
	return c
}

// certify makes an authority, and certificates of etcd's and of its clients, as PEM files in the world's folder; and an
// authority that has certified nobody.
func certify(w *world) {
	w.Helper()
	authority, key := certificate(w, "ca", nil, nil)
	certificate(w, "etcd", authority, key)
	certificate(w, "client", authority, key)
	certificate(w, "stranger", nil, nil)
}

// certificate makes NAME.pem and NAME.key, signed by an authority, or, without one, as an authority itself.
func certificate(w *world, name string, by *x509.Certificate, byKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	w.Helper()
	must := func(err error) {
		if err != nil {
			w.Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), elsewhere.AsSlice()},
	}
	if by == nil {
		by, byKey = c, key
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage, c.IPAddresses = true, true, x509.KeyUsageCertSign, nil, nil
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by, key.Public(), byKey)
	must(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	must(os.WriteFile(w.path(name+".pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(os.WriteFile(w.path(name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	return c, key
}

// relay passes connections on to an address, which may change, until it is cut.
type relay struct {
	listener net.Listener
	to       func() string
	run      sync.WaitGroup

	mu   sync.Mutex // guards the rest
	cut  bool
	ends map[net.Conn]struct{}
}

// newRelay makes one that ends with the test.
func newRelay(t *testing.T, to func() string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{listener: l, to: to, ends: map[net.Conn]struct{}{}}
	r.run.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			r.run.Go(func() { r.carry(near) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		r.setCut(true)
		r.run.Wait()
	})
	return r
}

func (r *relay) address() string { return r.listener.Addr().String() }

// setCut ends all connections and those that come, or lets them through again.
func (r *relay) setCut(cut bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cut = cut; cut {
		for end := range r.ends {
			end.Close()
		}
	}
}

// keep notes a connection that a cut ends. It reports false, and ends it itself, after one.
func (r *relay) keep(end net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cut {
		end.Close()
		return false
	}
	r.ends[end] = struct{}{}
	return true
}

func (r *relay) drop(end net.Conn) {
	end.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.ends, end)
}

func (r *relay) carry(near net.Conn) {
	if !r.keep(near) {
		return
	}
	defer r.drop(near)
	far, err := net.Dial("tcp", r.to())
	if err != nil || !r.keep(far) {
		return
	}
	defer r.drop(far)
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(near, far)
		near.Close()
	})
	_, _ = io.Copy(far, near)
	far.Close()
	back.Wait()
}
