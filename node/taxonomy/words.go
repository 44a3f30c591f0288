package taxonomy

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// ignored are the small words that names are spelled with or without.
var ignored = setOf(`a au aux the of for and or et ou de des du d la le les l un une en in pour par with avec sur on at`)

// wordsOf returns the words of a name that carry meaning: without case,
// accents, articles and the s of a plural, sorted, each once.
func wordsOf(name string) []string {
	var words []string
	for _, word := range strings.FieldsFunc(fold(name), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}) {
		if !ignored[word] {
			words = append(words, singular(word))
		}
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// fold lowers, opens ligatures and drops accents.
func fold(s string) string {
	var b strings.Builder
	for _, r := range norm.NFD.String(strings.ToLower(s)) {
		switch {
		case unicode.Is(unicode.Mn, r):
		case r == 'œ':
			b.WriteString("oe")
		case r == 'æ':
			b.WriteString("ae")
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func singular(word string) string {
	if len(word) > 3 && (strings.HasSuffix(word, "s") || strings.HasSuffix(word, "x")) &&
		!strings.HasSuffix(word, "ss") {
		return word[:len(word)-1]
	}
	return word
}

func setOf(words string) map[string]bool {
	set := make(map[string]bool)
	for word := range strings.FieldsSeq(words) {
		set[word] = true
	}
	return set
}
