// Package oprf makes tokens: the threshold verifiable OPRF of protocol.md,
// section 3. A token is F_K(input) of RFC 9497, ciphersuite
// ristretto255-SHA512 in mode VOPRF, where K is Shamir-shared among key
// stewards, t of n, and exists nowhere whole.
//
// A member calls [Blind], sends the blinded elements to t stewards, and gives
// their [Partial] answers to [Blinding.Finalize]. A steward answers with
// [Evaluate]. Anyone can check an answer with [VerifyPartial], so a wrong one
// can be published with its blame. A [Ceremony] makes the key among the
// stewards, and later shares the same key anew: to the same stewards (a
// refresh) or to others, with another threshold (after an election).
//
// What it is not: it does not normalise identifiers or frame OPRF inputs
// (section 2), seal what travels or rests, order or count anything. That each
// ticket is evaluated once, that dealings are signed and posted, and that an
// accused steward is left out of the next attempt, are the callers' part.
//
// DESIGN.md holds the invariants: what is constant time, why the Lagrange
// coefficient may be folded in, and what bias the key may have.
package oprf

import (
	"errors"
	"fmt"
)

// Bounds, all checked before anything is allocated for a peer.
const (
	// MaxBatch is the most elements that are evaluated under one proof.
	MaxBatch = 4096
	// MaxStewards is the most stewards that share a key.
	MaxStewards = 64
	// MaxNamespace bounds the name of a federation, in bytes.
	MaxNamespace = 64
	// MaxInput bounds an OPRF input, in bytes (RFC 9497, section 1.2).
	MaxInput = 1<<16 - 1
)

// Errors. All but [ErrShare] are decided by public data alone.
var (
	// ErrBatchEmpty: a batch has no element. Send at least one.
	ErrBatchEmpty = errors.New("the batch is empty")
	// ErrBatchTooLarge: a batch has more than [MaxBatch] elements. Split it.
	ErrBatchTooLarge = fmt.Errorf("the batch has more than %d elements: split it", MaxBatch)
	// ErrLength: bytes or lists do not have the length that the format gives
	// them, or that of their counterparts.
	ErrLength = errors.New("wrong length")
	// ErrFormat: a field is out of its range, or the version is unknown.
	ErrFormat = errors.New("not in the format of this version")
	// ErrNonCanonical: an element or scalar is not in its one encoding.
	ErrNonCanonical = errors.New("not a canonical encoding")
	// ErrIdentity: an element is the identity, which would show a secret or
	// void a check.
	ErrIdentity = errors.New("the identity element is refused")
	// ErrProof: a partial evaluation was not made with the steward's share of
	// this key for this set and batch. Retry with another steward; whoever has
	// the batch and the answer can check the blame.
	ErrProof = errors.New("the proof of evaluation does not hold")
	// ErrDealing: the public part of a dealing is wrong: it does not prove
	// possession, or reshares something else than the dealer's share. Restart
	// the ceremony without the dealer.
	ErrDealing = errors.New("the dealing does not hold")
	// ErrShare: a subshare contradicts its dealing: complain, and restart the
	// ceremony without the dealer. Or a share belongs to another key.
	ErrShare = errors.New("the share does not fit")
	// ErrSet: indexes are not distinct and ascending, not as many as the
	// threshold asks, or not of the key's stewards.
	ErrSet = errors.New("not a set of known stewards of the right size")
	// ErrCeremony: the terms of a ceremony contradict themselves or the
	// previous key.
	ErrCeremony = errors.New("the terms of the ceremony do not fit together")
)

// Blame names the steward whose message is at fault, so that the caller can go
// on without it. It is found with [errors.As].
type Blame struct {
	Steward Index
	Err     error
}

func (b *Blame) Error() string { return fmt.Sprintf("steward %d: %v", b.Steward, b.Err) }

// Unwrap returns what the steward did wrong.
func (b *Blame) Unwrap() error { return b.Err }
