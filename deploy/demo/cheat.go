package demo

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"coulisse/crypto/key"
	"coulisse/crypto/seal"
	"coulisse/node"
	"coulisse/node/coordclient"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"
	"coulisse/protocol/pinned"
	"coulisse/protocol/record"
)

// cheat is a member that has altered its own program: it holds the member's
// keys and certificate, signs what its node would refuse to sign, and sends it
// to the coordinator itself. It is here to be refused.
type cheat struct {
	member protocol.MemberID
	key    key.Private[key.Node]
	client *coordclient.Client
	// memory is the log as the member's node has it.
	memory     federation.Memory
	federation protocol.Hash
}

const (
	maxSecret = 16 << 10
	insist    = 15 * time.Second // until an answer
)

// newCheat takes over what lies in a member's folder, as whoever runs the
// member's machine can.
func newCheat(dir string, member protocol.MemberID) (*cheat, error) {
	identity, err := seal.LoadIdentity(filepath.Join(dir, "identity.agekey"))
	if err != nil {
		return nil, err
	}
	raw, err := seal.ReadFile(filepath.Join(dir, "node-key.age"), identity, maxSecret)
	if err != nil {
		return nil, err
	}
	c := &cheat{member: member}
	if c.key, err = key.ParsePrivate[key.Node](raw); err != nil {
		return nil, err
	}
	if err := c.readLog(filepath.Join(dir, "log", "log.jsonl")); err != nil {
		return nil, err
	}
	return c, c.connect(dir, identity)
}

func (c *cheat) connect(dir string, identity *seal.Identity) error {
	pair, err := seal.ReadFile(filepath.Join(dir, "tls.age"), identity, maxSecret)
	if err != nil {
		return err
	}
	certificate, err := tls.X509KeyPair(pair, pair)
	if err != nil {
		return errors.New("the node's certificate does not decode")
	}
	text, err := os.ReadFile(filepath.Join(dir, "federation.json"))
	if err != nil {
		return err
	}
	membership, err := protocol.DecodeFile[node.Membership](text)
	if err != nil {
		return err
	}
	c.federation = membership.Federation
	c.client = coordclient.New(coordclient.Config{
		Addresses: membership.Route.Addresses, Logger: slog.New(slog.DiscardHandler),
		TLS: func() *tls.Config {
			return pinned.Dial(membership.Route.Lists, func() *tls.Certificate { return &certificate })
		},
	})
	return nil
}

// readLog replays the node's copy of the log, up to a line that the node may
// be writing.
func (c *cheat) readLog(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	for lines := bufio.NewReader(file); ; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		entry, err := protocol.Decode[protocol.Entry](line[:len(line)-1])
		if err != nil {
			return err
		}
		if err := c.memory.Apply(entry); err != nil {
			return err
		}
	}
}

func (c *cheat) close() { c.client.Close() }

// alter is a round's manifest under another rule, drawn up as if it were new.
func (c *cheat) alter(round protocol.RoundID, rule protocol.Rule) (protocol.Manifest, error) {
	r, err := federation.FindRound(&c.memory, round)
	if err != nil {
		return protocol.Manifest{}, err
	}
	view, err := federation.View(&c.memory)
	if err != nil {
		return protocol.Manifest{}, err
	}
	m := r.Content()
	number := make([]byte, 16)
	if _, err := rand.Read(number); err != nil {
		return m, err
	}
	m.Round, m.Rule, m.Policies = protocol.RoundID(hex.EncodeToString(number)), rule, view.Last
	m.Deadline = protocol.At(time.Now().Add(time.Minute))
	return m, m.Check()
}

// propose signs a manifest and submits it.
func (c *cheat) propose(ctx context.Context, m protocol.Manifest) (protocol.RoundRef, error) {
	id, err := submit(ctx, c, m)
	return protocol.RoundRef{Round: m.Round, Manifest: id}, err
}

// accept says yes in the member's name, before its honest node says no.
func (c *cheat) accept(ctx context.Context, ref protocol.RoundRef) error {
	_, err := submit(ctx, c, protocol.Ack{RoundRef: ref})
	return err
}

// submit signs a document under the last head that the cheat has read.
func submit[T protocol.Document[key.Node]](ctx context.Context, c *cheat, doc T) (protocol.Hash, error) {
	head, err := federation.Head(&c.memory)
	if err != nil {
		return protocol.Hash{}, err
	}
	signer := protocol.Signer[key.Node]{Federation: c.federation, By: protocol.PartyID(c.member), Key: c.key}
	signed, err := protocol.Sign(signer, head, doc)
	if err != nil {
		return protocol.Hash{}, err
	}
	document, err := protocol.Canonical(signed)
	if err != nil {
		return protocol.Hash{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, insist)
	defer cancel()
	_, err = c.client.Submit(ctx, doc.Label(), document)
	return protocol.ID(c.federation, signed), err
}

// forgery says what was altered.
type forgery struct {
	Decision int
	Voter    protocol.MemberID
}

// forge turns a ballot of the last decision round, with the count to match, and
// signs it with a key made for the purpose: the voter's own is the voter's.
func forge(exported []byte) ([]byte, forgery, error) {
	var f forgery
	c, err := protocol.DecodeFile[record.Chain](exported)
	if err != nil {
		return nil, f, err
	}
	federation, err := c.Founding.Genesis.ID()
	if err != nil {
		return nil, f, err
	}
	if _, err := c.Verify(federation); err != nil {
		return nil, f, fmt.Errorf("the exported chain is not sound to begin with: %w", err)
	}
	ballots, err := governance.BallotsOf(c.Ballots)
	if err != nil {
		return nil, f, err
	}
	d := &c.Decisions[len(c.Decisions)-1]
	for i, hash := range d.Ballots {
		signed := ballots[hash]
		ballot, err := protocol.Peek(signed)
		if err != nil {
			return nil, f, err
		}
		vote := slices.Index(ballot.Votes, protocol.Vote{Choice: protocol.For, Proposal: protocol.ID(federation, d.Proposal)})
		if vote < 0 {
			continue
		}
		ballot.Votes[vote].Choice = protocol.Against
		d.Tally.For, d.Tally.Against = d.Tally.For-1, d.Tally.Against+1
		fresh, err := key.Generate[key.Vote]()
		if err != nil {
			return nil, f, err
		}
		signer := protocol.Signer[key.Vote]{Federation: federation, By: signed.By, Key: fresh}
		turned, err := protocol.Sign(signer, signed.Head, ballot)
		if err != nil {
			return nil, f, err
		}
		document, err := protocol.Canonical(turned)
		if err != nil {
			return nil, f, err
		}
		d.Ballots[i] = protocol.HashOf(document)
		c.Ballots[slices.IndexFunc(c.Ballots, func(b protocol.Signed[protocol.Ballot]) bool { return bytes.Equal(b.Sig, signed.Sig) })] = turned
		altered, err := protocol.Indented(c)
		return altered, forgery{d.Number, protocol.MemberID(signed.By)}, err
	}
	return nil, f, errors.New("the last decision has no ballot for it to turn round")
}
