// Package node is a member's side of the federation: it holds the member's own
// data and keys, verifies everything that the federation says of itself, and
// takes part in rounds that the policies allow. It only dials out.
//
// This file wires a node together; each part is a package below.
package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"coulisse/crypto/key"
	"coulisse/node/author"
	"coulisse/node/coordclient"
	"coulisse/node/post"
	"coulisse/node/rounds"
	"coulisse/node/steward"
	"coulisse/node/tokens"
	"coulisse/node/witness"
	"coulisse/protocol"
	"coulisse/protocol/checkpoint"
	"coulisse/protocol/federation"
	"coulisse/protocol/pinned"
	"coulisse/protocol/wire"
)

// Config is how a node is started.
type Config struct {
	Folder *Folder
	Logger *slog.Logger
	// WarehouseMemory bounds the analytical store, in MiB; its default if 0.
	WarehouseMemory int
}

// Node is a running member node. Its exported methods may be called at once,
// while Run runs.
type Node struct {
	*House
	membership  Membership
	certificate certificate

	witness   *witness.Witness
	client    *coordclient.Client
	author    *author.Author
	desk      *post.Desk
	steward   *steward.Steward
	tokeniser *tokens.Tokeniser
	rounds    *rounds.Rounds

	// way is how this node reaches the coordinator; keepStepping changes it.
	way atomic.Pointer[protocol.Route]
	// reissue asks for a new certificate before the present one is due.
	reissue chan struct{}
	// epochs are the key epochs in use; only keepStepping looks at them.
	epochs []protocol.Epoch

	// evaluations are the batches that members ask this steward for.
	evaluations evaluations
	// checkpoint is the newest one that this node has verified and cosigned.
	checkpoint atomic.Pointer[checkpoint.Checkpoint]

	// setback says whether the coordinator holds less than this node.
	setback setback

	// troubleMu guards trouble: why the node does not follow the log.
	troubleMu sync.Mutex
	trouble   error
}

// New opens everything that the node owns, in the order in which parts need
// each other. Close undoes it.
func New(ctx context.Context, cfg Config) (*Node, error) {
	n := &Node{evaluations: newEvaluations(), reissue: make(chan struct{}, 1)}
	var err error
	if n.membership, err = cfg.Folder.Membership(); err != nil {
		return nil, err
	}
	n.way.Store(&n.membership.Route)
	opened, err := cfg.Folder.openTLS()
	if err != nil {
		return nil, err
	}
	n.certificate.Store(&opened)
	if n.House, err = OpenHouse(ctx, cfg); err != nil {
		return nil, err
	}
	n.pool = n
	if n.witness, err = witness.Resume(n.folder.path(dirLog), n.membership.Federation, n.folder.node); err != nil {
		return nil, errors.Join(err, n.House.Close())
	}
	if aside := n.witness.Aside(); aside != "" {
		n.logger.Warn("what an earlier version took for evidence against the coordinator is none by this one; the node goes on", "file", aside)
	}
	if err := n.assemble(); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Node) assemble() error {
	n.client = coordclient.New(coordclient.Config{
		Addresses: n.membership.Route.Addresses,
		TLS:       func() *tls.Config { return pinned.Dial(n.trusts, n.certificate.Load) },
		Logger:    n.logger,
	})
	self := n.folder.Card.ID
	n.author = &author.Author{
		Federation: n.membership.Federation, Member: self, Key: n.folder.node, Witness: n.witness, Log: n.client,
	}
	n.desk = &post.Desk{Federation: n.membership.Federation, Self: self, Signing: n.folder.node, Envelope: n.folder.envelope}
	n.steward = steward.New(steward.Config{
		Dir: n.folder.path(dirSteward), Identity: n.folder.identity, Author: n.author, Logger: n.logger,
	})
	n.tokeniser = tokens.New(tokens.Config{
		Dir: n.folder.path(dirTokens), Identity: n.folder.identity, Author: n.author,
		Warehouse: n.warehouse, Send: n.send, Logger: n.logger,
	})
	var err error
	n.rounds, err = rounds.New(rounds.Config{
		Dir: n.folder.path(dirRounds), Identity: n.folder.identity, Author: n.author, Warehouse: n.warehouse,
		Tokeniser: n.tokeniser, Matcher: n.client, Own: n.OwnPolicies, Send: n.send, Logger: n.logger,
	})
	return err
}

// Close frees the folder of a node that does not run.
func (n *Node) Close() error {
	if n.client != nil {
		n.client.Close()
	}
	if n.tokeniser != nil {
		n.tokeniser.Close()
	}
	return errors.Join(n.witness.Close(), n.House.Close())
}

// Pauses of the node's own work.
const (
	tick     = time.Second      // when the log is quiet
	tryAgain = 5 * time.Second  // tokenising or following, after trouble
	lookAt   = 30 * time.Second // for people without a token
)

