package importer

import (
	"coulisse/node/identity"
	"coulisse/protocol"
)

// Reason is the stable code of why a row was refused, or of what was left out
// of one that was kept. Reasons of package identity keep their codes.
type Reason string

// Why a row is refused.
const (
	ReasonBadQuote      Reason = "bad-quote"
	ReasonUnclosedQuote Reason = "unclosed-quote"
	ReasonFieldTooLong  Reason = "field-too-long"
	ReasonRowTooLong    Reason = "row-too-long"
	ReasonTooManyCells  Reason = "too-many-cells"
	ReasonBinary        Reason = "binary"
	ReasonBadEncoding          = Reason(identity.ReasonBadEncoding)
	ReasonControl              = Reason(identity.ReasonControlCharacter)
	ReasonNoIdentifier  Reason = "no-identifier"
	ReasonNoEvent       Reason = "no-event"
	ReasonNoDay         Reason = "no-day"
	ReasonBadDate       Reason = "bad-date"
	ReasonBadQuantity   Reason = "bad-quantity"
	ReasonBadAmount     Reason = "bad-amount"
	ReasonBadBoolean    Reason = "bad-boolean"
	ReasonTextTooLong   Reason = "text-too-long"
	ReasonBadJSON       Reason = "bad-json"
	ReasonLeftOut       Reason = "left-out"
	ReasonTotal         Reason = "total"
	ReasonFormula       Reason = "failed-formula"
	// ReasonErased is a sink's: this package does not know who was erased.
	ReasonErased Reason = "erased"
)

// What a kept row had to do without.
const (
	WarningShortRow   Reason = "short-row"
	WarningPostalCode Reason = "bad-postal-code"
	WarningDiscipline Reason = "unknown-discipline"
	WarningNoAmount   Reason = "no-amount"
	WarningHiddenRow  Reason = "hidden-row"
)

// Text returns a sentence that says what was found and what to do about it.
func (r Reason) Text() protocol.Text {
	if text, ok := sentences[r]; ok {
		return text
	}
	return identity.Reason(r).Text()
}

