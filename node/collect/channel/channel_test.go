package channel

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestExpected(t *testing.T) {
	raw, err := os.ReadFile("testdata/expected.tsv")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[Channel]bool{}
	for cells := range table(string(raw)) {
		want := Channel(cells[3])
		seen[want] = true
		if got := Group(cells[0], cells[1], cells[2]); got != want {
			t.Errorf("source %q, medium %q, campaign %q: %s, want %s", cells[0], cells[1], cells[2], got, want)
		}
	}
	for _, r := range rules() {
		if !seen[r.channel] {
			t.Errorf("%s is never expected", r.channel)
		}
	}
}

// Each rule has a condition that the code understands.
func TestRules(t *testing.T) {
	for _, r := range rules() {
		if len(r.conditions) == 0 {
			t.Errorf("%s has no condition", r.channel)
		}
	}
	for cells := range table(ruleText) {
		for _, cell := range cells[1:] {
			if field, pattern, _ := strings.Cut(cell, "~"); pattern == "" {
				t.Errorf("%q has no expression", cell)
			} else if _, ok := fields[field]; !ok {
				t.Errorf("%q is no field", field)
			}
		}
	}
	for name, category := range sources() {
		if !slices.Contains([]string{"search", "social", "video", "shopping"}, category) {
			t.Errorf("%s is of the category %q", name, category)
		}
	}
}

func TestVisit(t *testing.T) {
	for _, c := range []struct {
		visit Visit
		want  Channel
	}{
		{Visit{}, Direct},
		{Visit{Referrer: "www.google.ca"}, "Organic Search"},
		{Visit{Referrer: "duckduckgo.com"}, "Organic Search"},
		{Visit{Referrer: "lm.facebook.com"}, "Organic Social"},
		{Visit{Referrer: "www.ledevoir.com"}, "Referral"},
		{Visit{Referrer: "www.google.com", Click: "gclid"}, "Paid Search"},
		{Visit{Click: "msclkid"}, "Paid Search"},
		{Visit{Click: "dclid"}, "Display"},
		// Facebook adds its own to links that nobody paid for.
		{Visit{Referrer: "www.facebook.com", Click: "fbclid"}, "Organic Social"},
		{Visit{Source: "infolettre", Medium: "email", Campaign: "automne", Referrer: "www.google.com"}, "Email"},
		{Visit{Source: "google", Medium: "cpc", Click: "gclid"}, "Paid Search"},
		{Visit{Campaign: "automne"}, Unassigned},
	} {
		if got := c.visit.Of(); got != c.want {
			t.Errorf("%+v: %s, want %s", c.visit, got, c.want)
		}
	}
}
