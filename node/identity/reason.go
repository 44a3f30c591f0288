package identity

import "coulisse/protocol"

// Reason says why a value is no identifier of a person. It is the error that
// [Email] and [Phone] return, and a stable code in reports. It never holds any
// part of the value.
type Reason string

// The reasons, in the order in which they are looked for.
const (
	ReasonEmpty            Reason = "empty"
	ReasonTooLong          Reason = "too-long"
	ReasonBadEncoding      Reason = "bad-encoding"
	ReasonControlCharacter Reason = "control-character"
	ReasonZeroWidth        Reason = "zero-width"

	ReasonNoAt          Reason = "no-at"
	ReasonManyAt        Reason = "many-at"
	ReasonNotASCIILocal Reason = "not-ascii-local"
	ReasonBadLocal      Reason = "bad-local"
	ReasonBadDomain     Reason = "bad-domain"
	ReasonPlaceholder   Reason = "placeholder"
	ReasonRoleAddress   Reason = "role-address"

	ReasonPhoneRounded   Reason = "phone-rounded"
	ReasonPhoneExtension Reason = "phone-extension"
	ReasonNoAreaCode     Reason = "no-area-code"
	ReasonBadPhone       Reason = "bad-phone"
	ReasonServicePhone   Reason = "service-phone"
	ReasonSharedPhone    Reason = "shared-phone"
)

// Error returns the English sentence.
func (r Reason) Error() string { return r.Text().EN }

// Text returns a sentence that says what was found and what to do about it.
// For a code that is not a reason of this package both languages are empty.
func (r Reason) Text() protocol.Text { return sentences[r] }

var sentences = map[Reason]protocol.Text{
	ReasonEmpty: {
		FR: "La case est vide : inscrivez une adresse ou un numéro.",
		EN: "The cell is empty: enter an address or a number.",
	},
	ReasonTooLong: {
		FR: "L'adresse dépasse la longueur permise (64 caractères avant le @, 254 en tout) : vérifiez que la case ne contient que l'adresse.",
		EN: "The address is longer than allowed (64 characters before the @, 254 in all): check that the cell holds the address only.",
	},
	ReasonBadEncoding: {
		FR: "Des caractères sont illisibles : enregistrez de nouveau le fichier en « CSV UTF-8 ».",
		EN: "Some characters are unreadable: save the file again as \"CSV UTF-8\".",
	},
	ReasonControlCharacter: {
		FR: "La case contient une tabulation, un saut de ligne ou un caractère de commande : retapez-la.",
		EN: "The cell contains a tab, a line break or a control character: type it again.",
	},
	ReasonZeroWidth: {
		FR: "La case contient un caractère invisible, souvent collé depuis une page web : retapez-la.",
		EN: "The cell contains an invisible character, often pasted from a web page: type it again.",
	},
	ReasonNoAt: {
		FR: "L'adresse n'a pas de @ : corrigez-la, ou vérifiez que la bonne colonne est choisie.",
		EN: "The address has no @: correct it, or check that the right column is chosen.",
	},
	ReasonManyAt: {
		FR: "La case contient plus d'un @ : gardez une seule adresse.",
		EN: "The cell contains more than one @: keep one address.",
	},
	ReasonNotASCIILocal: {
		FR: "L'adresse a un accent ou un caractère spécial avant le @ : demandez l'adresse exacte à la personne.",
		EN: "The address has an accent or a special character before the @: ask the person for the exact address.",
	},
	ReasonBadLocal: {
		FR: "La partie avant le @ contient une espace, un guillemet, un point mal placé ou un signe interdit : corrigez l'adresse.",
		EN: "The part before the @ contains a space, a quotation mark, a misplaced dot or a forbidden sign: correct the address.",
	},
	ReasonBadDomain: {
		FR: "La partie après le @ n'est pas un nom de domaine complet, comme exemple.ca : corrigez l'adresse.",
		EN: "The part after the @ is not a complete domain name, such as example.ca: correct the address.",
	},
	ReasonPlaceholder: {
		FR: "La valeur est un bouche-trou (test@, aucun@, 000-0000…), pas une personne : laissez la case vide ou inscrivez la vraie.",
		EN: "The value is a placeholder (test@, none@, 000-0000…), not a person: leave the cell empty or enter the real one.",
	},
	ReasonRoleAddress: {
		FR: "L'adresse est celle d'un service (info@, billetterie@…), pas d'une personne : inscrivez l'adresse personnelle.",
		EN: "The address belongs to a department (info@, tickets@…), not to a person: enter the personal address.",
	},
	ReasonPhoneRounded: {
		FR: "Le tableur a changé le numéro en 1,5E+10 et en a perdu des chiffres : mettez la colonne en format texte et exportez de nouveau.",
		EN: "The spreadsheet turned the number into 1.5E+10 and lost digits: format the column as text and export again.",
	},
	ReasonPhoneExtension: {
		FR: "Le numéro a un poste : c'est la ligne d'un organisme, que plusieurs personnes partagent. Inscrivez un numéro direct.",
		EN: "The number has an extension: it is an organisation's line, shared by several people. Enter a direct number.",
	},
	ReasonNoAreaCode: {
		FR: "Il manque l'indicatif régional : écrivez les dix chiffres, comme 514 555-0123.",
		EN: "The area code is missing: write all ten digits, such as 514 555-0123.",
	},
	ReasonBadPhone: {
		FR: "Ce n'est pas un numéro de téléphone attribuable : vérifiez les chiffres, et commencez par + hors de l'Amérique du Nord.",
		EN: "This is not a telephone number that can be assigned: check the digits, and start with + outside North America.",
	},
	ReasonServicePhone: {
		FR: "C'est un numéro sans frais, surtaxé ou de service, pas celui d'une personne : inscrivez un numéro personnel.",
		EN: "This is a toll-free, premium or service number, not a person's: enter a personal number.",
	},
	ReasonSharedPhone: {
		FR: "C'est le numéro d'un comptoir ou d'une billetterie, pas d'une personne : inscrivez un numéro personnel.",
		EN: "This is the number of a counter or a box office, not of a person: enter a personal number.",
	},
}
