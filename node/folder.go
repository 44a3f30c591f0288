package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"coulisse/crypto/durable"
	"coulisse/crypto/key"
	"coulisse/crypto/seal"
	"coulisse/protocol"
)

// Names in a node's folder. Private keys are sealed with age to the folder's
// identity, which a member may keep on another disk; the voting key may be
// taken away between votes.
const (
	fileIdentity   = "identity.agekey"
	fileCard       = "card.json"
	fileVote       = "vote-key.age"
	fileNode       = "node-key.age"
	fileEnvelope   = "envelope-key.age"
	fileFederation = "federation.json"
	fileTLS        = "tls.age"
	fileWarehouse  = "warehouse.duckdb"
	dirLog         = "log"
	dirTokens      = "tokens"
	dirSteward     = "steward"
	dirRounds      = "rounds"
	dirPolicies    = "policies"
	fileSocket     = "node.sock"
)

const maxKeyFile = 16 << 10

// Folder is a node's folder with its keys.
type Folder struct {
	Dir      string
	Card     protocol.Card
	Signed   protocol.Signed[protocol.Card]
	identity *seal.Identity
	node     key.Private[key.Node]
	envelope *seal.EnvelopeKey
}

// Membership is what a node learns when it enrols, and keeps up with the roll.
type Membership struct {
	Federation protocol.Hash  `json:"federation"`
	Route      protocol.Route `json:"route"`
}

// ErrFolder: the folder is not what the command needs. The words say what to
// do.
var ErrFolder = errors.New("the folder cannot be used")

// ErrNotEnrolled: the node has keys and no certificate yet.
var ErrNotEnrolled = errors.New("this node has not enrolled yet: run `coulisse node enroll` with the token that the co-operative's office gives you")