var sentences = map[Reason]protocol.Text{
	ReasonBadQuote: {
		FR: "Du texte suit un guillemet fermant : doublez les guillemets qui font partie du texte (\"\").",
		EN: "Text follows a closing quotation mark: double the quotation marks that belong to the text (\"\").",
	},
	ReasonUnclosedQuote: {
		FR: "Un guillemet ouvert n'est jamais fermé : ajoutez-le ou retirez-le.",
		EN: "A quotation mark is opened and never closed: add the other one or remove it.",
	},
	ReasonFieldTooLong: {
		FR: "Une case dépasse 64 Kio : raccourcissez-la, ou vérifiez les guillemets.",
		EN: "A cell is longer than 64 KiB: shorten it, or check the quotation marks.",
	},
	ReasonRowTooLong: {
		FR: "La ligne dépasse 1 Mio : raccourcissez ses cases, ou vérifiez les guillemets.",
		EN: "The row is longer than 1 MiB: shorten its cells, or check the quotation marks.",
	},
	ReasonTooManyCells: {
		FR: "La ligne a plus de cases que d'en-têtes : un séparateur est de trop, ou un texte qui en contient un n'est pas entre guillemets.",
		EN: "The row has more cells than there are headings: there is one separator too many, or a text that contains one is not quoted.",
	},
	ReasonBinary: {
		FR: "La ligne contient des octets nuls : le fichier est abîmé à cet endroit, exportez-le de nouveau.",
		EN: "The row contains zero bytes: the file is damaged there, export it again.",
	},
	ReasonNoIdentifier: {
		FR: "La ligne n'a ni adresse ni téléphone : sans eux, elle ne concerne personne.",
		EN: "The row has neither an address nor a telephone: without them it is about nobody.",
	},
	ReasonNoEvent: {
		FR: "Le nom de l'événement manque : inscrivez-le.",
		EN: "The name of the event is missing: enter it.",
	},
	ReasonNoDay: {
		FR: "La date de la représentation manque : inscrivez-la.",
		EN: "The date of the performance is missing: enter it.",
	},
	ReasonBadDate: {
		FR: "La date est illisible ou n'existe pas : écrivez-la comme 2026-11-23, avec les quatre chiffres de l'année.",
		EN: "The date is unreadable or does not exist: write it as 2026-11-23, with all four digits of the year.",
	},
	ReasonBadQuantity: {
		FR: "La quantité n'est pas un nombre entier de billets : corrigez-la.",
		EN: "The quantity is not a whole number of tickets: correct it.",
	},
	ReasonBadAmount: {
		FR: "Le montant n'est pas une somme en dollars canadiens, comme 45,50 : corrigez-le.",
		EN: "The amount is not a sum in Canadian dollars, such as 45.50: correct it.",
	},
	ReasonBadBoolean: {
		FR: "La réponse au consentement n'est ni oui ni non : écrivez l'un ou l'autre, ou laissez vide.",
		EN: "The answer about consent is neither yes nor no: write one of them, or leave it empty.",
	},
	ReasonErased: {
		FR: "Cette personne a été effacée à sa demande : la ligne n'est pas reprise. Si elle est revenue et l'a dit, « coulisse person readmit ».",
		EN: "This person was erased on request: the row is left out. If the person came back and said so, “coulisse person readmit”.",
	},
	ReasonTextTooLong: {
		FR: "Un nom est trop long (événement 500 octets, salle et commande 200) : raccourcissez-le.",
		EN: "A name is too long (event 500 bytes, venue and order 200): shorten it.",
	},
	WarningShortRow: {
		FR: "La ligne a moins de cases que d'en-têtes : celles qui manquent comptent comme vides.",
		EN: "The row has fewer cells than there are headings: those missing count as empty.",
	},
	ReasonTotal: {
		FR: "La ligne est un total : elle ne concerne personne, il n'y a rien à faire.",
		EN: "The row is a total: it is about nobody, there is nothing to do.",
	},
	ReasonFormula: {
		FR: "Une case contient une formule en erreur ou jamais calculée (#N/A, =…) : ouvrez le fichier dans Excel, corrigez ou recalculez, puis enregistrez.",
		EN: "A cell has a formula that failed or was never computed (#N/A, =…): open the file in Excel, correct or recalculate, then save.",
	},
	ReasonLeftOut: {
		FR: "La ligne n'est pas une vente, ou ne l'est plus, d'après la correspondance (left_out) : il n'y a rien à faire.",
		EN: "The row is no sale, or no longer one, as the mapping says (left_out): there is nothing to do.",
	},
	ReasonBadJSON: {
		FR: "Ce n'est pas un objet JSON bien formé, ou il nomme deux fois la même chose : corrigez-le, ou exportez de nouveau.",
		EN: "This is no well-formed JSON object, or it names the same thing twice: correct it, or export again.",
	},
	WarningHiddenRow: {
		FR: "La ligne est masquée dans le classeur, par un filtre ou à la main, et a été prise quand même : supprimez-la si elle ne doit pas compter.",
		EN: "The row is hidden in the workbook, by a filter or by hand, and was taken all the same: delete it if it should not count.",
	},
	WarningPostalCode: {
		FR: "Le code postal est illisible et a été laissé de côté : écrivez-le comme H2X 1Y4.",
		EN: "The postal code is unreadable and was left out: write it as H2X 1Y4.",
	},
	WarningNoAmount: {
		FR: "Le montant manque et compte comme 0 $ : inscrivez-le si les billets étaient payants.",
		EN: "The amount is missing and counts as $0: enter it if the tickets were paid for.",
	},
	WarningDiscipline: {
		FR: "La discipline n'est pas dans la taxonomie et a été laissée vide : utilisez un de ses termes, comme « danse contemporaine ».",
		EN: "The discipline is not in the taxonomy and was left empty: use one of its terms, such as \"contemporary dance\".",
	},
}
