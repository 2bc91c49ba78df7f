package service

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"shoal"
	"shoal/soap"
)

// certificate makes one for 127.0.0.1 and returns its files, and the authorities that vouch for it.
func certificate(t *testing.T) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	must(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	folder := t.TempDir()
	cert, key = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	must(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600))
	parsed, err := x509.ParseCertificate(der)
	must(t, err)
	roots = x509.NewCertPool()
	roots.AddCert(parsed)
	return cert, key, roots
}

func TestHTTPSOnEveryAddress(t *testing.T) {
	cert, key, roots := certificate(t)
	r := run(t, Config{Listen: ":0", Certificate: cert, Key: key})
	_, port, err := net.SplitHostPort(r.Addr().String())
	must(t, err)
	address := net.JoinHostPort("127.0.0.1", port)

	c, err := soap.NewClient("https://"+address, roots)
	must(t, err)
	defer c.Close()
	if _, err := c.Stamp(t.Context(), 1); err != nil {
		t.Error(err)
	}
	plain, err := soap.NewClient("http://"+address, nil)
	must(t, err)
	defer plain.Close()
	_, err = plain.Stamp(t.Context(), 1)
	wantCode(t, err, shoal.Untrusted)

	// One that never shakes hands does not hold up the end; nor does one that did and is silent.
	silent, err := net.Dial("tcp", address)
	must(t, err)
	defer silent.Close()
	shaken, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots})
	must(t, err)
	defer shaken.Close()
	if negotiated := shaken.ConnectionState().NegotiatedProtocol; negotiated != "" {
		t.Errorf("it speaks %q to one that asked for nothing", negotiated)
	}
	began := time.Now()
	r.stop()
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %v to end", took)
	}
}
