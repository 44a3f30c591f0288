package rpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"coulisse/coordinator/authority"
	"coulisse/coordinator/matcher"
	"coulisse/coordinator/relay"
	"coulisse/coordinator/state"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"
	"coulisse/protocol/refusal"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// meanings says what the errors of the packages behind the service mean to a
// node. What is neither here nor in package refusal is an internal failure,
// which is logged and not told.
var meanings = []struct{ err, means error }{
	{state.ErrToken, refusal.ErrToken},
	{authority.ErrRequest, protocol.ErrMalformed},
	{relay.ErrTooLarge, protocol.ErrMalformed},
	{matcher.ErrClosed, refusal.ErrUnavailable},
	{matcher.ErrNotRecipient, federation.ErrRefused},
	{governance.ErrProposal, federation.ErrRefused},
	{governance.ErrCosign, federation.ErrRefused},
	{governance.ErrBallot, federation.ErrRefused},
	{governance.ErrEffect, federation.ErrRefused},
}

// deny is the answer to whoever may not call. Its details are those that
// package refusal reads words from; there is nothing to tell apart in code.
func deny(code codes.Code, fr, en string) error {
	denied, err := status.New(code, en).WithDetails(&errdetails.ErrorInfo{
		Domain: "coulisse", Reason: "DENIED", Metadata: map[string]string{"fr": fr, "en": en},
	})
	if err != nil {
		return status.Error(code, en)
	}
	return denied.Err()
}

// The denials.
var (
	errNoParty = deny(codes.Unauthenticated,
		"Ce certificat ne nomme personne de cette fédération.",
		"This certificate names no party of this federation.")
	errRole = deny(codes.PermissionDenied,
		"Ce rôle ne donne pas droit à cet appel.",
		"This role may not make this call.")
	errExpired = deny(codes.Unauthenticated,
		"Ce certificat a expiré. Demandez un jeton d'inscription au bureau de la coopérative.",
		"This certificate has expired. Ask the co-operative's office for an enrolment token.")
	errRetired = deny(codes.Unauthenticated,
		"L'autorité de ce certificat n'est pas, ou n'est plus, sur la liste du coordonnateur. Un nœud renouvelle le sien de lui-même, ou s'inscrit de nouveau avec un jeton; le bureau\u00a0: `coulisse coordinator renew-operator`.",
		"This certificate's authority is not, or no longer, on the coordinator's roll. A node renews its own by itself, or enrols again with a token; the office: `coulisse coordinator renew-operator`.")
	// errRenewing passes: a node that reads the log has its certificate renewed,
	// and what it asked for is tried again.
	errRenewing = protocol.Refuse(refusal.ErrUnavailable,
		"l'autorité de ce certificat vient de quitter la liste du coordonnateur; le nœud fait renouveler le sien, puis continue",
		"this certificate's authority has just left the coordinator's roll; the node has its own renewed, and goes on")
	errReplaced = deny(codes.PermissionDenied,
		"Cette réplique n'est pas sur la liste du coordonnateur.",
		"This replica is not on the coordinator's roll.")
	errOtherIssuer = deny(codes.PermissionDenied,
		"Cette réplique ne renouvelle que ce que son autorité actuelle a certifié. Sur sa machine\u00a0: `coulisse coordinator renew-operator`.",
		"This replica renews only what its own present authority has certified. On its machine: `coulisse coordinator renew-operator`.")
	errSuperseded = deny(codes.Unauthenticated,
		"Ce certificat a été remplacé par un autre. Si ce n'est pas par vous, prévenez le bureau de la coopérative.",
		"This certificate was replaced by another one. If not by you, tell the co-operative's office.")
	errOtherKeys = deny(codes.Unauthenticated,
		"Ce nœud n'a pas les clés que le journal connaît à son organisation. Si elle les a changées, ce dossier est une ancienne copie\u00a0: demandez un jeton d'inscription pour le nouveau.",
		"This node does not have the keys that the log knows its organisation by. If it changed them, this folder is an old copy: ask for an enrolment token for the new one.")
	errNotMember = deny(codes.PermissionDenied,
		"Cette organisation n'est pas un membre en règle.",
		"This organisation is not a member in good standing.")
	errSuspended = deny(codes.PermissionDenied,
		"Votre organisation est suspendue par un vote: elle lit le journal, et rien d'autre avant qu'un vote la rétablisse.",
		"Your organisation is suspended by a vote: it reads the log, and nothing else until a vote reinstates it.")
	errCrowd = refusal.ToStatus(refusal.Later(protocol.Refuse(refusal.ErrFull,
		"il y a trop d'inscriptions à la fois; réessayez dans un instant",
		"there are too many enrolments at once; try again shortly"), time.Second))
	errNotAuthor = deny(codes.PermissionDenied,
		"Un membre ne soumet que ce qu'il a signé lui-même.",
		"A member submits only what it signed itself.")
	errAddressee = deny(codes.NotFound,
		"Le destinataire n'est pas un membre en règle.",
		"The addressee is not a member in good standing.")
	errElsewhere = deny(codes.Aborted,
		"Ce membre s'est connecté de nouveau ailleurs. Si ce n'est pas vous, prévenez le bureau de la coopérative.",
		"This member has connected again elsewhere. If it is not you, tell the co-operative's office.")
)

// refuse is an error as it travels.
func (s *Service) refuse(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return status.FromContextError(err).Err()
	}
	if errors.Is(err, relay.ErrReplaced) {
		return errElsewhere
	}
	for _, m := range meanings {
		if errors.Is(err, m.err) {
			err = fmt.Errorf("%w: %w", m.means, err)
			break
		}
	}
	refused := refusal.ToStatus(err)
	if status.Code(refused) == codes.Internal {
		s.Logger.Error("a call failed", "error", err)
	}
	return refused
}
