package coordinator

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"coulisse/coordinator/authority"
	"coulisse/coordinator/consensus"
	"coulisse/crypto/durable"
	"coulisse/crypto/key"
	"coulisse/crypto/seal"
	"coulisse/protocol"
)

// Names in a replica's folder. Private keys are sealed with age to the
// folder's identity, which an operator may keep on another disk.
const (
	fileIdentity     = "identity.agekey"
	fileSettings     = "replica.json"
	fileReplicaKey   = "replica-key.age"
	fileTLSKey       = "tls-key.age"
	fileTLS          = "tls.pem"
	fileAuthority    = "authority.pem"
	fileAuthorityKey = "authority-key.age"
	fileFounding     = "founding.json"
	fileJoined       = "joined"
	fileRaftLog      = "log.db" // in dirRaft
	dirRaft          = "raft"
	dirRounds        = "rounds"
)

const joinedText = "This replica has taken part in consensus. Never delete the folder raft beside this file.\n"

// Names that Create gives to what is not a replica's folder.
const (
	DirOperator = "operator"
	FileCard    = "coordinator.json"
)

const (
	maxKeyFile       = 16 << 10
	blockCertificate = "CERTIFICATE"
)

// Settings are what a replica knows of itself and of the others.
type Settings struct {
	Namespace protocol.Namespace `json:"namespace"`
	ID        protocol.ReplicaID `json:"id"`
	Peers     []consensus.Peer   `json:"peers"` // this one included
	// Joins says that the replica is no founder: others let it in.
	Joins bool `json:"joins,omitempty"`
}

// Address is where the others and the nodes dial this replica.
func (s Settings) Address() consensus.Address {
	for _, p := range s.Peers {
		if p.ID == s.ID {
			return p.Address
		}
	}
	return ""
}

// host is the name or address in the replica's certificate.
func (s Settings) host() (string, error) {
	host, _, err := net.SplitHostPort(string(s.Address()))
	if err != nil {
		return "", protocol.Refuse(protocol.ErrMalformed,
			"l'adresse de la réplique %s s'écrit hôte:port", "the address of replica %s is written host:port", s.ID)
	}
	return host, nil
}

// Card is what the founders need to know of the coordinator to sign a genesis,
// and nodes to find it.
type Card struct {
	Namespace protocol.Namespace  `json:"namespace"`
	Replicas  []protocol.Replica  `json:"replicas"`
	Authority protocol.Hash       `json:"authority"`
	Addresses []consensus.Address `json:"addresses"`
}

// Create makes a new coordinator: a certificate authority, a folder for each
// replica and one for the operator, under dir, which must not hold any yet.
func Create(dir string, namespace protocol.Namespace, peers []consensus.Peer, now time.Time) (Card, error) {
	card := Card{Namespace: namespace}
	if len(peers) < 1 || len(peers) > protocol.MaxReplicas || len(peers)%2 == 0 {
		return card, protocol.Refuse(protocol.ErrMalformed,
			"un coordonnateur a un nombre impair de répliques, au plus %d; trois survivent à la perte d'une",
			"a coordinator has an odd number of replicas, at most %d; three survive the loss of one", protocol.MaxReplicas)
	}
	if _, err := os.Stat(filepath.Join(dir, FileCard)); !errors.Is(err, fs.ErrNotExist) {
		return card, protocol.Refuse(ErrFolder,
			"le dossier %s contient déjà un coordonnateur; choisissez-en un autre",
			"the folder %s holds a coordinator already; choose another one", dir)
	}
	ca, err := authority.Create(namespace, now)
	if err != nil {
		return card, err
	}
	card.Authority = ca.Hash()
	for _, p := range peers {
		replica, err := createReplica(filepath.Join(dir, string(p.ID)), Settings{Namespace: namespace, ID: p.ID, Peers: peers}, ca, now)
		if err != nil {
			return card, fmt.Errorf("create replica %s: %w", p.ID, err)
		}
		card.Replicas = append(card.Replicas, replica)
		card.Addresses = append(card.Addresses, p.Address)
	}
	if err := createOperator(filepath.Join(dir, DirOperator), ca, now); err != nil {
		return card, fmt.Errorf("create the operator's folder: %w", err)
	}
	text, err := protocol.Indented(card)
	if err != nil {
		return card, err
	}
	for _, to := range []string{filepath.Join(dir, DirOperator, FileCard), filepath.Join(dir, FileCard)} {
		if err := durable.WriteFile(to, text); err != nil {
			return card, err
		}
	}
	return card, nil
}

