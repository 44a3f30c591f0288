package coordinator

import (
	"cmp"
	"crypto"
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
	fileIdentity   = "identity.agekey"
	fileSettings   = "replica.json"
	fileReplicaKey = "replica-key.age"
	fileTLSKey     = "tls-key.age"
	fileTLS        = "tls.pem"
	fileAuthority  = "authority.age"
	fileNext       = "next-authority.age"
	fileRoll       = "roll.json"
	fileFounding   = "founding.json"
	fileJoined     = "joined"
	fileRaftLog    = "log.db" // in dirRaft
	dirRaft        = "raft"
	dirRounds      = "rounds"
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
// and the office to find it.
type Card struct {
	Namespace protocol.Namespace  `json:"namespace"`
	Roll      int                 `json:"roll"` // the number of the one that it is from
	Replicas  []protocol.Replica  `json:"replicas"`
	Addresses []consensus.Address `json:"addresses"`
}

// route is what a node needs of the card.
func (c Card) route() protocol.Route {
	route := protocol.Route{Roll: c.Roll}
	for i, r := range c.Replicas {
		route.Addresses, route.Keys = append(route.Addresses, string(c.Addresses[i])), append(route.Keys, r.TLS)
	}
	return route
}

// Create makes a new coordinator: a folder for each replica and one for the
// operator, under dir, which must not hold any yet.
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
	var issuing *authority.Authority
	for _, p := range peers {
		replica, ca, err := createReplica(filepath.Join(dir, string(p.ID)), Settings{Namespace: namespace, ID: p.ID, Peers: peers}, now)
		if err != nil {
			return card, fmt.Errorf("create replica %s: %w", p.ID, err)
		}
		card.Replicas = append(card.Replicas, replica)
		card.Addresses = append(card.Addresses, p.Address)
		issuing = cmp.Or(issuing, ca)
	}
	if err := createOperator(filepath.Join(dir, DirOperator), issuing, now); err != nil {
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

// createReplica makes a replica's folder: its keys, and an authority of its own,
// which no other replica ever holds.
func createReplica(dir string, s Settings, now time.Time) (replica protocol.Replica, ca *authority.Authority, err error) {
	if err := s.ID.Check(); err != nil {
		return replica, nil, err
	}
	host, err := s.host()
	if err != nil {
		return replica, nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return replica, nil, err
	}
	identity, err := seal.LoadOrCreateIdentity(filepath.Join(dir, fileIdentity))
	if err != nil {
		return replica, nil, err
	}
	signing, err := key.Generate[key.Replica]()
	if err != nil {
		return replica, nil, err
	}
	if err := sealFile(dir, fileReplicaKey, identity, signing.Reveal()); err != nil {
		return replica, nil, err
	}
	if ca, err = authority.Create(s.Namespace, now); err != nil {
		return replica, nil, err
	}
	if err := sealAuthority(dir, fileAuthority, identity, ca); err != nil {
		return replica, nil, err
	}
	shown, err := createTLS(dir, identity, func(private *ecdsa.PrivateKey) ([][]byte, error) {
		own, err := authority.SelfSigned(s.Namespace, s.ID, private, host, now)
		return [][]byte{own}, err
	})
	if err != nil {
		return replica, nil, err
	}
	settings, err := protocol.Indented(s)
	if err != nil {
		return replica, nil, err
	}
	replica = protocol.Replica{ID: s.ID, Key: signing.Public(), TLS: shown, Authority: ca.Hash()}
	return replica, ca, durable.WriteFile(filepath.Join(dir, fileSettings), settings)
}

func createOperator(dir string, ca *authority.Authority, now time.Time) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	identity, err := seal.LoadOrCreateIdentity(filepath.Join(dir, fileIdentity))
	if err != nil {
		return err
	}
	_, err = createTLS(dir, identity, func(private *ecdsa.PrivateKey) ([][]byte, error) {
		own, err := ca.IssueOperator("office", private.Public(), now)
		return [][]byte{own, ca.Certificate()}, err
	})
	return err
}

// createTLS makes a key, has it certified, and stores both. It returns the
// key's name.
func createTLS(dir string, identity *seal.Identity, certify func(*ecdsa.PrivateKey) ([][]byte, error)) (protocol.Hash, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return protocol.Hash{}, err
	}
	chain, err := certify(private)
	if err != nil {
		return protocol.Hash{}, err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return protocol.Hash{}, err
	}
	if err := sealFile(dir, fileTLSKey, identity, raw); err != nil {
		return protocol.Hash{}, err
	}
	if err := writeChain(dir, chain); err != nil {
		return protocol.Hash{}, err
	}
	return protocol.KeyHash(private.Public())
}

// writeChain keeps a certificate, with its authority's if it has one.
func writeChain(dir string, chain [][]byte) error {
	var text []byte
	for _, der := range chain {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: blockCertificate, Bytes: der})...)
	}
	return durable.WriteFile(filepath.Join(dir, fileTLS), text)
}

func sealFile(dir, name string, identity *seal.Identity, secret []byte) error {
	return seal.WriteFile(filepath.Join(dir, name), []seal.Recipient{identity.Recipient()}, secret)
}

// credential is a folder's certificate and key.
type credential struct {
	identity    *seal.Identity
	certificate tls.Certificate
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
	text, err := os.ReadFile(filepath.Join(dir, fileTLS))
	if err != nil {
		return c, damaged(fileTLS, err)
	}
	c.certificate, err = readChain(text, private)
	if err != nil {
		return c, damaged(fileTLS, err)
	}
	return c, nil
}

// readChain reads what writeChain wrote.
func readChain(text []byte, private crypto.PrivateKey) (c tls.Certificate, err error) {
	c.PrivateKey = private
	for block, rest := pem.Decode(text); block != nil && block.Type == blockCertificate; block, rest = pem.Decode(rest) {
		c.Certificate = append(c.Certificate, block.Bytes)
	}
	if len(c.Certificate) == 0 {
		return c, errors.New("it holds no certificate")
	}
	c.Leaf, err = x509.ParseCertificate(c.Certificate[0])
	return c, err
}

// issuer names the authority of a credential; zero if it has none.
func (c credential) issuer() protocol.Hash {
	if len(c.certificate.Certificate) < 2 {
		return protocol.Hash{}
	}
	return protocol.HashOf(c.certificate.Certificate[1])
}
