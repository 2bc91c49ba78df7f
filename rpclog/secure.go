package rpclog

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"time"

	"shoal"
	"shoal/rpclog/oncrpc"
)

// The labels of the keys that each side derives from the shared one, by HKDF with SHA-256 (RFC 5869) and no salt.
const (
	serviceLabel = "shoal-log/1 tls service"
	senderLabel  = "shoal-log/1 tls sender"
)

// ServerTLS returns the service's side of RPC-with-TLS (RFC 9289): TLS 1.3 with an Ed25519 key that whoever has k knows.
// Clients are asked for a certificate and need none: what a sender is, its MACs tell.
func (k *Key) ServerTLS() *tls.Config {
	c := k.tls(serviceLabel)
	c.ClientAuth = tls.RequestClientCert
	c.SessionTicketsDisabled = true
	return c
}

// ClientTLS returns the sender's side. It accepts the service that has k, and no other; the error otherwise has code
// Untrusted. A nil Key accepts nobody.
func (k *Key) ClientTLS() *tls.Config {
	if k == nil {
		c := baseTLS()
		c.VerifyConnection = func(tls.ConnectionState) error {
			return shoal.Errorf(shoal.Untrusted, "there is no log key to know the log service by; give its log.key with --rpclog-key")
		}
		return c
	}
	want := k.derive(serviceLabel).Public().(ed25519.PublicKey)
	c := k.tls(senderLabel)
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		if len(cs.PeerCertificates) > 0 && want.Equal(cs.PeerCertificates[0].PublicKey) {
			return nil
		}
		return shoal.Errorf(shoal.Untrusted, "the log service has another log key than this sender; copy log.key from the service's state folder")
	}
	return c
}

// baseTLS is what both sides share. Certificates carry keys and nothing else, so that their names and times, which x509
// would check, mean nothing: VerifyConnection compares the key.
func baseTLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{oncrpc.ALPN}, InsecureSkipVerify: true}
}

func (k *Key) tls(label string) *tls.Config {
	key := k.derive(label)
	long := time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	certificate := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: label}, NotBefore: time.Unix(0, 0), NotAfter: long,
	}
	der, err := x509.CreateCertificate(rand.Reader, certificate, certificate, key.Public(), key)
	if err != nil {
		panic(err) // all of it is known to be right
	}
	c := baseTLS()
	c.Certificates = []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
	return c
}

func (k *Key) derive(label string) ed25519.PrivateKey {
	seed, err := hkdf.Key(sha256.New, k[:], nil, label, ed25519.SeedSize)
	if err != nil {
		panic(err) // only for lengths that HKDF does not have
	}
	return ed25519.NewKeyFromSeed(seed)
}
