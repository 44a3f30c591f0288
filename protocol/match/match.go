// Package match is what a match round computes: protocol.md, section 4a. Each
// source turns its people's tokens into pseudonyms under a key that lives for one
// round, and uploads them sorted and padded. The matcher merges the uploads in
// one pass, counts the pseudonyms for which the round's rule holds, and tells
// each recipient, by one bit a record, for which of its own the rule holds.
//
//	RoundKey → Derive → Keys     what the participants share and the matcher lacks
//	Writer                       tokens → an upload, and the rows behind it
//	Reader                       the strict way back in
//	Compile → Program            the round's rule, ready to run
//	Merge                        uploads → exact counts and labels
//	Labelled                     labels and rows → the recipient's own people
//
// The package knows no network, no clock and no policy. It does not draw noise:
// its counts are exact, and stay inside the matcher. DESIGN.md says why the
// parts are as they are.
package match

import (
	"fmt"

	"coulisse/protocol"
)

// Pseudonym is a person in one round: HMAC-SHA256 of the token, cut to 16 bytes.
// It says nothing without the round key, and nothing at all in another round.
type Pseudonym [16]byte

// Row is the number that a node gives to one of its people. It stays in the node.
type Row uint64

// noRow stands for padding, behind which there is nobody.
const noRow = ^Row(0)

// Bounds of an upload, in records. Both are steps of [PaddedCount].
const (
	MinRecords = 1 << 10
	MaxRecords = 1 << 26
)

// Errors of the formats. All but the last are [protocol.ErrMalformed]: the
// sender must make the file again, sending it again cannot help.
var (
	// ErrFormat: not a file of this kind at all.
	ErrFormat = malformed("not a coulisse file of the expected kind")
	// ErrVersion: written by a version with another format.
	ErrVersion = malformed("the file's format version is not known here: bring both sides to the same version")
	// ErrHeader: the round or the source is not in the form of its name.
	ErrHeader = malformed("the file's header names no round or source")
	// ErrStep: the count is not one of the steps, so it would show a true size.
	ErrStep = malformed("the count is not a step of the padding")
	// ErrLength: the file is not as long as it says or may be. It is one of
	// ErrTooMany, ErrTruncated and ErrTrailing.
	ErrLength = malformed("wrong length")
	// ErrTooMany: more records than the reader allows.
	ErrTooMany = fmt.Errorf("%w: more records than allowed", ErrLength)
	// ErrTruncated: the file ends before its last record or trailer.
	ErrTruncated = fmt.Errorf("%w: the file ends too early", ErrLength)
	// ErrTrailing: bytes follow the trailer.
	ErrTrailing = fmt.Errorf("%w: bytes follow the end", ErrLength)
	// ErrOrder: a record is below the one before it.
	ErrOrder = malformed("records are not in ascending order")
	// ErrDuplicate: a record equals the one before it.
	ErrDuplicate = malformed("a record is there twice")
	// ErrUnusedBits: a label file sets bits after its last record.
	ErrUnusedBits = malformed("bits are set after the last record")
	// ErrDigest: the trailer is not the digest of the content.
	ErrDigest = malformed("the content does not have the digest that the file ends with")
	// ErrPaddable: one member alone could satisfy the rule, and so could its
	// padding. Ask for two members, or use a round that measures.
	ErrPaddable = malformed("the rule of a match round must need at least two members: padding would count")
	// ErrMismatch: files of different rounds, sources or uploads were put
	// together. The caller has mixed them up.
	ErrMismatch = fmt.Errorf("these files do not belong together")
)

func malformed(what string) error { return fmt.Errorf("%w: %s", protocol.ErrMalformed, what) }
