package governance

import (
	"errors"

	"coulisse/protocol"
)

// known is Rules, but for a test that builds a version to come.
var known = Rules

// ErrRules: the log goes by newer rules than this build knows. Nothing is wrong
// with the log: upgrade, and go on from here.
var ErrRules = errors.New("the log goes by newer rules than this version knows")

// ErrEarlyRules: the document needs rules that are not in force yet. A build
// that does not know them would stop at it.
var ErrEarlyRules = errors.New("the document needs rules that are not in force")

// InForce refuses what needs newer rules than the log goes by. A version that
// adds to the rules names what it adds in [LabelRules] or in rulesOf.
func (v View) InForce(rules int) error {
	if rules <= v.Roll.Rules {
		return nil
	}
	return protocol.Refuse(ErrEarlyRules,
		"il y faut les règles %d du journal, et les règles %d sont en vigueur; le bureau les relève quand tous les membres sont à jour (`coulisse coordinator upgrade-rules`)",
		"it takes rules %d of the log, and rules %d are in force; the office raises them when every member has upgraded (`coulisse coordinator upgrade-rules`)",
		rules, v.Roll.Rules)
}

// LabelRules is the version of the rules that a kind of document takes.
func LabelRules(l protocol.Label) int { return max(labelRules[l], protocol.FirstRules) }

// labelRules lists the kinds of document that came after the first rules.
var labelRules = map[protocol.Label]int{}

// effectRules lists the effects that came after the first rules, and whether a
// proposal has one.
var effectRules = []struct {
	rules int
	in    func(protocol.Effect) bool
}{}

func rulesOf(e protocol.Effect) int {
	rules := protocol.FirstRules
	for _, newer := range effectRules {
		if newer.in(e) {
			rules = max(rules, newer.rules)
		}
	}
	return rules
}
