package protocol

import (
	"strconv"
	"strings"
)

// spanUnits are what lengths of time are said in, the largest first: one, then
// several, in each language.
var spanUnits = []struct {
	length    Span
	one, many Text
}{
	{24 * 3600 * 1000, Text{FR: "jour", EN: "day"}, Text{FR: "jours", EN: "days"}},
	{3600 * 1000, Text{FR: "heure", EN: "hour"}, Text{FR: "heures", EN: "hours"}},
	{60 * 1000, Text{FR: "minute", EN: "minute"}, Text{FR: "minutes", EN: "minutes"}},
	{1000, Text{FR: "seconde", EN: "second"}, Text{FR: "secondes", EN: "seconds"}},
}

// Words says a length of time to its two largest units, rounded down: "7 days",
// "6 days 23 hours".
func (s Span) Words() Text {
	var fr, en []string
	for _, unit := range spanUnits {
		n := s / unit.length
		s -= n * unit.length
		if n > 0 {
			name := unit.many
			if n == 1 {
				name = unit.one
			}
			count := strconv.FormatInt(int64(n), 10)
			fr, en = append(fr, count+"\u00a0"+name.FR), append(en, count+" "+name.EN)
		}
		if len(fr) == 2 || len(fr) == 1 && n == 0 {
			break
		}
	}
	if len(fr) == 0 {
		return Text{FR: "moins d'une seconde", EN: "less than a second"}
	}
	return Text{FR: strings.Join(fr, " "), EN: strings.Join(en, " ")}
}

// Open says how long such a vote stays open, as what follows "open for": "7
// days to 60 days", in French after « ouvert ».
func (r VotingRule) Open() Text {
	least, most := r.MinOpen.Words(), r.MaxOpen.Words()
	if r.MinOpen <= 0 {
		return Text{FR: "au plus " + most.FR, EN: "at most " + most.EN}
	}
	count, unit, _ := strings.Cut(least.FR, "\u00a0")
	if strings.HasSuffix(most.FR, "\u00a0"+unit) && !strings.Contains(most.FR, " ") {
		least.FR = count // the unit is said once: 7 à 60 jours
	}
	return Text{FR: "de " + least.FR + " à " + most.FR, EN: least.EN + " to " + most.EN}
}
