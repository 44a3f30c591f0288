// Package author signs a node's documents under the log that it has verified,
// and submits them. It is the only place where a node's signing keys are used
// on documents.
package author

import (
	"context"
	"errors"
	"fmt"
	"time"

	"coulisse/crypto/key"
	"coulisse/node/witness"
	"coulisse/protocol"
	"coulisse/protocol/federation"
)

// ErrUnseen: the document was submitted, and the log that this node reads does
// not show it. Trying again is safe; if it lasts, the coordinator keeps the
// document out.
var ErrUnseen = errors.New("the document was sent, and the log does not show it yet")

// Log takes signed documents; coordclient.Client is one. It repeats what was
// not answered until ctx ends, and returns federation.ErrAlready for what the
// log says already.
type Log interface {
	Submit(ctx context.Context, label protocol.Label, document []byte) (seq int64, err error)
}

// Author is a member that signs.
type Author struct {
	Federation protocol.Hash
	Member     protocol.MemberID
	Key        key.Private[key.Node]
	Witness    *witness.Witness
	Log        Log
}

// within bounds a submission, so that a coordinator that answers nothing, or
// says what is not so, holds up none of the node's work for ever.
const within = time.Minute

// Post signs a document with the node's key and submits it. It returns once
// the node itself has verified it in its log. That the log says it already, in
// other bytes, is no error; whoever must know it reads the log.
func Post[T protocol.Document[key.Node]](ctx context.Context, a *Author, doc T) error {
	_, _, err := submit(ctx, a, a.Key, doc)
	if errors.Is(err, federation.ErrAlready) {
		return nil
	}
	return err
}

// Vote signs a document with the organisation's voting key and submits it. It
// returns the document's identity, once the node itself has read it in its log, or
// that the log says it already.
func Vote[T protocol.Document[key.Vote]](ctx context.Context, a *Author, voting key.Private[key.Vote], doc T) (protocol.Hash, error) {
	var none protocol.Hash
	id, document, err := submit(ctx, a, voting, doc)
	if errors.Is(err, federation.ErrAlready) {
		err = a.seen(ctx, func(ctx context.Context) error {
			return a.Witness.AwaitAlready(ctx, doc.Label(), document)
		})
	}
	if err != nil {
		return none, err
	}
	return id, nil
}

// Last signs and submits a document after which the log is closed to this
// member, so that it cannot be read back: that it was accepted is the
// coordinator's word.
func Last[T protocol.Document[key.Vote]](ctx context.Context, a *Author, voting key.Private[key.Vote], doc T) error {
	document, _, err := prepare(a, voting, doc)
	if err != nil {
		return err
	}
	return a.seen(ctx, func(ctx context.Context) error {
		_, err := a.Log.Submit(ctx, doc.Label(), document)
		return err
	})
}

// prepare signs a document under the log as this node has verified it.
func prepare[R key.Role, T protocol.Document[R]](a *Author, k key.Private[R], doc T) (document []byte, id protocol.Hash, err error) {
	head, err := a.Witness.SigningHead()
	if err != nil {
		return nil, id, err
	}
	signer := protocol.Signer[R]{Federation: a.Federation, By: protocol.PartyID(a.Member), Key: k}
	signed, err := protocol.Sign(signer, head, doc)
	if err != nil {
		return nil, id, err
	}
	document, err = protocol.Canonical(signed)
	return document, protocol.ID(a.Federation, signed), err
}

func submit[R key.Role, T protocol.Document[R]](ctx context.Context, a *Author, k key.Private[R], doc T) (id protocol.Hash, document []byte, err error) {
	document, id, err = prepare(a, k, doc)
	if err != nil {
		return id, nil, err
	}
	err = a.seen(ctx, func(ctx context.Context) error {
		if _, err := a.Log.Submit(ctx, doc.Label(), document); err != nil {
			return err
		}
		// Its place is the coordinator's word; that it is there, the node sees.
		return a.Witness.AwaitDocument(ctx, document)
	})
	return id, document, err
}

// seen bounds what waits for the log.
func (a *Author) seen(ctx context.Context, wait func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	err := wait(bounded)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("%w: %w", ErrUnseen, err)
	}
	return err
}
