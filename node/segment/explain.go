package segment

import (
	"strconv"
	"strings"
	"time"
	"unicode"

	"coulisse/node/taxonomy"
	"coulisse/node/warehouse"
	"coulisse/protocol"
)

// Explain reads a definition aloud, in French for "fr", else in English:
// "People who attended contemporary dance at least twice since 1 September
// 2025 and live in H2 or H3". Definitions of other members may be explained
// too: their words are shown as words, without control characters.
func Explain(d protocol.Definition, lang string) string {
	if lang == "fr" {
		return explainFR(d)
	}
	return explainEN(d)
}

func explainEN(d protocol.Definition) string {
	home := choice("", d.PostalPrefixes, " or ")
	places := choice("", quoted(d.Venues, "“", "”"), " or ")
	deeds := deedsEN(d, places)
	switch {
	case deeds == "" && home == "":
		return "Everybody"
	case deeds == "":
		return "Everybody who lives in " + home
	}
	s := "People who " + deeds
	if places != "" && !strings.Contains(deeds, places) {
		s += " at " + places
	}
	s += spanEN(d.From, d.Until)
	if home != "" {
		s += " and live in " + home
	}
	return s
}

// deedsEN says what people did. What is attended hangs on the first verb;
// where that is nothing in particular, the places do: "came to".
func deedsEN(d protocol.Definition, places string) string {
	about := choice("", titles(d.Disciplines, "en"), " or ")
	var deeds []string
	if visits := warehouse.LeastVisits(d); visits > 0 {
		verb := "came"
		switch {
		case about != "":
			verb = "attended " + about
		case places != "":
			verb = "came to " + places
		}
		deeds = append(deeds, verb+" at least "+timesEN(visits))
	}
	if d.MinTickets > 0 {
		deeds = append(deeds, "bought at least "+count(d.MinTickets, ",")+plural(d.MinTickets, " ticket")+carried(deeds, " for ", about))
	}
	if d.MinCents > 0 {
		deeds = append(deeds, "spent at least $"+amount(d.MinCents, ",", ".")+carried(deeds, " on ", about))
	}
	return choice("", deeds, " and ")
}

func explainFR(d protocol.Definition) string {
	home := choice("", d.PostalPrefixes, " ou ")
	if home != "" {
		home = "dont le code postal commence par " + home
	}
	deeds := deedsFR(d)
	switch {
	case deeds == "" && home == "":
		return "Toutes les personnes"
	case deeds == "":
		return "Toutes les personnes " + home
	}
	s := "Personnes ayant " + deeds
	if len(d.Venues) > 0 {
		s += " à " + choice("", quoted(d.Venues, "«\u00a0", "\u00a0»"), " ou ")
	}
	s += spanFR(d.From, d.Until)
	if home != "" {
		s += " et " + home
	}
	return s
}

// deedsFR says what people did. "En" goes before any discipline's name
// without an article, which no table of titles gives.
func deedsFR(d protocol.Definition) string {
	about := choice("en ", titles(d.Disciplines, "fr"), " ou ")
	var deeds []string
	if visits := warehouse.LeastVisits(d); visits > 0 {
		deeds = append(deeds, "fait au moins "+outingsFR(visits)+carried(deeds, " ", about))
	}
	if d.MinTickets > 0 {
		deeds = append(deeds, "acheté au moins "+count(d.MinTickets, "\u00a0")+plural(d.MinTickets, " billet")+carried(deeds, " ", about))
	}
	if d.MinCents > 0 {
		deeds = append(deeds, "dépensé au moins "+amount(d.MinCents, "\u00a0", ",")+"\u00a0$"+carried(deeds, " ", about))
	}
	return choice("", deeds, " et ")
}

// carried is the discipline for the first deed, which carries it for all.
func carried(deeds []string, preposition, about string) string {
	if len(deeds) > 0 || about == "" {
		return ""
	}
	return preposition + about
}

func titles(codes []string, lang string) []string {
	var words []string
	for _, code := range codes {
		title := taxonomy.Title(code).In(lang)
		if title == "" {
			title = code
		}
		first, rest := []rune(title)[:1], []rune(title)[1:]
		words = append(words, strings.ToLower(string(first))+string(rest))
	}
	return words
}

// quoted puts names between marks, without what a terminal or a page would
// obey rather than show.
func quoted(names []string, open, end string) []string {
	var words []string
	for _, name := range names {
		words = append(words, open+strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return -1
			}
			return r
		}, name)+end)
	}
	return words
}

// choice joins "a, b or c", each after the prefix.
func choice(prefix string, words []string, last string) string {
	var b strings.Builder
	for i, word := range words {
		switch i {
		case 0:
		case len(words) - 1:
			b.WriteString(last)
		default:
			b.WriteString(", ")
		}
		b.WriteString(prefix + word)
	}
	return b.String()
}

func timesEN(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return count(n, ",") + " times"
}

func outingsFR(n int) string {
	switch n {
	case 1:
		return "une sortie"
	case 2:
		return "deux sorties"
	}
	return count(n, "\u00a0") + " sorties"
}

func plural(n int, word string) string {
	if n > 1 {
		return word + "s"
	}
	return word
}

// count writes a number with its thousands apart.
func count(n int, separator string) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + separator + digits[i:]
	}
	return digits
}

// amount writes cents as dollars, round amounts without their zeros.
func amount(cents int64, separator, point string) string {
	dollars := count(int(cents/100), separator)
	if cents%100 == 0 {
		return dollars
	}
	return dollars + point + strconv.Itoa(int(100 + cents%100))[1:]
}

func spanEN(from, until protocol.Date) string {
	switch {
	case from == "" && until == "":
		return ""
	case until == "":
		return " since " + dayEN(from)
	case from == "":
		return " until " + dayEN(until)
	case from == until:
		return " on " + dayEN(from)
	}
	return " from " + dayEN(from) + " to " + dayEN(until)
}

func spanFR(from, until protocol.Date) string {
	switch {
	case from == "" && until == "":
		return ""
	case until == "":
		return " depuis le " + dayFR(from)
	case from == "":
		return " jusqu’au " + dayFR(until)
	case from == until:
		return " le " + dayFR(from)
	}
	return " du " + dayFR(from) + " au " + dayFR(until)
}

func dayEN(d protocol.Date) string {
	t, err := time.Parse(time.DateOnly, string(d))
	if err != nil {
		return string(d)
	}
	return t.Format("2 January 2006")
}

var monthsFR = [...]string{"janvier", "février", "mars", "avril", "mai", "juin",
	"juillet", "août", "septembre", "octobre", "novembre", "décembre"}

func dayFR(d protocol.Date) string {
	t, err := time.Parse(time.DateOnly, string(d))
	if err != nil {
		return string(d)
	}
	day := strconv.Itoa(t.Day())
	if day == "1" {
		day = "1er"
	}
	return day + " " + monthsFR[t.Month()-1] + " " + strconv.Itoa(t.Year())
}
