package protocol_test

import (
	"testing"

	"coulisse/protocol"
)

func TestSpansAreSaidInWords(t *testing.T) {
	const hour, day = 3600 * 1000, 24 * 3600 * 1000
	for span, want := range map[protocol.Span]protocol.Text{
		0:                 {FR: "moins d'une seconde", EN: "less than a second"},
		7 * day:           {FR: "7\u00a0jours", EN: "7 days"},
		day:               {FR: "1\u00a0jour", EN: "1 day"},
		7*day - 1:         {FR: "6\u00a0jours 23\u00a0heures", EN: "6 days 23 hours"},
		36 * hour:         {FR: "1\u00a0jour 12\u00a0heures", EN: "1 day 12 hours"},
		10 * 60 * 1000:    {FR: "10\u00a0minutes", EN: "10 minutes"},
		2*day + 3*60*1000: {FR: "2\u00a0jours", EN: "2 days"},
		90 * 1000:         {FR: "1\u00a0minute 30\u00a0secondes", EN: "1 minute 30 seconds"},
	} {
		if got := span.Words(); got != want {
			t.Errorf("%s: %q", span, got)
		}
	}
	for _, tt := range []struct {
		least, most protocol.Span
		want        protocol.Text
	}{
		{7 * day, 60 * day, protocol.Text{FR: "de 7 à 60\u00a0jours", EN: "7 days to 60 days"}},
		{12 * hour, 30 * day, protocol.Text{FR: "de 12\u00a0heures à 30\u00a0jours", EN: "12 hours to 30 days"}},
		{36 * hour, 30 * day, protocol.Text{FR: "de 1\u00a0jour 12\u00a0heures à 30\u00a0jours", EN: "1 day 12 hours to 30 days"}},
		{0, 30 * day, protocol.Text{FR: "au plus 30\u00a0jours", EN: "at most 30 days"}},
	} {
		if got := (protocol.VotingRule{MinOpen: tt.least, MaxOpen: tt.most}).Open(); got != tt.want {
			t.Errorf("%s to %s: %q", tt.least, tt.most, got)
		}
	}
}
