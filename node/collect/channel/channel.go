// Package channel groups visits by where they came from, by the rules that
// Google publishes for the default channel group of Analytics 4
// (support.google.com/analytics/answer/9756891), in their order, so that a
// house reads the same words in both.
//
// The rules are data (rules.tsv), as are the sites that they call search,
// social, video or shopping (sources.tsv). The latter is a list of our own, by
// domains, of what Google's names one by one.
package channel

import (
	_ "embed"
	"regexp"
	"strings"
	"sync"

	"coulisse/crypto/recent"
)

// Channel is a channel's name, as Google writes it.
type Channel string

// The channels that code names; the others are in rules.tsv.
const (
	Direct     Channel = "Direct"
	Unassigned Channel = "Unassigned"
)

// Source and medium of a visit that nothing is known of.
const (
	sourceDirect = "(direct)"
	mediumNone   = "(none)"
)

// Visit is what a page's address and its referrer say.
type Visit struct {
	// Source, Medium and Campaign are the link's own parameters.
	Source, Medium, Campaign string
	// Click is the kind of the click identifier, such as gclid.
	Click string
	// Referrer is the host of the page before, empty if there was none or it was
	// of the same house.
	Referrer string
}

// Of is the channel of a visit.
func (v Visit) Of() Channel {
	source, medium := v.attribute()
	return Group(source, medium, v.Campaign)
}

// networks are what a click identifier alone says: the networks add theirs to
// links that advertisers have not marked.
var networks = map[string][2]string{
	"gclid": {"google", "cpc"}, "gbraid": {"google", "cpc"}, "wbraid": {"google", "cpc"}, "dclid": {"google", "display"},
	"msclkid": {"bing", "cpc"}, "yclid": {"yandex", "cpc"},
}

// attribute says source and medium as Analytics does: the link's own
// parameters first, then a paid click, then the page before.
func (v Visit) attribute() (source, medium string) {
	switch {
	case v.Source != "" || v.Medium != "" || v.Campaign != "":
		return v.Source, v.Medium
	case networks[v.Click][0] != "":
		n := networks[v.Click]
		return n[0], n[1]
	case v.Referrer == "":
		return sourceDirect, mediumNone
	case category(v.Referrer) == "search":
		return v.Referrer, "organic"
	}
	return v.Referrer, "referral"
}

// known remembers what sources, mediums and campaigns came to: a house has few
// of them at a time, and the rules are two dozen expressions.
var known = recent.NewMap[[3]string, Channel](2048)

// Group is the channel of a source, a medium and a campaign's name.
func Group(source, medium, campaign string) Channel {
	key := [3]string{source, medium, campaign}
	found, ok := known.Get(key)
	if !ok {
		found = group(source, medium, campaign)
		// Copies: the texts are parts of requests, which are not to be held.
		known.Put([3]string{strings.Clone(source), strings.Clone(medium), strings.Clone(campaign)}, found)
	}
	return found
}

func group(source, medium, campaign string) Channel {
	source, medium, campaign = strings.ToLower(source), strings.ToLower(medium), strings.ToLower(campaign)
	facts := [...]string{source, medium, campaign, category(source)}
	for _, r := range rules() {
		if r.fits(facts) {
			return r.channel
		}
	}
	return Unassigned
}

//go:embed rules.tsv
var ruleText string

//go:embed sources.tsv
var sourceText string

// fields are the columns of a condition, in the order of Group's facts.
var fields = map[string]int{"source": 0, "medium": 1, "campaign": 2, "category": 3}

// rule is one line of rules.tsv. A visit fits it if it meets each condition.
type rule struct {
	channel    Channel
	conditions []condition
}

type condition struct {
	field int
	match *regexp.Regexp
}

func (r rule) fits(facts [4]string) bool {
	for _, c := range r.conditions {
		if !c.match.MatchString(facts[c.field]) {
			return false
		}
	}
	return true
}

// rules are read once; a mistake in them is the program's.
var rules = sync.OnceValue(func() (all []rule) {
	for cells := range table(ruleText) {
		r := rule{channel: Channel(cells[0])}
		for _, cell := range cells[1:] {
			field, pattern, _ := strings.Cut(cell, "~")
			r.conditions = append(r.conditions, condition{fields[field], regexp.MustCompile(pattern)})
		}
		all = append(all, r)
	}
	return all
})

// sources are the categories by name or domain.
var sources = sync.OnceValue(func() map[string]string {
	all := map[string]string{}
	for cells := range table(sourceText) {
		for name := range strings.FieldsSeq(cells[1]) {
			all[strings.ReplaceAll(name, "_", " ")] = cells[0]
		}
	}
	return all
})

// table reads tab-separated lines; # begins a comment.
func table(text string) func(func([]string) bool) {
	return func(yield func([]string) bool) {
		for line := range strings.Lines(text) {
			if line = strings.TrimSuffix(line, "\n"); line == "" || line[0] == '#' {
				continue
			}
			if !yield(strings.Split(line, "\t")) {
				return
			}
		}
	}
}

// category is what kind of site a source is: by its name, its domain, or the
// domain that it is below. Empty if it is none of the list.
func category(source string) string {
	known := sources()
	if c, ok := known[source]; ok {
		return c
	}
	for host := source; ; {
		_, above, found := strings.Cut(host, ".")
		if !found {
			return regional(source)
		}
		// Below a country's part, as in amazon.co.uk, the name is listed alone.
		if c, ok := known[above]; ok && strings.Contains(above, ".") {
			return c
		}
		host = above
	}
}

// regional finds a site that has a domain in every country: listed as "name.*".
func regional(source string) string {
	labels := strings.Split(source, ".")
	for i := len(labels) - 2; i >= 0 && i >= len(labels)-3; i-- {
		if c, ok := sources()[labels[i]+".*"]; ok {
			return c
		}
	}
	return ""
}
