package node

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"coulisse/crypto/key"
	"coulisse/crypto/seal"
	"coulisse/node/author"
	"coulisse/protocol"
	"coulisse/protocol/federation"
)

// New keys wait in a folder of their own until the log names them. Whoever dies
// halfway finds either the old keys in use and the new ones waiting, or the
// mark that says to finish.
const (
	dirNextKeys = "keys.next"
	fileAdopt   = "adopt" // in dirNextKeys: the log has named them
	// fileLeave marks that the certificate in the folder is from before its keys.
	fileLeave = "certificate.leave"
)

// ErrNewKeys ends a node's Run: its folder has new keys. Open the folder again.
var ErrNewKeys = errors.New("the node has new keys: open its folder again")

// PrepareKeys makes new keys, or finds those that wait, and returns the card
// that shows them. Nothing uses them before the log names them.
func (f *Folder) PrepareKeys() (protocol.Signed[protocol.Card], error) {
	next := f.nextKeys()
	if text, err := os.ReadFile(next.path(fileCard)); err == nil {
		return protocol.DecodeFile[protocol.Signed[protocol.Card]](text)
	}
	if err := os.MkdirAll(next.Dir, 0o700); err != nil {
		return protocol.Signed[protocol.Card]{}, err
	}
	err := next.makeKeys(f.Card)
	return next.Signed, err
}

// nextKeys is the folder of the keys that wait, under this one's identity.
func (f *Folder) nextKeys() *Folder { return &Folder{Dir: f.path(dirNextKeys), identity: f.identity} }

// nextCard is the card of the keys that wait, if any do.
func (f *Folder) nextCard() (protocol.Card, bool) {
	text, err := os.ReadFile(f.nextKeys().path(fileCard))
	if err != nil {
		return protocol.Card{}, false
	}
	signed, err := protocol.DecodeFile[protocol.Signed[protocol.Card]](text)
	if err != nil {
		return protocol.Card{}, false
	}
	card, err := protocol.OpenCard(signed)
	return card, err == nil
}

// adoptKeys puts the keys that wait in the place of the present ones. The mark
// comes first: from then on every Open finishes what a crash interrupts.
func (f *Folder) adoptKeys() error {
	if err := f.nextKeys().replace(fileAdopt, []byte("The log has named these keys.\n")); err != nil {
		return err
	}
	return f.finishAdoption()
}

// finishAdoption copies the keys that wait over the present ones, if the mark
// says so. It may be interrupted and done again.
func (f *Folder) finishAdoption() error {
	next := f.path(dirNextKeys)
	if _, err := os.Stat(filepath.Join(next, fileAdopt)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	// What a copy of the folder holds from before is no good any more.
	if err := f.replace(fileLeave, []byte("The certificate is from before the keys.\n")); err != nil {
		return err
	}
	for _, name := range []string{fileVote, fileNode, fileEnvelope, fileCard} {
		content, err := os.ReadFile(filepath.Join(next, name))
		if err == nil {
			err = f.replace(name, content)
		}
		if err != nil {
			return err
		}
	}
	// The mark goes first and then the card, without which nothing waits: the
	// rest may be left behind without harm.
	for _, name := range []string{fileAdopt, fileCard} {
		if err := os.Remove(filepath.Join(next, name)); err != nil {
			return err
		}
	}
	return os.RemoveAll(next)
}

// leaves reports whether the certificate is to be replaced twice: as long as it
// counts, so does a copy of it that somebody took with the former keys.
func (f *Folder) leaves() bool {
	_, err := os.Stat(f.path(fileLeave))
	return err == nil
}

func (f *Folder) left() error { return os.Remove(f.path(fileLeave)) }

// ChangeKeys replaces all of the organisation's keys, under the voting key that
// it has. The node takes the new ones up when it reads the change in its own
// log, and ends with [ErrNewKeys].
func (n *Node) ChangeKeys(ctx context.Context) error {
	card, err := n.folder.PrepareKeys()
	if err != nil {
		return err
	}
	_, err = voice(ctx, n, protocol.KeyChange{Card: card})
	return err
}

// NewCard makes new keys for a member that has lost its voting key, or fears
// that somebody else has it. Another member proposes the card to a vote, and
// the node takes the keys up once the members have carried it.
func (n *Node) NewCard() (protocol.Signed[protocol.Card], error) { return n.folder.PrepareKeys() }

// Leave ends the organisation's membership. It takes effect at once.
func (n *Node) Leave(ctx context.Context) error {
	voting, err := n.VotingKey()
	if err != nil {
		return err
	}
	return author.Last(ctx, n.author, voting, protocol.Leave{Member: n.folder.Card.ID})
}

// takeUpKeys adopts the keys that wait once the log names them.
func (n *Node) takeUpKeys() error {
	named := n.folder.Card
	err := n.witness.View(func(tx federation.Tx) error {
		view, err := federation.View(tx)
		if err != nil {
			return nil // an empty log names nobody
		}
		if self, ok := view.Member(n.folder.Card.ID); ok {
			named = self.Card
		}
		return nil
	})
	if err != nil || named == n.folder.Card {
		return err // as after almost every entry: no file is looked at
	}
	if next, waiting := n.folder.nextCard(); !waiting || next != named {
		return nil
	}
	if err := n.folder.adoptKeys(); err != nil {
		return err
	}
	return ErrNewKeys
}

// makeKeys makes and stores keys and their card. The card comes last: a folder
// with a card is whole.
func (f *Folder) makeKeys(card protocol.Card) error {
	vote, err := key.Generate[key.Vote]()
	if err != nil {
		return err
	}
	if f.node, err = key.Generate[key.Node](); err != nil {
		return err
	}
	if f.envelope, err = seal.NewEnvelopeKey(); err != nil {
		return err
	}
	card.Vote, card.Node, card.Envelope = vote.Public(), f.node.Public(), f.envelope.Public()
	signer := protocol.Signer[key.Vote]{By: protocol.PartyID(card.ID), Key: vote}
	if f.Signed, err = protocol.Sign(signer, protocol.Head{}, card); err != nil {
		return err
	}
	f.Card = card
	for name, secret := range map[string][]byte{
		fileVote: vote.Reveal(), fileNode: f.node.Reveal(), fileEnvelope: f.envelope.Marshal(),
	} {
		if err := f.seal(name, secret); err != nil {
			return err
		}
	}
	text, err := protocol.Indented(f.Signed)
	if err != nil {
		return err
	}
	return f.replace(fileCard, text)
}
