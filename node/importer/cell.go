package importer

import (
	"bytes"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Lengths of what is kept of a cell, in bytes.
const (
	maxEvent  = 500
	maxName   = 200 // of a venue, as definitions have it, and of an order
	maxShort  = 100 // of a cell that is read as a value
	maxPostal = 16
)

// unwrap trims a cell and removes what spreadsheets put around text that looks
// like a number: ="0123" and a leading apostrophe before figures or a +.
func unwrap(cell []byte) []byte {
	cell = bytes.TrimSpace(cell)
	if inner, ok := bytes.CutPrefix(cell, []byte(`="`)); ok {
		if inner, ok = bytes.CutSuffix(inner, []byte(`"`)); ok {
			return bytes.TrimSpace(inner)
		}
	}
	if len(cell) > 1 && cell[0] == '\'' && (cell[1] == '+' || cell[1] >= '0' && cell[1] <= '9') {
		return cell[1:]
	}
	return cell
}

// phrase cleans a cell of words: one space between them, composed accents, no
// invisible characters. Two writings that look the same come out the same.
func phrase(cell []byte, most int) (string, Reason) {
	cell = unwrap(cell)
	if len(cell) > 4*most {
		return "", ReasonTextTooLong
	}
	if tidy(cell) && len(cell) <= most {
		return string(cell), ""
	}
	var b strings.Builder
	gap := false
	for _, r := range norm.NFC.String(string(cell)) {
		switch {
		case r == utf8.RuneError:
			return "", ReasonBadEncoding
		case unicode.IsSpace(r):
			gap = b.Len() > 0
			continue
		case unicode.IsControl(r):
			return "", ReasonControl
		case unicode.In(r, unicode.Cf, unicode.Variation_Selector):
			continue
		}
		if gap {
			b.WriteByte(' ')
			gap = false
		}
		b.WriteRune(r)
	}
	if b.Len() > most {
		return "", ReasonTextTooLong
	}
	return b.String(), ""
}

// tidy reports a trimmed cell that phrase would leave as it is: printable ASCII
// without doubled spaces, which most are.
func tidy(cell []byte) bool {
	for i, c := range cell {
		if c < ' ' || c > '~' || c == ' ' && cell[i-1] == ' ' {
			return false
		}
	}
	return true
}

// answers are the words for yes and no, folded.
var answers = func() map[string]bool {
	set := make(map[string]bool)
	for word := range strings.FieldsSeq("oui o yes y vrai true t 1 x v on coche checked accepte accepted opt-in") {
		set[fold(word)] = true
	}
	for word := range strings.FieldsSeq("non n no faux false f 0 off decoche unchecked refuse refused opt-out") {
		set[fold(word)] = false
	}
	return set
}()

// answer reads yes or no. An empty cell says nothing.
func answer(cell []byte) (yes, said bool, reason Reason) {
	cell = unwrap(cell)
	if len(cell) == 0 {
		return false, false, ""
	}
	if len(cell) > maxShort {
		return false, false, ReasonBadBoolean
	}
	switch string(cell) {
	case "✓", "✔", "☑", "✅":
		return true, true, ""
	case "☐", "✗", "✘":
		return false, true, ""
	}
	yes, said = answers[fold(string(cell))]
	if !said {
		return false, false, ReasonBadBoolean
	}
	return yes, true, ""
}

var postal = regexp.MustCompile(`^([A-Z][0-9][A-Z]([0-9][A-Z][0-9])?|[A-Z0-9]{3,10})$`)

// postalCode compacts a code of any country: upper case, no blanks or hyphens.
func postalCode(cell []byte) (string, Reason) {
	text, reason := phrase(cell, maxPostal)
	if reason != "" {
		return "", WarningPostalCode
	}
	code := strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '-' || r == '–' || r == '.':
			return -1
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		}
		return r
	}, text)
	if code != "" && (!postal.MatchString(code) || !strings.ContainsAny(code, "0123456789")) {
		return "", WarningPostalCode
	}
	return code, ""
}

// memo remembers what cells came out as: a file has many rows and few events.
type memo[V any] struct {
	known map[string]kept[V]
	read  func([]byte) (V, Reason)
}

type kept[V any] struct {
	value  V
	reason Reason
}

// maxMemo bounds a memo; a column with more values gains nothing from it.
const maxMemo = 4096

func remember[V any](read func([]byte) (V, Reason)) *memo[V] {
	return &memo[V]{make(map[string]kept[V]), read}
}

func (m *memo[V]) of(cell []byte) (V, Reason) {
	if k, ok := m.known[string(cell)]; ok {
		return k.value, k.reason
	}
	value, reason := m.read(cell)
	if len(cell) <= maxEvent {
		if len(m.known) == maxMemo {
			clear(m.known)
		}
		m.known[string(cell)] = kept[V]{value, reason}
	}
	return value, reason
}
