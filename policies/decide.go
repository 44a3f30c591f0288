package policies

import (
	"iter"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"coulisse/protocol"
)

// Decision is the answer to a request, with the rules that made it: those that
// permit, or those that deny. It is the same wherever it is made.
type Decision struct {
	Allowed bool   `json:"allowed"`
	Rules   []Rule `json:"rules"`
}

// Decide answers a request. Everything that it asks for must be permitted by a
// rule and forbidden by none; giving out labels is asked for apart from
// computing a size. What cannot be decided is denied:
//
//   - a request with a part missing (principle/complete);
//   - a rule that fails, permit or forbid: Cedar would skip it
//     (principle/computable);
//   - a request that nothing permits (principle/permitted).
func (s Set) Decide(r Request) Decision {
	if part := r.fault(); part != (protocol.Text{}) {
		return Decision{Rules: []Rule{incomplete(part)}}
	}
	f, err := factsOf(r)
	if err != nil {
		return Decision{Rules: []Rule{incomplete(protocol.Text{FR: "les valeurs à comparer", EN: "the values to compare"})}}
	}
	rules := s.all()
	found := findings{permits: map[types.PolicyID]bool{}, forbids: map[types.PolicyID]bool{}, failures: map[types.PolicyID]bool{}}
	var missing []power
	for _, p := range r.powers() {
		if !found.add(cedar.Authorize(ordered(rules), f.entities(), f.request(p))) {
			missing = append(missing, p)
		}
	}
	return found.decision(rules, missing, f)
}

// findings gathers what Cedar says of each power asked for.
type findings struct {
	permits, forbids, failures map[types.PolicyID]bool
}

// add reports whether some rule spoke: permitted, forbade or failed.
func (f findings) add(verdict cedar.Decision, diagnostic cedar.Diagnostic) bool {
	into := f.forbids
	if verdict == cedar.Allow {
		into = f.permits
	}
	for _, reason := range diagnostic.Reasons {
		into[reason.PolicyID] = true
	}
	for _, failure := range diagnostic.Errors {
		f.failures[failure.PolicyID] = true
	}
	return len(diagnostic.Reasons)+len(diagnostic.Errors) > 0
}

func (f findings) decision(rules []rule, missing []power, known facts) Decision {
	d := Decision{Allowed: len(missing)+len(f.forbids)+len(f.failures) == 0}
	for _, r := range rules {
		switch key := r.key(); {
		case f.failures[key]:
			d.Rules = append(d.Rules, failed(r.Rule))
		case d.Allowed && f.permits[key], f.forbids[key]:
			d.Rules = append(d.Rules, r.filled(known))
		}
	}
	for _, p := range missing {
		d.Rules = append(d.Rules, notPermitted(p, rules, known))
	}
	return d
}

// ordered lets Cedar go through the rules in their own order, not a map's.
type ordered []rule

// All implements [cedar.PolicyIterator].
func (o ordered) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for _, r := range o {
			if !yield(r.key(), r.compiled) {
				return
			}
		}
	}
}

func principle(id RuleID, text, passes protocol.Text) Rule {
	return Rule{Policy: principleName, ID: id, Origin: Principle, Effect: Forbid, Text: text, Passes: passes}
}

func incomplete(part protocol.Text) Rule {
	return principle("complete",
		protocol.Text{
			FR: "Une demande incomplète est refusée, car on ne peut pas la juger. Il y manque ou il y a mal écrit ceci\u00a0: " + part.FR + ".",
			EN: "An incomplete request is denied, since it cannot be judged. This is missing or malformed: " + part.EN + ".",
		},
		protocol.Text{
			FR: "La même demande, complète. Si elle vient du programme lui-même, signaler cette erreur.",
			EN: "The same request, complete. If the program itself made it, report this error.",
		})
}

func failed(r Rule) Rule {
	name := string(r.key())
	return principle("computable",
		protocol.Text{
			FR: "La règle " + name + " n'a pas pu être calculée pour cette demande, par exemple parce qu'un nombre y devient trop grand. Dans le doute, la demande est refusée.",
			EN: "The rule " + name + " could not be computed for this request, for example because a number in it becomes too large. In doubt, the request is denied.",
		},
		protocol.Text{
			FR: "Une demande aux valeurs plus petites. Sinon, corriger la règle.",
			EN: "A request with smaller values. Failing that, correct the rule.",
		})
}

// notPermitted says which permissions there are, since one of them would do.
func notPermitted(p power, rules []rule, known facts) Rule {
	text := protocol.Text{
		FR: "Aucune politique adoptée ne permet de mettre cette audience en commun.",
		EN: "No adopted policy permits pooling this audience.",
	}
	if p == powerActivate {
		text = protocol.Text{
			FR: "Aucune politique adoptée ne permet de remettre ces étiquettes à ces destinataires.",
			EN: "No adopted policy permits giving these labels to these recipients.",
		}
	}
	passes := protocol.Text{}
	for _, r := range rules {
		if r.Effect == Permit && r.speaksOf(p) {
			offer := r.filled(known).Text
			passes.FR += " " + offer.FR
			passes.EN += " " + offer.EN
		}
	}
	if passes == (protocol.Text{}) {
		passes = protocol.Text{
			FR: " Rien pour l'instant. Il faut d'abord un vote qui adopte une politique qui le permet.",
			EN: " Nothing for now. A vote must first adopt a policy that permits it.",
		}
	}
	return principle("permitted", text, protocol.Text{FR: passes.FR[1:], EN: passes.EN[1:]})
}

func (r rule) speaksOf(p power) bool {
	for _, covered := range r.powers {
		if covered == p {
			return true
		}
	}
	return false
}
