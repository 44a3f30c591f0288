// Package refusal carries errors over gRPC, so that the far end can tell them
// apart with errors.Is and show their words in the reader's language.
//
// It maps the sentinels of the protocol to reasons on the wire (google.rpc
// ErrorInfo) and back. A reason is never given a second meaning.
package refusal

import (
	"errors"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
)

const domain = "coulisse"

// Errors that only a coordinator returns.
var (
	// ErrNotLeader: this replica does not lead. Try the one it names, or any.
	ErrNotLeader = errors.New("this replica does not lead")
	// ErrUnavailable: no replica can answer now, or an answer was lost. Every
	// call may be repeated.
	ErrUnavailable = errors.New("the coordinator cannot answer now; trying again is safe")
	// ErrToken: the enrolment token is unknown, expired or used.
	ErrToken = errors.New("the enrolment token is not valid (unknown, expired or already used); ask the co-operative's office for a new one")
	// ErrFull: a mailbox, or the matcher's room, is full, or the caller asks too
	// fast. Try again later; [RetryAfter] says when, if that is known.
	ErrFull = errors.New("there is no room for this now; try again later")
	// ErrNotReady: the labels of the round are not made yet. Try again soon.
	ErrNotReady = errors.New("the labels are not ready yet")
	// ErrConflict: the round has other bytes for this source. Final.
	ErrConflict = errors.New("the matcher was announced other bytes for this source")
)

// reasons is the table of what travels. The first match wins.
var reasons = []struct {
	err    error
	reason string
	code   codes.Code
}{
	{ErrNotLeader, "NOT_LEADER", codes.FailedPrecondition},
	{ErrUnavailable, "UNAVAILABLE", codes.Unavailable},
	{ErrToken, "TOKEN", codes.PermissionDenied},
	{ErrFull, "FULL", codes.ResourceExhausted},
	{ErrNotReady, "NOT_READY", codes.FailedPrecondition},
	{ErrConflict, "CONFLICT", codes.AlreadyExists},
	{federation.ErrFork, "FORK", codes.DataLoss},
	{federation.ErrAlready, "ALREADY", codes.AlreadyExists},
	{federation.ErrNotFound, "NOT_FOUND", codes.NotFound},
	{federation.ErrRefused, "REFUSED", codes.FailedPrecondition},
	{federation.ErrOrder, "OUT_OF_ORDER", codes.FailedPrecondition},
	{governance.ErrGenesis, "GENESIS", codes.FailedPrecondition},
	{governance.ErrChain, "CHAIN", codes.FailedPrecondition},
	{governance.ErrProposal, "PROPOSAL", codes.FailedPrecondition},
	{governance.ErrCosign, "COSIGN", codes.FailedPrecondition},
	{governance.ErrBallot, "BALLOT", codes.FailedPrecondition},
	{governance.ErrOrder, "BALLOT_ORDER", codes.FailedPrecondition},
	{governance.ErrEarly, "EARLY", codes.FailedPrecondition},
	{governance.ErrRoster, "ROSTER", codes.FailedPrecondition},
	{governance.ErrTally, "TALLY", codes.FailedPrecondition},
	{governance.ErrEffect, "EFFECT", codes.FailedPrecondition},
	{governance.ErrRoll, "ROLL", codes.FailedPrecondition},
	{governance.ErrRules, "RULES", codes.FailedPrecondition},
	{governance.ErrEarlyRules, "EARLY_RULES", codes.FailedPrecondition},
	{protocol.ErrSignature, "SIGNATURE", codes.InvalidArgument},
	{protocol.ErrMalformed, "MALFORMED", codes.InvalidArgument},
}

// NotLeader is an ErrNotLeader that says who leads, if anybody does.
type NotLeader struct{ Address string }

// Error implements error.
func (e NotLeader) Error() string { return ErrNotLeader.Error() }

// Is makes it an [ErrNotLeader].
func (e NotLeader) Is(target error) bool { return target == ErrNotLeader }

// MaxRetryAfter bounds how long anybody is told to wait.
const MaxRetryAfter = 10 * time.Minute

// Later is a refusal that says how long it takes until there is room again.
func Later(err error, after time.Duration) error {
	return later{err, min(max(after, 0), MaxRetryAfter)}
}

type later struct {
	error
	after time.Duration
}

func (l later) Unwrap() error { return l.error }

// RetryAfter is how long to wait before asking again, if the refusal says so.
func RetryAfter(err error) (time.Duration, bool) {
	if l, ok := errors.AsType[later](err); ok {
		return l.after, true
	}
	return 0, false
}

// Worded is an error with its sentence in both languages.
type Worded interface {
	error
	Words() protocol.Text
}

// ToStatus is the error as it travels. An error that is not in the table
// travels as an internal one, without its words: they may not be for others.
func ToStatus(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	for _, r := range reasons {
		if !errors.Is(err, r.err) {
			continue
		}
		info := &errdetails.ErrorInfo{Reason: r.reason, Domain: domain, Metadata: map[string]string{}}
		var leader NotLeader
		if errors.As(err, &leader) {
			info.Metadata["leader"] = leader.Address
		}
		words := Words(err)
		info.Metadata["fr"], info.Metadata["en"] = words.FR, words.EN
		details := []protoadapt.MessageV1{info}
		if after, ok := RetryAfter(err); ok {
			details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(after)})
		}
		s, detailErr := status.New(r.code, err.Error()).WithDetails(details...)
		if detailErr != nil {
			return status.Error(r.code, err.Error())
		}
		return s.Err()
	}
	return status.Error(codes.Internal, "the coordinator failed; its log says why")
}

// Remote is an error that came over the wire.
type Remote struct {
	cause   error // the sentinel, or nil
	message string
	words   protocol.Text
}

// Error implements error.
func (e Remote) Error() string { return e.message }

// Unwrap is the sentinel.
func (e Remote) Unwrap() error { return e.cause }

// Words implements [Worded]: the far end's, else those of the kind.
func (e Remote) Words() protocol.Text { return e.words }

// FromStatus turns what came over the wire back into an error of this side.
// A broken connection and an overloaded peer are [ErrUnavailable].
func FromStatus(err error) error {
	if err == nil {
		return nil
	}
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	remote := Remote{message: s.Message(), words: generic}
	after := time.Duration(-1)
	for _, detail := range s.Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok && retry.GetRetryDelay().IsValid() {
			after = retry.GetRetryDelay().AsDuration()
		}
		info, ok := detail.(*errdetails.ErrorInfo)
		if !ok || info.GetDomain() != domain {
			continue
		}
		if info.GetReason() == "NOT_LEADER" {
			return NotLeader{Address: info.GetMetadata()["leader"]}
		}
		for _, r := range reasons {
			if r.reason == info.GetReason() {
				remote.cause = r.err
			}
		}
		remote.words = Words(remote.cause)
		// The far end's words are shown to people: bounded, and both or none.
		told := protocol.Text{FR: info.GetMetadata()["fr"], EN: info.GetMetadata()["en"]}
		if told.Check() == nil {
			remote.words = told
		}
	}
	if remote.cause == nil && (s.Code() == codes.Unavailable || s.Code() == codes.DeadlineExceeded) {
		remote.cause, remote.words = ErrUnavailable, Words(ErrUnavailable)
	}
	if after >= 0 {
		return Later(remote, after)
	}
	return remote
}