// Run takes part until ctx ends, or until the node has new keys to open its
// folder with ([ErrNewKeys]). It goes on through whatever a coordinator or
// another member does; only the log breaking the rules stops it from
// following, and then it says so and keeps serving its member.
func (n *Node) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var parts sync.WaitGroup
	parts.Go(func() { n.follow(ctx) })
	parts.Go(func() {
		n.client.Relay(ctx, func(from protocol.MemberID, sealed []byte) { n.receive(ctx, from, sealed) })
	})
	parts.Go(func() { n.keepEvaluating(ctx) })
	parts.Go(func() { n.keepTokenising(ctx) })
	parts.Go(func() { n.keepRenewing(ctx) })
	parts.Go(func() { n.keepCosigning(ctx) })
	parts.Go(func() { n.keepErasing(ctx) })
	parts.Go(func() { n.keepExpiring(ctx) })
	var collecting error
	parts.Go(func() {
		if collecting = n.collects(ctx); collecting != nil {
			stop()
		}
	})
	err := n.keepStepping(ctx)
	stop()
	parts.Wait()
	n.rounds.Wait()
	return errors.Join(err, collecting)
}

// follow reads the log. What is this node's own trouble, such as a full disk,
// passes; evidence does not.
func (n *Node) follow(ctx context.Context) {
	for ctx.Err() == nil {
		err := n.witness.Err()
		if err == nil {
			err = n.client.Follow(ctx, n.witness.Size, n.take)
		}
		if ctx.Err() != nil {
			return
		}
		n.logger.ErrorContext(ctx, "this node does not follow the coordinator", "error", err)
		n.setTrouble(err)
		if errors.Is(err, witness.ErrEvidence) {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(tryAgain):
		}
	}
}

func (n *Node) take(entry []byte) error {
	before := n.witness.Ahead()
	err := n.witness.Take(entry)
	if err == nil {
		n.setTrouble(nil)
	}
	if ahead := n.witness.Ahead(); ahead > 0 && before == 0 {
		n.logger.Warn("the log is dated ahead of this machine's clock; one of the two is wrong", "ahead", ahead)
	}
	return err
}

func (n *Node) setTrouble(err error) {
	n.troubleMu.Lock()
	defer n.troubleMu.Unlock()
	n.trouble = err
}

// Trouble is why the node no longer follows the log; nil while it does.
func (n *Node) Trouble() error {
	if err := n.witness.Err(); err != nil {
		return err
	}
	n.troubleMu.Lock()
	defer n.troubleMu.Unlock()
	return n.trouble
}

// keepStepping does the duties that the log shows, whenever it has grown and
// now and then. It ends early when the log has named new keys.
func (n *Node) keepStepping(ctx context.Context) error {
	timer := time.NewTicker(tick)
	defer timer.Stop()
	for ctx.Err() == nil {
		grown := n.witness.Grown()
		if err := n.takeUpKeys(); err != nil {
			return err
		}
		if n.Trouble() == nil {
			for _, step := range []func(context.Context) error{n.followRoll, n.followEpochs, n.steward.Step, n.rounds.Step} {
				if err := step(ctx); err != nil && ctx.Err() == nil {
					n.logger.InfoContext(ctx, "a duty of this node will be tried again", "reason", err)
				}
			}
		}
		select {
		case <-ctx.Done():
		case <-grown:
		case <-timer.C:
		}
	}
	return nil
}

// card finds a member in good standing.
func (n *Node) card(id protocol.MemberID) (protocol.Card, error) {
	var card protocol.Card
	err := n.witness.View(func(tx federation.Tx) error {
		view, err := federation.View(tx)
		if err != nil {
			return err
		}
		member, ok := view.Active(id)
		if !ok {
			return fmt.Errorf("%w: %s is not a member in good standing", federation.ErrNotFound, id)
		}
		card = member.Card
		return nil
	})
	return card, err
}

// send seals a letter and gives it to the relay.
func (n *Node) send(ctx context.Context, to protocol.MemberID, letter *wire.Letter) error {
	card, err := n.card(to)
	if err != nil {
		return err
	}
	sealed, err := n.desk.Write(card, letter)
	if err != nil {
		return err
	}
	return n.client.Send(ctx, to, sealed)
}

// receive opens a parcel and hands its letter to whom it concerns. It must not
// hold up the relay.
func (n *Node) receive(ctx context.Context, from protocol.MemberID, sealed []byte) {
	card, err := n.card(from)
	if err != nil {
		return
	}
	letter, err := n.desk.Read(card, sealed)
	if err != nil {
		n.logger.WarnContext(ctx, "a parcel was dropped", "from", string(from), "reason", err)
		return
	}
	switch content := letter.GetContent().(type) {
	case *wire.Letter_Evaluate:
		n.evaluations.receive(from, content.Evaluate)
	case *wire.Letter_Evaluated:
		n.tokeniser.Deliver(from, content.Evaluated)
	case *wire.Letter_RoundKey:
		if err := n.rounds.DeliverKey(ctx, from, content.RoundKey); err != nil {
			n.logger.WarnContext(ctx, "a round key was dropped", "from", string(from), "reason", err)
		}
	}
}

// VotingKey reads the organisation's voting key, for one signature.
func (n *Node) VotingKey() (key.Private[key.Vote], error) { return n.folder.VotingKey() }
