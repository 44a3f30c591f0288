package collect

import "testing"

// Guards what a GPP string takes away. The strings are @iabgpp/cmpapi's, with express
// consent in Canada to the purposes named.
func TestOptedOut(t *testing.T) {
	const kept, lost = false, true
	for name, c := range map[string]struct {
		text string
		want [len(purposes)]bool
	}{
		"no string":            {"", [...]bool{kept, kept, kept, kept}},
		"2 to 10":              {"DBABDA~BQuMEMAQuMEMAAAAAAENAACAAP-AAAAAAAAAAAAAAA.YAAAAAAAAAA", [...]bool{kept, kept, kept, kept}},
		"8, 9 and 10":          {"DBABDA~BQuMEMAQuMEMAAAAAAENAACAAAOAAAAAAAAAAAAAAA.YAAAAAAAAAA", [...]bool{kept, lost, lost, kept}},
		"nothing":              {"DBABDA~BQuMEMAQuMEMAAAAAAENAACAAAAAAAAAAAAAAAAAAA.YAAAAAAAAAA", [...]bool{lost, lost, lost, kept}},
		"of the United States": {"DBABLA~CAAQAAAAAABA.QA", [...]bool{kept, kept, kept, kept}},
		"unreadable":           {"DBABDA~BQuM", [...]bool{lost, lost, lost, lost}},
	} {
		if got := optedOut(c.text); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