// Init makes a new node's keys and its card. The organisation's part of the
// card is given; the keys in it are filled in.
func Init(dir string, card protocol.Card) (*Folder, error) {
	if _, err := os.Stat(filepath.Join(dir, fileCard)); !errors.Is(err, fs.ErrNotExist) {
		return nil, protocol.Refuse(ErrFolder,
			"le dossier %s tient déjà un nœud\u00a0; ses clés sont la voix de l'organisation, elles ne sont pas remplacées",
			"the folder %s holds a node already; its keys are the organisation's voice, and are not replaced", dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	// Also if it was there before: the warehouse in it is not encrypted.
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, err
	}
	f := &Folder{Dir: dir}
	var err error
	if f.identity, err = seal.LoadOrCreateIdentity(filepath.Join(dir, fileIdentity)); err != nil {
		return nil, err
	}
	return f, f.makeKeys(card)
}

// Open reads a node's folder.
func Open(dir string) (*Folder, error) {
	f := &Folder{Dir: dir}
	if err := f.finishAdoption(); err != nil {
		return nil, fmt.Errorf("take up the node's new keys: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, fileCard))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, protocol.Refuse(ErrFolder,
			"le dossier %s ne tient aucun nœud\u00a0; faites-en un avec «\u00a0coulisse node init\u00a0», ou nommez un autre dossier avec --dir",
			"the folder %s holds no node; make one with “coulisse node init”, or name another folder with --dir", dir)
	}
	if err != nil {
		return nil, err
	}
	if f.Signed, err = protocol.DecodeFile[protocol.Signed[protocol.Card]](text); err != nil {
		return nil, fmt.Errorf("read %s: %w", fileCard, err)
	}
	if f.Card, err = protocol.OpenCard(f.Signed); err != nil {
		return nil, fmt.Errorf("read %s: %w", fileCard, err)
	}
	return f, f.openKeys()
}

func (f *Folder) openKeys() error {
	var err error
	if f.identity, err = seal.LoadIdentity(filepath.Join(f.Dir, fileIdentity)); err != nil {
		return fmt.Errorf("open the node's keys: %w", err)
	}
	raw, err := f.unseal(fileNode)
	if err != nil {
		return fmt.Errorf("open the node's keys: %w", err)
	}
	if f.node, err = key.ParsePrivate[key.Node](raw); err != nil {
		return fmt.Errorf("open the node's keys: %w", err)
	}
	if raw, err = f.unseal(fileEnvelope); err != nil {
		return fmt.Errorf("open the node's keys: %w", err)
	}
	if f.envelope, err = seal.ParseEnvelopeKey(raw); err != nil {
		return fmt.Errorf("open the node's keys: %w", err)
	}
	if f.node.Public() != f.Card.Node || f.envelope.Public() != f.Card.Envelope {
		return errors.New("open the node's keys: they are not those of its card")
	}
	return nil
}

// VotingKey reads the organisation's voting key, for one signature.
func (f *Folder) VotingKey() (key.Private[key.Vote], error) {
	raw, err := f.unseal(fileVote)
	if errors.Is(err, fs.ErrNotExist) {
		return key.Private[key.Vote]{}, protocol.Refuse(ErrFolder,
			"la clé de vote n'est pas dans le dossier du nœud\u00a0; rapportez-y %s pour voter",
			"the voting key is not in the node's folder; bring %s back to vote", fileVote)
	}
	if err != nil {
		return key.Private[key.Vote]{}, fmt.Errorf("open the voting key: %w", err)
	}
	return key.ParsePrivate[key.Vote](raw)
}

// Assent signs a genesis as a founder of it.
func (f *Folder) Assent(g protocol.Genesis) (protocol.Signed[protocol.Assent], error) {
	var none protocol.Signed[protocol.Assent]
	if err := g.Check(); err != nil {
		return none, err
	}
	found := false
	for _, founder := range g.Founders {
		card, err := protocol.OpenCard(founder)
		if err != nil {
			return none, err
		}
		found = found || card == f.Card
	}
	if !found {
		return none, protocol.Refuse(ErrFolder,
			"la carte de votre organisation n'est pas parmi celles des fondateurs\u00a0; demandez à qui a rédigé l'acte de l'ajouter",
			"your organisation's card is not among the founders'; ask whoever drew up the genesis to add it")
	}
	id, err := g.ID()
	if err != nil {
		return none, err
	}
	voting, err := f.VotingKey()
	if err != nil {
		return none, err
	}
	signer := protocol.Signer[key.Vote]{Federation: id, By: protocol.PartyID(f.Card.ID), Key: voting}
	return protocol.Sign(signer, protocol.Head{}, protocol.Assent{Genesis: id})
}

// Membership reads what the node learnt when it enrolled.
func (f *Folder) Membership() (Membership, error) {
	text, err := os.ReadFile(filepath.Join(f.Dir, fileFederation))
	if errors.Is(err, fs.ErrNotExist) {
		return Membership{}, ErrNotEnrolled
	}
	if err != nil {
		return Membership{}, err
	}
	m, err := protocol.DecodeFile[Membership](text)
	if err == nil && m.Federation.IsZero() {
		err = fmt.Errorf("%w: it names no federation", protocol.ErrMalformed)
	}
	if err == nil {
		err = m.Route.Check()
	}
	if err != nil {
		return m, fmt.Errorf("read %s: %w", fileFederation, err)
	}
	return m, nil
}

// Socket is where the running node answers the command line.
func (f *Folder) Socket() string { return filepath.Join(f.Dir, fileSocket) }

func (f *Folder) path(name string) string { return filepath.Join(f.Dir, name) }

// replace writes a file that is not secret, whole: after a crash it is the old
// one or the new one.
func (f *Folder) replace(name string, content []byte) error {
	if err := durable.WriteFile(f.path(name), content); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func (f *Folder) seal(name string, secret []byte) error {
	return seal.WriteFile(f.path(name), []seal.Recipient{f.identity.Recipient()}, secret)
}

func (f *Folder) unseal(name string) ([]byte, error) {
	return seal.ReadFile(f.path(name), f.identity, maxKeyFile)
}
