package node

import (
	"context"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"coulisse/node/coordclient"
	"coulisse/node/importer"
	"coulisse/node/rounds"
	"coulisse/node/segment"
	"coulisse/node/warehouse"
	"coulisse/node/witness"
	"coulisse/policies"
	"coulisse/protocol"
	"coulisse/protocol/refusal"
)

// Words is an error in both languages, for the member's own people. Where the
// error has words in English only, they are passed on as a detail: they hold
// no identifier, and without them nobody could correct a file.
func Words(err error) protocol.Text {
	var worded refusal.Worded
	if errors.As(err, &worded) && worded.Words().Check() == nil {
		return worded.Words()
	}
	var problem *importer.Problem
	if errors.As(err, &problem) {
		return problem.Text
	}
	for _, kind := range kinds {
		if errors.Is(err, kind.err) {
			return detailed(kind.words, kind.detail, err, kind.err)
		}
	}
	words := refusal.Words(err)
	unknown := words == refusal.Words(errors.New(""))
	return detailed(words, unknown || errors.Is(err, protocol.ErrMalformed), err, protocol.ErrMalformed)
}

// kinds are this side's own errors. The first match wins.
var kinds = []struct {
	err    error
	detail bool // the error's own words say more
	words  protocol.Text
}{
	{ErrNotEnrolled, false, protocol.Text{
		FR: "Ce nœud n'est pas encore inscrit. Lancez «\u00a0coulisse node enroll\u00a0» avec le jeton que le bureau de la coopérative vous remet.",
		EN: "This node has not enrolled yet. Run “coulisse node enroll” with the token that the co-operative's office gives you.",
	}},
	{coordclient.ErrStranger, false, protocol.Text{
		FR: "Celui qui a répondu n'est pas le coordonnateur que nomme le jeton. N'allez pas plus loin, et prévenez le bureau de la coopérative.",
		EN: "Whoever answered is not the coordinator that the token names. Do not go on, and tell the co-operative's office.",
	}},
	{warehouse.ErrAlreadyImported, false, protocol.Text{
		FR: "Ce fichier a déjà été importé. Ses lignes sont là, il n'y a rien à faire.",
		EN: "This file was imported before. Its rows are there, and there is nothing to do.",
	}},
	{warehouse.ErrImporting, false, protocol.Text{
		FR: "Un autre import est en cours. Recommencez quand il sera terminé.",
		EN: "Another import is running. Try again when it has ended.",
	}},
	{warehouse.ErrInUse, false, protocol.Text{
		FR: "Le nœud est déjà en marche sur ce dossier. Utilisez ses commandes, ou arrêtez-le d'abord.",
		EN: "The node is already running on this folder. Use its commands, or stop it first.",
	}},
	{warehouse.ErrNewer, false, protocol.Text{
		FR: "Une version plus récente du programme a écrit ces données. Mettez le programme à jour.",
		EN: "A newer version of the program wrote these data. Upgrade the program.",
	}},
	{warehouse.ErrNoPerson, false, protocol.Text{
		FR: "Personne n'a ce numéro dans l'entrepôt. Cherchez de nouveau avec «\u00a0coulisse person find\u00a0».",
		EN: "Nobody in the warehouse has that number. Search again with “coulisse person find”.",
	}},
	{warehouse.ErrTaken, false, protocol.Text{
		FR: "Une autre personne de l'entrepôt a cet identifiant. Voyez laquelle des deux est la bonne, puis effacez ou rectifiez l'autre.",
		EN: "Another person in the warehouse has that identifier. Find out which of the two is right, then erase or rectify the other.",
	}},
	{warehouse.ErrBusy, false, protocol.Text{
		FR: "L'entrepôt est lu depuis longtemps par une autre opération. Recommencez quand elle sera terminée.",
		EN: "The warehouse has long been read by something else. Try again when that has ended.",
	}},
	{warehouse.ErrExporting, false, protocol.Text{
		FR: "Une autre exportation est en cours. Recommencez quand elle sera terminée.",
		EN: "Another export is running. Try again when it has ended.",
	}},
	{ErrNobody, false, protocol.Text{
		FR: "L'entrepôt n'a personne sous ce courriel, ce téléphone, ce code de commande ou ce numéro.",
		EN: "The warehouse has nobody under that address, telephone, order code or number.",
	}},
	{segment.ErrNotFound, false, protocol.Text{
		FR: "Aucun segment ne porte ce nom. «\u00a0coulisse segment list\u00a0» montre ceux qu'il y a.",
		EN: "No segment has that name. “coulisse segment list” shows which there are.",
	}},
	{segment.ErrUnknownDiscipline, true, protocol.Text{
		FR: "La taxonomie culturelle n'a pas cette discipline. Corrigez la définition.",
		EN: "The cultural taxonomy does not have this discipline. Correct the definition.",
	}},
	{rounds.ErrNoLabels, false, protocol.Text{
		FR: "Ce nœud n'a pas d'étiquettes pour cette audience\u00a0: il n'en est pas destinataire, ou elles ne sont pas encore arrivées.",
		EN: "This node has no labels of this audience: it is not a recipient, or they have not come yet.",
	}},
	{witness.ErrEvidence, true, protocol.Text{
		FR: "Le journal du coordonnateur enfreint les règles de la fédération. Ce nœud a cessé de le suivre et garde l'entrée en preuve. Comparez vos têtes de journal avec un autre membre, et prévenez le conseil de la coopérative.",
		EN: "The coordinator's log breaks the rules of the federation. This node has stopped following it, and keeps the entry as evidence. Compare log heads with another member, and tell the co-operative's board.",
	}},
	{policies.ErrRefused, true, protocol.Text{
		FR: "Ce texte ne peut pas être une politique. Corrigez-le.",
		EN: "This text cannot be a policy. Correct it.",
	}},
	{context.Canceled, false, protocol.Text{FR: "L'opération a été annulée.", EN: "The operation was cancelled."}},
}

// detailed adds an error's own words, without those of its kind.
func detailed(words protocol.Text, detail bool, err, kind error) protocol.Text {
	if !detail {
		return words
	}
	said := strings.TrimPrefix(err.Error(), kind.Error()+": ")
	if said == "" {
		return words
	}
	first, size := utf8.DecodeRuneInString(said)
	room := protocol.MaxText - max(len(words.FR), len(words.EN)) - 40
	if len(said) > room {
		said = said[:room]
	}
	return protocol.Text{
		FR: words.FR + " Détail\u00a0: " + said + ".",
		EN: words.EN + " Detail: " + string(unicode.ToLower(first)) + said[size:] + ".",
	}
}
