// Package sequencer gives documents their place in the federation's log. It is
// all that a coordinator is for: it stamps the time, hands commands to
// consensus, and reports what the replicated state made of them. It decides
// nothing that package federation does not decide.
package sequencer

import (
	"context"
	"fmt"
	"time"

	"coulisse/coordinator/state"
	"coulisse/crypto/key"
	"coulisse/protocol"
	"coulisse/protocol/federation"
)

// Consensus replicates commands. Apply returns once a majority has stored the
// command and this replica has applied it, or an error that says to try
// another replica; an ambiguous loss is harmless, since every command may be
// repeated. Read returns once this replica has applied all that was
// acknowledged anywhere before the call.
type Consensus interface {
	Apply(ctx context.Context, command []byte) (any, error)
	Read(ctx context.Context) error
}

// Sequencer is a replica's way to the log.
type Sequencer struct {
	consensus Consensus
	state     *state.State
	replica   protocol.ReplicaID
	key       key.Private[key.Replica]
	now       func() time.Time
	queue     queue
}

// New returns a sequencer that signs as the given replica and stamps the time
// of the given clock.
func New(c Consensus, s *state.State, id protocol.ReplicaID, k key.Private[key.Replica], now func() time.Time) *Sequencer {
	return &Sequencer{consensus: c, state: s, replica: id, key: k, now: now}
}

// View runs fn over this replica's state, which may be behind the leader's.
func (s *Sequencer) View(fn func(federation.Tx) error) error { return s.state.View(fn) }

// Read runs fn over a state that holds all that was ever acknowledged.
func (s *Sequencer) Read(ctx context.Context, fn func(federation.Tx) error) error {
	if err := s.consensus.Read(ctx); err != nil {
		return err
	}
	return s.state.View(fn)
}

// Grown is closed when the log has grown after this call.
func (s *Sequencer) Grown() <-chan struct{} { return s.state.Grown() }

// StateHash digests this replica's state.
func (s *Sequencer) StateHash() (protocol.Hash, error) { return s.state.Hash() }

// Now is the time that an entry would be dated.
func (s *Sequencer) Now() time.Time { return s.now() }

// Replica is whom this sequencer signs as.
func (s *Sequencer) Replica() protocol.ReplicaID { return s.replica }

// Append submits a document that somebody else signed. The error is the state
// machine's refusal, or consensus being unavailable.
func (s *Sequencer) Append(ctx context.Context, label protocol.Label, document []byte) (state.Outcome, error) {
	return s.enqueue(ctx, state.Append{Label: label, Document: document})
}

// Try holds a document against this replica's state without changing it. What
// passes may still be refused: others are on their way.
func (s *Sequencer) Try(label protocol.Label, document []byte) error {
	return s.state.View(func(tx federation.Tx) error { return federation.Try(tx, protocol.At(s.now()), label, document) })
}

// AddToken admits one enrolment of a member until a time.
func (s *Sequencer) AddToken(ctx context.Context, t state.AddToken) error {
	return s.single(ctx, state.Command{AddToken: &t})
}

// Enroll uses up a token and appends the enrolment.
func (s *Sequencer) Enroll(ctx context.Context, secret, request protocol.Hash, e protocol.Enrolment) error {
	document, err := sign(s, e)
	if err != nil {
		return err
	}
	return s.single(ctx, state.Command{Enroll: &state.Enroll{Secret: secret, Request: request, Enrolment: document}})
}

// Post signs a document as this replica and appends it.
func Post[T protocol.Document[key.Replica]](ctx context.Context, s *Sequencer, doc T) error {
	document, err := sign(s, doc)
	if err != nil {
		return err
	}
	_, err = s.Append(ctx, doc.Label(), document)
	return err
}

// PostAll posts documents that do not wait for one another, in this order, and
// returns what came of each.
func PostAll[T protocol.Document[key.Replica]](ctx context.Context, s *Sequencer, docs ...T) []error {
	documents, errs := make([]state.Append, len(docs)), make([]error, len(docs))
	for i, doc := range docs {
		document, err := sign(s, doc)
		if err != nil {
			return []error{err}
		}
		documents[i] = state.Append{Label: doc.Label(), Document: document}
	}
	for i, sent := range s.send(ctx, documents...) {
		_, errs[i] = sent.await(ctx)
	}
	return errs
}

// Sign signs a document as this replica, under the head of the log in tx.
func Sign[T protocol.Document[key.Replica]](s *Sequencer, tx federation.Tx, doc T) (protocol.Signed[T], error) {
	view, err := federation.View(tx)
	if err != nil {
		return protocol.Signed[T]{}, err
	}
	head, err := federation.Head(tx)
	if err != nil {
		return protocol.Signed[T]{}, err
	}
	signer := protocol.Signer[key.Replica]{Federation: view.Federation, By: protocol.PartyID(s.replica), Key: s.key}
	return protocol.Sign(signer, head, doc)
}

func sign[T protocol.Document[key.Replica]](s *Sequencer, doc T) (document []byte, err error) {
	err = s.state.View(func(tx federation.Tx) error {
		signed, err := Sign(s, tx, doc)
		if err != nil {
			return err
		}
		document, err = protocol.Canonical(signed)
		return err
	})
	return document, err
}

// Found begins the log with the genesis. Every replica has the same one, so
// it does not matter whose comes first.
func (s *Sequencer) Found(ctx context.Context, f protocol.Founding) error {
	document, err := protocol.Canonical(f)
	if err != nil {
		return err
	}
	_, err = s.Append(ctx, protocol.LabelGenesis, document)
	return err
}

// single applies a command of one part.
func (s *Sequencer) single(ctx context.Context, c state.Command) error {
	outcomes, err := s.apply(ctx, c)
	if err != nil {
		return err
	}
	return outcomes[0].Err
}

func (s *Sequencer) apply(ctx context.Context, c state.Command) ([]state.Outcome, error) {
	c.At = protocol.At(s.now())
	raw, err := c.Encode()
	if err != nil {
		return nil, err
	}
	applied, err := s.consensus.Apply(ctx, raw)
	if err != nil {
		return nil, err
	}
	outcomes, ok := applied.([]state.Outcome)
	if !ok || len(outcomes) != max(1, len(c.Append)) {
		return nil, fmt.Errorf("the state answered with a %T", applied)
	}
	return outcomes, nil
}
