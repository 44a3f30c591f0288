package refusal

import (
	"context"
	"errors"

	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"
	"coulisse/protocol/record"
	"coulisse/protocol/tlog"
)

// Words is an error in both languages, for people: its own words if it has
// any, else those of its kind, else a sentence that says where to look. It
// never holds more than the error's author meant for others to read.
func Words(err error) protocol.Text {
	var worded Worded
	if errors.As(err, &worded) {
		if words := worded.Words(); words.Check() == nil {
			return words
		}
	}
	for _, entry := range catalogue {
		if errors.Is(err, entry.err) {
			return entry.words
		}
	}
	return generic
}

var generic = protocol.Text{
	FR: "L'opération a échoué. Le journal du programme dit pourquoi.",
	EN: "The operation failed. The program's log says why.",
}

// catalogue words the kinds of error. The first match wins.
var catalogue = []struct {
	err   error
	words protocol.Text
}{
	{ErrNotLeader, protocol.Text{
		FR: "Cette réplique du coordonnateur n'est pas celle qui dirige. Adressez-vous à une autre.",
		EN: "This replica of the coordinator does not lead. Ask another.",
	}},
	{ErrUnavailable, protocol.Text{
		FR: "Le coordonnateur ne peut pas répondre en ce moment. On peut réessayer sans risque.",
		EN: "The coordinator cannot answer now. Trying again is safe.",
	}},
	{ErrToken, protocol.Text{
		FR: "Le jeton d'inscription n'est pas valide\u00a0: inconnu, expiré ou déjà utilisé. Demandez-en un nouveau au bureau de la coopérative.",
		EN: "The enrolment token is not valid: unknown, expired or already used. Ask the co-operative's office for a new one.",
	}},
	{ErrFull, protocol.Text{
		FR: "Il n'y a pas de place pour cela en ce moment. Réessayez plus tard.",
		EN: "There is no room for this now. Try again later.",
	}},
	{ErrNotReady, protocol.Text{
		FR: "Les étiquettes ne sont pas encore prêtes. Réessayez dans un instant.",
		EN: "The labels are not ready yet. Try again in a moment.",
	}},
	{ErrConflict, protocol.Text{
		FR: "Cette source a annoncé un autre contenu. Recommencez avec une nouvelle ronde.",
		EN: "This source announced other bytes. Start again with a new round.",
	}},
	{federation.ErrFork, protocol.Text{
		FR: "L'auteur de ce document a vu un autre journal que celui-ci. Arrêtez, et comparez vos journaux avec un autre membre.",
		EN: "The author of this document has seen another log than this one. Stop, and compare your logs with another member.",
	}},
	{federation.ErrAlready, protocol.Text{
		FR: "C'est déjà au journal. Il n'y a rien à faire.",
		EN: "It is in the log already. There is nothing to do.",
	}},
	{federation.ErrNotFound, protocol.Text{
		FR: "Le document parle de quelque chose qui n'existe pas ici. Vérifiez le numéro, ou attendez que votre nœud soit à jour.",
		EN: "The document speaks of something that does not exist here. Check the number, or wait until your node is up to date.",
	}},
	{federation.ErrOrder, protocol.Text{
		FR: "Une entrée du journal n'est pas à sa place. Le journal reçu n'est pas digne de confiance; prévenez la coopérative.",
		EN: "An entry of the log is out of its place. The log received cannot be trusted; tell the co-operative.",
	}},
	{governance.ErrGenesis, protocol.Text{
		FR: "L'acte de fondation n'est pas celui que les membres fondateurs ont signé. Demandez-en une copie à l'un d'eux.",
		EN: "The genesis is not what its founders signed. Ask one of them for a copy.",
	}},
	{governance.ErrChain, protocol.Text{
		FR: "Une décision manque, se répète ou n'est pas à sa place. Demandez la suite complète à une autre réplique.",
		EN: "A decision is missing, repeated or out of order. Ask another replica for the whole chain.",
	}},
	{governance.ErrProposal, protocol.Text{
		FR: "La proposition n'est pas signée par un membre. Elle ne compte pas.",
		EN: "The proposal is not signed by a member. It does not count.",
	}},
	{governance.ErrCosign, protocol.Text{
		FR: "L'appui n'est pas signé par un deuxième membre, ou porte sur une autre proposition. Il ne compte pas.",
		EN: "The cosignature is not by a second member, or is for another proposal. It does not count.",
	}},
	{governance.ErrBallot, protocol.Text{
		FR: "Un bulletin n'est pas signé par un membre en règle pour cette proposition. Il ne compte pas.",
		EN: "A ballot is not signed by a member in good standing for this proposal. It does not count.",
	}},
	{governance.ErrOrder, protocol.Text{
		FR: "Des bulletins sont répétés ou en désordre. Le décompte n'est pas digne de confiance.",
		EN: "Ballots are repeated or out of order. The count cannot be trusted.",
	}},
	{governance.ErrEarly, protocol.Text{
		FR: "Le vote a été fermé avant l'heure sans que tous aient voté. La décision ne compte pas.",
		EN: "The vote was closed before its time with ballots missing. The decision does not count.",
	}},
	{governance.ErrRoster, protocol.Text{
		FR: "La décision compte d'autres membres que ceux qui sont en règle. Elle ne compte pas.",
		EN: "The decision counts other members than those in good standing. It does not count.",
	}},
	{governance.ErrTally, protocol.Text{
		FR: "Les bulletins ne donnent pas le résultat annoncé. La décision ne compte pas.",
		EN: "The ballots do not give the stated outcome. The decision does not count.",
	}},
	{governance.ErrEffect, protocol.Text{
		FR: "Ce qui est proposé ne peut pas se faire dans l'état actuel de la fédération. Relisez la proposition.",
		EN: "What is proposed cannot be done in the federation's present state. Read the proposal again.",
	}},
	{governance.ErrRoll, protocol.Text{
		FR: "La liste des répliques du coordonnateur ne change pas ainsi. «\u00a0coulisse coordinator status\u00a0» montre où elle en est.",
		EN: "The roll of the coordinator's replicas does not change like this. “coulisse coordinator status” shows where it is.",
	}},
	{governance.ErrRules, protocol.Text{
		FR: "Le journal suit des règles plus récentes que celles que cette version connaît. Mettez-la à jour\u00a0; rien n'est perdu.",
		EN: "The log goes by newer rules than this version knows. Upgrade it; nothing is lost.",
	}},
	{governance.ErrEarlyRules, protocol.Text{
		FR: "Ce document demande des règles du journal qui ne sont pas encore en vigueur. Le bureau les relève quand tous les membres sont à jour.",
		EN: "This document takes rules of the log that are not in force yet. The office raises them when every member has upgraded.",
	}},
	{federation.ErrRefused, protocol.Text{
		FR: "Une règle du protocole refuse ce document dans l'état actuel de la fédération.",
		EN: "A rule of the protocol refuses this document in the federation's present state.",
	}},
	{record.ErrRecord, protocol.Text{
		FR: "Le dossier ne prouve pas ce qu'il affirme. Redemandez-le à une autre réplique, et gardez celui-ci\u00a0: c'est une preuve.",
		EN: "The record does not prove what it states. Ask for it again from another replica, and keep this one: it is evidence.",
	}},
	{tlog.ErrProof, protocol.Text{
		FR: "La preuve ne mène pas à la tête du journal\u00a0: l'entrée a été modifiée, ou vient d'un autre journal.",
		EN: "The proof does not lead to the log's head: the entry was altered, or comes from another log.",
	}},
	{protocol.ErrSignature, protocol.Text{
		FR: "La signature n'est pas celle de l'auteur sur ce document. Il a été modifié, ou vient d'une autre fédération.",
		EN: "The signature is not its author's over this document. It was altered, or comes from another federation.",
	}},
	{protocol.ErrMalformed, protocol.Text{
		FR: "Le document n'a pas la forme prévue. Corrigez-le avant de l'envoyer de nouveau.",
		EN: "The document does not have the expected form. Correct it before sending it again.",
	}},
	{context.DeadlineExceeded, protocol.Text{
		FR: "La réponse a trop tardé. On peut réessayer sans risque.",
		EN: "The answer took too long. Trying again is safe.",
	}},
	{context.Canceled, protocol.Text{
		FR: "L'opération a été annulée.",
		EN: "The operation was cancelled.",
	}},
}
