package segment

import (
	"strings"
	"testing"

	"coulisse/protocol"
)

func TestExplain(t *testing.T) {
	for _, c := range []struct {
		d      protocol.Definition
		en, fr string
	}{
		{protocol.Definition{}, "Everybody", "Toutes les personnes"},
		{
			protocol.Definition{PostalPrefixes: []string{"H2", "H3", "G1R"}},
			"Everybody who lives in H2, H3 or G1R",
			"Toutes les personnes dont le code postal commence par H2, H3 ou G1R",
		},
		{
			protocol.Definition{Disciplines: []string{"dance.contemporary"}, MinVisits: 2, From: "2025-09-01", PostalPrefixes: []string{"H2", "H3"}},
			"People who attended contemporary dance at least twice since 1 September 2025 and live in H2 or H3",
			"Personnes ayant fait au moins deux sorties en danse contemporaine depuis le 1er septembre 2025 et dont le code postal commence par H2 ou H3",
		},
		{
			protocol.Definition{Disciplines: []string{"dance", "circus", "music.jazz"}, Until: "2026-06-30"},
			"People who attended dance, circus or jazz and blues at least once until 30 June 2026",
			"Personnes ayant fait au moins une sortie en danse, en cirque ou en jazz et blues jusqu’au 30 juin 2026",
		},
		{
			protocol.Definition{Venues: []string{"Usine C", "Place des Arts"}, MinVisits: 12, From: "2026-02-03", Until: "2026-02-03"},
			"People who came to “Usine C” or “Place des Arts” at least 12 times on 3 February 2026",
			"Personnes ayant fait au moins 12 sorties à «\u00a0Usine C\u00a0» ou «\u00a0Place des Arts\u00a0» le 3 février 2026",
		},
		{
			protocol.Definition{MinVisits: 1, MinTickets: 1, MinCents: 123_405, From: "2025-12-01", Until: "2026-08-31"},
			"People who came at least once, bought at least 1 ticket and spent at least $1,234.05 from 1 December 2025 to 31 August 2026",
			"Personnes ayant fait au moins une sortie, acheté au moins 1 billet et dépensé au moins 1\u00a0234,05\u00a0$ du 1er décembre 2025 au 31 août 2026",
		},
		{
			protocol.Definition{Disciplines: []string{"theatre"}, MinTickets: 1500},
			"People who bought at least 1,500 tickets for theatre",
			"Personnes ayant acheté au moins 1\u00a0500 billets en théâtre",
		},
		{
			protocol.Definition{Disciplines: []string{"theatre"}, MinCents: 5000},
			"People who spent at least $50 on theatre",
			"Personnes ayant dépensé au moins 50\u00a0$ en théâtre",
		},
		{
			protocol.Definition{Disciplines: []string{"unheard.of"}},
			"People who attended unheard.of at least once",
			"Personnes ayant fait au moins une sortie en unheard.of",
		},
	} {
		if got := Explain(c.d, "en"); got != c.en {
			t.Errorf("got  %s\nwant %s", got, c.en)
		}
		if got := Explain(c.d, "fr"); got != c.fr {
			t.Errorf("got  %s\nwant %s", got, c.fr)
		}
	}
}

// A definition may come from another member, and be read on a terminal.
func TestExplainShowsNoControls(t *testing.T) {
	d := protocol.Definition{Venues: []string{"a\x1b[2Jb\nc\u202ed"}}
	for _, lang := range []string{"fr", "en"} {
		if got := Explain(d, lang); strings.ContainsAny(got, "\x1b\n\u202e") || !strings.Contains(got, "a[2Jbcd") {
			t.Errorf("%q", got)
		}
	}
}
