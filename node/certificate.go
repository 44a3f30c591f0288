package node

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
)

// newRequest makes a TLS key and a request to certify it. The name in the
// certificate is the coordinator's to set.
func newRequest() (*ecdsa.PrivateKey, []byte, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, private)
	return private, request, err
}

// keepTLS stores a key with its certificate and that of the authority it is by,
// in one file so that they are never apart. One that would not serve does not
// replace the present one. Whether the authority counts is the coordinator's to
// say: a certificate opens its door, and no other.
func (f *Folder) keepTLS(private *ecdsa.PrivateKey, certificate, authority []byte) error {
	leaf, err := x509.ParseCertificate(certificate)
	if err != nil {
		return fmt.Errorf("the certificate that the coordinator gave: %w", err)
	}
	by, err := x509.ParseCertificate(authority)
	if err != nil {
		return fmt.Errorf("the authority that the coordinator gave: %w", err)
	}
	if !private.PublicKey.Equal(leaf.PublicKey) {
		return errors.New("the certificate that the coordinator gave is for another key")
	}
	roots := x509.NewCertPool()
	roots.AddCert(by)
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return fmt.Errorf("the certificate that the coordinator gave, by this computer's clock: %w", err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	for _, block := range []*pem.Block{
		{Type: "CERTIFICATE", Bytes: certificate}, {Type: "CERTIFICATE", Bytes: authority}, {Type: "PRIVATE KEY", Bytes: raw},
	} {
		if err := pem.Encode(&text, block); err != nil {
			return err
		}
	}
	return f.seal(fileTLS, text.Bytes())
}

func (f *Folder) openTLS() (tls.Certificate, error) {
	text, err := f.unseal(fileTLS)
	if errors.Is(err, fs.ErrNotExist) {
		return tls.Certificate{}, ErrNotEnrolled
	}
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("open the node's certificate: %w", err)
	}
	certificate, err := tls.X509KeyPair(text, text)
	if err != nil {
		return tls.Certificate{}, errors.New("open the node's certificate: it does not decode; enrol again")
	}
	return certificate, nil
}
