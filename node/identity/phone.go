package identity

import (
	"regexp"
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"
)

// maxPhone bounds what is handed to the library, in bytes, and maxDigits is
// the longest number with its prefixes: two numbers in a cell have more.
const (
	maxPhone  = 100
	maxDigits = 19
)

// rounded is what a spreadsheet makes of a long number, "1,51456E+10".
var rounded = regexp.MustCompile(`^[0-9]+([.,][0-9]+)?[eE]\+?[0-9]+$`)

// KnownRegion reports whether region is a country code, such as "CA", whose
// numbering plan is known.
func KnownRegion(region string) bool {
	return phonenumbers.GetCountryCodeForRegion(region) != 0
}

// Phone normalises a telephone number as people write it to E.164, reading
// numbers without a country code as of defaultRegion, such as "CA". A refusal
// is a [Reason].
//
// A number with an extension is refused, not stripped: the line is an
// organisation's, and stripping would make one person of all who work there.
// Letters are refused too, since a word is a company's number.
func Phone(raw, defaultRegion string) (Identifier, error) {
	s, err := plain(raw)
	if err != nil {
		return Identifier{}, err
	}
	digits, err := dial(s)
	if err != nil {
		return Identifier{}, err
	}
	e164, ok := northAmerican(digits, defaultRegion)
	if !ok {
		if e164, err = subscriber(digits, defaultRegion); err != nil {
			return Identifier{}, err
		}
	}
	if reason := refusedPhone(e164); reason != "" {
		return Identifier{}, reason
	}
	return Identifier{KindPhone, e164}, nil
}

// dial keeps what one would dial: digits, after a + if there was one.
func dial(s string) (string, error) {
	if len(s) > maxPhone {
		return "", ReasonBadPhone
	}
	if rounded.MatchString(s) {
		return "", ReasonPhoneRounded
	}
	if len(s) > 4 && strings.EqualFold(s[:4], "tel:") {
		s = s[4:]
	}
	out := make([]byte, 0, maxDigits+1)
	for i, r := range s {
		switch digit := digitValue(r); {
		case digit >= 0:
			out = append(out, byte('0'+digit))
		case (r == '+' || r == '\uff0b') && len(out) == 0: // full-width too
			out = append(out, '+')
		case separator(r):
		case extension(s[i:]) && len(out) >= 7:
			return "", ReasonPhoneExtension
		default:
			return "", ReasonBadPhone
		}
	}
	digits := strings.TrimPrefix(string(out), "+")
	switch {
	case len(digits) > maxDigits || digits == "":
		return "", ReasonBadPhone
	case len(digits) >= 7 && strings.Count(digits, digits[:1]) == len(digits),
		digits == "1234567890", digits == "11234567890":
		return "", ReasonPlaceholder
	}
	return string(out), nil
}

// digitValue reads a decimal digit of any script: their blocks of ten are
// contiguous in Unicode, and never start in the middle of one.
func digitValue(r rune) int {
	if r >= '0' && r <= '9' {
		return int(r - '0')
	}
	if r < 0x80 || !unicode.Is(unicode.Nd, r) {
		return -1
	}
	first := r
	for unicode.Is(unicode.Nd, first-1) {
		first--
	}
	return int(r-first) % 10
}

func separator(r rune) bool {
	return strings.ContainsRune(".()/−·", r) || unicode.IsSpace(r) || unicode.Is(unicode.Pd, r)
}

// extension reports words or signs followed by a few digits: "poste 12", "x12",
// "#12", ";ext=12", ",,12".
var extensionForm = regexp.MustCompile(`(?i)^(,+|;|#|x|\*|p\.?|poste?\.?|ext(ension)?\.?|;ext=)[ :.]*[0-9]{1,7}$`)

func extension(rest string) bool { return extensionForm.MatchString(rest) }

// subscriber returns the E.164 form of a number that a numbering plan gives to
// persons.
func subscriber(digits, region string) (string, error) {
	number, err := phonenumbers.Parse(digits, region)
	if err != nil {
		return "", ReasonBadPhone
	}
	switch phonenumbers.GetNumberType(number) {
	case phonenumbers.UNKNOWN:
		if phonenumbers.IsPossibleNumberWithReason(number) == phonenumbers.IS_POSSIBLE_LOCAL_ONLY {
			return "", ReasonNoAreaCode
		}
		return "", ReasonBadPhone
	case phonenumbers.PREMIUM_RATE, phonenumbers.TOLL_FREE, phonenumbers.SHARED_COST,
		phonenumbers.UAN, phonenumbers.VOICEMAIL, phonenumbers.PAGER:
		return "", ReasonServicePhone
	}
	e164 := phonenumbers.Format(number, phonenumbers.E164)
	if !isE164(e164) {
		return "", ReasonBadPhone
	}
	return e164, nil
}

// northAmerican is a short way, ten times faster, for what most cells here
// hold: ten digits, with or without the 1, of a geographic Canadian code. It
// gives what subscriber gives, which a test checks for every area code.
func northAmerican(digits, region string) (e164 string, ok bool) {
	var national string
	switch {
	case len(digits) == 12 && digits[:2] == "+1":
		national = digits[2:]
	case region != "CA" && region != "US":
		return "", false
	case len(digits) == 11 && digits[0] == '1':
		national = digits[1:]
	case len(digits) == 10:
		national = digits
	}
	// 5XX, 6XX, 8XX and 9XX hold codes that are not places (500, 622, 833, 900).
	if national == "" || national[0] < '2' || !place(national[:3]) {
		return "", false
	}
	var n uint64
	for i := range len(national) {
		n = n*10 + uint64(national[i]-'0')
	}
	country := int32(1)
	number := &phonenumbers.PhoneNumber{CountryCode: &country, NationalNumber: &n}
	return "+1" + national, phonenumbers.IsValidNumberForRegion(number, "CA")
}

// place reports an area code that cannot be a service's: not N00 or N11, nor
// 8YY, nor the 5YY and 6YY that follow a person or a machine.
func place(code string) bool {
	return code[1] != code[2] && code[:2] != "52" && code[:2] != "88"
}
