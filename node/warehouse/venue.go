package warehouse

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// ligatures are letters that decomposition leaves alone, though French writes
// the same names with and without them.
var ligatures = strings.NewReplacer("œ", "oe", "æ", "ae")

// venueKey writes a venue's name the way that names are compared: without
// case, accents, or doubled spaces. Files and definitions both pass here.
func venueKey(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKD.String(text(name)))
	return ligatures.Replace(strings.Join(strings.Fields(name), " "))
}

// venueKeys remembers keys: a file has many lines and few venues.
type venueKeys map[string]string

const maxVenueKeys = 4096

func (keys venueKeys) of(name string) string {
	key, known := keys[name]
	if !known {
		if len(keys) == maxVenueKeys {
			clear(keys)
		}
		key = venueKey(name)
		keys[name] = key
	}
	return key
}
