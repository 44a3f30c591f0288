package identity

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of RFC 5321, section 4.5.3.1, and of its erratum 1690 for a path.
const (
	maxLocal   = 64
	maxAddress = 254
	// maxRaw bounds the work done for a cell before anything else is known of it.
	maxRaw = 1024
)

// Email normalises an address as people write it. A refusal is a [Reason].
func Email(raw string) (Identifier, error) {
	address, err := normalAddress(raw)
	if err != nil {
		return Identifier{}, err
	}
	if reason := refusedAddress(address); reason != "" {
		return Identifier{}, reason
	}
	return Identifier{KindEmail, address}, nil
}

// normalAddress applies the profile without the lists.
func normalAddress(raw string) (string, error) {
	s, err := plain(raw)
	if err != nil {
		return "", err
	}
	local, domain, err := split(s)
	if err != nil {
		return "", err
	}
	if domain, err = normalDomain(domain); err != nil {
		return "", err
	}
	local = lowerASCII(local)
	if domain == "gmail.com" || domain == "googlemail.com" {
		domain = "gmail.com"
		local, _, _ = strings.Cut(local, "+")
		local = strings.ReplaceAll(local, ".", "")
		if local == "" {
			return "", ReasonBadLocal
		}
	}
	if len(local)+1+len(domain) > maxAddress {
		return "", ReasonTooLong
	}
	return local + "@" + domain, nil
}

// plain trims white space and refuses what cannot be seen: a character that
// neither a person nor a screen shows must not make two persons of one.
func plain(raw string) (string, error) {
	s := strings.TrimSpace(raw)
	switch {
	case s == "":
		return "", ReasonEmpty
	case len(s) > maxRaw:
		return "", ReasonTooLong
	case !utf8.ValidString(s):
		return "", ReasonBadEncoding
	}
	for _, r := range s {
		switch {
		case unicode.Is(unicode.Cc, r):
			return "", ReasonControlCharacter
		case r >= 0x80 && invisible(r):
			return "", ReasonZeroWidth
		}
	}
	return s, nil
}

// invisible reports characters without a width or that only steer the others:
// zero-width spaces and joiners, direction marks, the byte order mark, the
// soft hyphen, variation selectors, fillers, line and paragraph separators.
func invisible(r rune) bool {
	return unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// split returns the part before the @, checked, and the part after it.
func split(s string) (local, domain string, err error) {
	if s[0] == '"' {
		return "", "", ReasonBadLocal // quoted: nobody has one, and it may hide an @
	}
	local, domain, found := strings.Cut(s, "@")
	switch {
	case !found:
		return "", "", ReasonNoAt
	case strings.Contains(domain, "@"):
		return "", "", ReasonManyAt
	}
	for i := range len(local) {
		if local[i] >= 0x80 {
			return "", "", ReasonNotASCIILocal
		}
	}
	if !dotAtom(local) {
		return "", "", ReasonBadLocal
	}
	if len(local) > maxLocal {
		return "", "", ReasonTooLong
	}
	return local, domain, nil
}

// dotAtom reports a local part that needs no quotes: RFC 5322, section 3.2.3.
func dotAtom(local string) bool {
	for atom := range strings.SplitSeq(local, ".") {
		if atom == "" {
			return false
		}
		for i := range len(atom) {
			if !atomCharacter(atom[i]) {
				return false
			}
		}
	}
	return true
}

func atomCharacter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

// lowerASCII lowers A to Z and nothing else. strings.ToLower would make a k of
// the Kelvin sign, and so one person of two.
func lowerASCII(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if 'A' <= b[i] && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}
