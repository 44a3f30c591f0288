package identity

import (
	"strings"
	"unicode"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// Limits of RFC 1035, section 2.3.4, in the form that is written with dots.
const (
	maxDomain = 253
	maxLabel  = 63
)

// normalDomain returns the domain in A-labels and lower case: IDNA 2008 with
// the mapping of UTS 46, not transitional, strict host names.
//
// The mapping has one exception: no character outside ASCII may become one
// inside. A Kelvin sign, a full-width letter or a ligature is refused, since
// what a person read and what a name server is asked would differ.
func normalDomain(domain string) (string, error) {
	if plainHost(domain) {
		return checkedDomain(lowerASCII(domain))
	}
	for _, r := range domain {
		if r >= 0x80 && becomesASCII(r) {
			return "", ReasonBadDomain
		}
	}
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil {
		return "", ReasonBadDomain // the library's error quotes the label
	}
	return checkedDomain(ascii)
}

// plainHost reports a domain that IDNA would only lower, which is nearly all of
// them: letters, digits and inner hyphens, and no label like "xn--".
func plainHost(domain string) bool {
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' ||
			len(label) >= 4 && label[2:4] == "--" {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if c != '-' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
				return false
			}
		}
	}
	return true
}

func becomesASCII(r rune) bool {
	switch {
	case unicode.ToLower(r) < 0x80: // U+0130 and the Kelvin sign
		return true
	case r == 0x3002 || r == 0xff61: // full stops of other scripts
		return true
	case r == 0x1e9e: // capital sharp s: "ss" before Unicode 16, "ß" since
		return true
	}
	for _, mapped := range norm.NFKC.String(string(r)) {
		if mapped < 0x80 {
			return true
		}
	}
	return false
}

// checkedDomain demands at least two labels of legal length, none of them
// empty, and a last one that is not a number: an IP address is no domain.
func checkedDomain(domain string) (string, error) {
	if len(domain) > maxDomain {
		return "", ReasonTooLong
	}
	last, labels := "", 0
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" {
			return "", ReasonBadDomain
		}
		if len(label) > maxLabel {
			return "", ReasonTooLong
		}
		last = label
		labels++
	}
	if labels < 2 || allDigits(last) {
		return "", ReasonBadDomain
	}
	return domain, nil
}