func createReplica(dir string, s Settings, ca *authority.Authority, now time.Time) (protocol.Replica, error) {
	var replica protocol.Replica
	if err := s.ID.Check(); err != nil {
		return replica, err
	}
	host, err := s.host()
	if err != nil {
		return replica, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return replica, err
	}
	identity, err := seal.LoadOrCreateIdentity(filepath.Join(dir, fileIdentity))
	if err != nil {
		return replica, err
	}
	signing, err := key.Generate[key.Replica]()
	if err != nil {
		return replica, err
	}
	if err := sealFile(dir, fileReplicaKey, identity, signing.Reveal()); err != nil {
		return replica, err
	}
	caKey, err := ca.RevealKey()
	if err != nil {
		return replica, err
	}
	if err := sealFile(dir, fileAuthorityKey, identity, caKey); err != nil {
		return replica, err
	}
	err = createTLS(dir, identity, ca, func(public *ecdsa.PublicKey) ([]byte, error) {
		return ca.IssueReplica(s.ID, public, []string{host}, now)
	})
	if err != nil {
		return replica, err
	}
	settings, err := protocol.Indented(s)
	if err != nil {
		return replica, err
	}
	return protocol.Replica{ID: s.ID, Key: signing.Public()}, durable.WriteFile(filepath.Join(dir, fileSettings), settings)
}

func createOperator(dir string, ca *authority.Authority, now time.Time) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	identity, err := seal.LoadOrCreateIdentity(filepath.Join(dir, fileIdentity))
	if err != nil {
		return err
	}
	return createTLS(dir, identity, ca, func(public *ecdsa.PublicKey) ([]byte, error) {
		return ca.IssueOperator("office", public, now)
	})
}

// createTLS makes a key, has it certified, and stores both with the
// authority's certificate.
func createTLS(dir string, identity *seal.Identity, ca *authority.Authority, certify func(*ecdsa.PublicKey) ([]byte, error)) error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	certificate, err := certify(&private.PublicKey)
	if err != nil {
		return err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	if err := sealFile(dir, fileTLSKey, identity, raw); err != nil {
		return err
	}
	for name, der := range map[string][]byte{fileTLS: certificate, fileAuthority: ca.Certificate()} {
		if err := durable.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: blockCertificate, Bytes: der})); err != nil {
			return err
		}
	}
	return nil
}

func sealFile(dir, name string, identity *seal.Identity, secret []byte) error {
	return seal.WriteFile(filepath.Join(dir, name), []seal.Recipient{identity.Recipient()}, secret)
}

// credential is a folder's certificate, key and authority.
type credential struct {
	identity    *seal.Identity
	certificate tls.Certificate
	authority   *x509.Certificate
}

func openCredential(dir string) (c credential, err error) {
	if c.identity, err = seal.LoadIdentity(filepath.Join(dir, fileIdentity)); err != nil {
		return c, damaged(fileIdentity, err)
	}
	raw, err := seal.ReadFile(filepath.Join(dir, fileTLSKey), c.identity, maxKeyFile)
	if err != nil {
		return c, damaged(fileTLSKey, err)
	}
	private, err := x509.ParsePKCS8PrivateKey(raw)
	if err != nil {
		return c, damaged(fileTLSKey, errors.New("the key does not decode"))
	}
	leaf, err := readCertificate(dir, fileTLS)
	if err != nil {
		return c, err
	}
	if c.authority, err = readCertificate(dir, fileAuthority); err != nil {
		return c, err
	}
	c.certificate = tls.Certificate{Certificate: [][]byte{leaf.Raw, c.authority.Raw}, PrivateKey: private, Leaf: leaf}
	return c, nil
}

func readCertificate(dir, file string) (*x509.Certificate, error) {
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return nil, damaged(file, err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != blockCertificate {
		return nil, damaged(file, errors.New("it holds no certificate"))
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, damaged(file, err)
	}
	return certificate, nil
}

func (c credential) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c.authority)
	return pool
}
