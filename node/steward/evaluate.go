package steward

import (
	"context"
	"errors"
	"fmt"

	"coulisse/crypto/oprf"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/wire"
)

// Evaluate answers a member's request, or says why not. The batch must be the
// one that a committed ticket of this very member names, and a ticket names
// one batch: so asking again, or asking other stewards, gives nothing more.
func (s *Steward) Evaluate(ctx context.Context, from protocol.MemberID, req *wire.EvaluateRequest) *wire.EvaluateReply {
	reply := &wire.EvaluateReply{Epoch: req.GetEpoch(), Sequence: req.GetSequence()}
	if len(req.GetSet()) <= protocol.MaxStewards {
		reply.Set = req.GetSet()
	}
	partial, err := s.evaluate(from, req)
	if err != nil {
		s.cfg.Logger.InfoContext(ctx, "an evaluation was refused", "member", string(from), "reason", err)
		reply.Refusal = told(err)
		return reply
	}
	proof := partial.Proof.Bytes()
	reply.Evaluated, reply.Proof = oprf.EncodeElements(partial.Evaluated), proof[:]
	return reply
}

// told is what another member learns of a refusal: what is wrong with its
// request, and nothing of this node's folder.
func told(err error) string {
	for _, known := range []error{
		errTicket, errEpoch, errNoShare, oprf.ErrBatchEmpty, oprf.ErrBatchTooLarge, oprf.ErrLength, oprf.ErrNonCanonical, oprf.ErrIdentity, oprf.ErrSet,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "this steward cannot evaluate now"
}

func (s *Steward) evaluate(from protocol.MemberID, req *wire.EvaluateRequest) (oprf.Partial, error) {
	if len(req.GetSet()) > protocol.MaxStewards || len(req.GetBlinded()) > protocol.MaxBatch*oprf.ElementSize {
		return oprf.Partial{}, oprf.ErrBatchTooLarge
	}
	key, err := s.checkTicket(from, req)
	if err != nil {
		return oprf.Partial{}, err
	}
	held, err := s.load(key)
	if err != nil {
		return oprf.Partial{}, err
	}
	blinded, err := oprf.DecodeElements(req.GetBlinded())
	if err != nil {
		return oprf.Partial{}, err
	}
	set := make(oprf.Set, len(req.GetSet()))
	for i, index := range req.GetSet() {
		if index > 0xffff {
			return oprf.Partial{}, oprf.ErrSet
		}
		set[i] = oprf.Index(index)
	}
	return oprf.Evaluate(held.key, held.share, set, blinded)
}

var (
	errTicket  = errors.New("no committed ticket of this member names this batch")
	errEpoch   = errors.New("this key epoch is not in use")
	errNoShare = errors.New("this node holds no share of the key")
)

func (s *Steward) checkTicket(from protocol.MemberID, req *wire.EvaluateRequest) (federation.Key, error) {
	var key federation.Key
	err := s.cfg.Author.Witness.View(func(tx federation.Tx) error {
		var ok bool
		if key, ok = federation.FindKey(tx, protocol.Epoch(req.GetEpoch())); !ok {
			return errEpoch
		}
		ticket, ok := federation.FindTicket(tx, from, key.Epoch, req.GetSequence())
		if !ok || ticket.Root != protocol.HashOf(req.GetBlinded()) || ticket.Count*oprf.ElementSize != len(req.GetBlinded()) {
			return errTicket
		}
		return nil
	})
	return key, err
}

// load reads this steward's share of a key, once.
func (s *Steward) load(key federation.Key) (*held, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.shares[key.Attempt]; known != nil {
		return known, nil
	}
	if _, ok := key.Holder(s.self()); !ok {
		return nil, errNoShare
	}
	secret, err := s.unseal(attemptName(kindShare, key.Attempt))
	if err != nil {
		return nil, fmt.Errorf("read this steward's share: %w", err)
	}
	share, err := oprf.ParseShare(secret)
	if err != nil {
		return nil, err
	}
	public, err := oprf.ParsePublicKey(key.PublicKey)
	if err != nil {
		return nil, err
	}
	s.shares[key.Attempt] = &held{share: share, key: public}
	return s.shares[key.Attempt], nil
}
