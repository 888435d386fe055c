package compat

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// authority signs certificates.
type authority struct {
	pool        *x509.CertPool
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	template := certificateOf("authority")
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	a := &authority{certificate: template, pool: x509.NewCertPool()}
	signed, err := x509.ParseCertificate(a.sign(t, template).Certificate[0])
	require.NoError(t, err)
	a.certificate = signed
	a.pool.AddCert(signed)
	return a
}

func certificateOf(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

// sign makes a key for the certificate and signs it; the authority's own is signed with itself.
func (a *authority) sign(t testing.TB, template *x509.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	if a.key == nil {
		a.key = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// server is the configuration of the server, whatever its address here.
func (a *authority) server(t testing.TB, protocols ...string) *tls.Config {
	t.Helper()
	template := certificateOf("server")
	template.DNSNames = []string{"server.test"}
	template.IPAddresses = []net.IP{net.ParseIP("10.0.0.1"), net.ParseIP("fd00::1"), net.ParseIP("127.0.0.1")}
	return &tls.Config{Certificates: []tls.Certificate{a.sign(t, template)}, ClientCAs: a.pool, NextProtos: protocols}
}

// client is the configuration of a client that trusts the authority and knows the server by its name.
func (a *authority) client(protocols ...string) *tls.Config {
	return &tls.Config{RootCAs: a.pool, ServerName: "server.test", NextProtos: protocols}
}
