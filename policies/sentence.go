package policies

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/cedar-policy/cedar-go/types"

	"coulisse/crypto/dp"
	"coulisse/protocol"
)

// A sentence shows a value of the request as {min_members}, of the federation
// as {resource.min_members}, of the requester as {principal.kind}, and the
// requester as {principal}.
var placeholder = regexp.MustCompile(`\{([a-z_.]+)\}`)

// placeholders lists those of a sentence, and refuses one that nothing fills.
func placeholders(sentence string) ([]string, error) {
	var names []string
	for _, match := range placeholder.FindAllStringSubmatch(sentence, -1) {
		variable, attribute := split(match[1])
		_, known := words().attributes(variable)[types.String(attribute)]
		if !known && match[1] != "principal" {
			return nil, fmt.Errorf("{%s} is not in the vocabulary", cut(match[1], maxReported))
		}
		names = append(names, match[1])
	}
	if strings.ContainsAny(placeholder.ReplaceAllLiteralString(sentence, ""), "{}") {
		return nil, errors.New("braces hold the name of a value, such as {min_members}")
	}
	return names, nil
}

// split is where a placeholder's value is found.
func split(name string) (variable, attribute string) {
	variable, attribute, dotted := strings.Cut(name, ".")
	if !dotted {
		return "context", name
	}
	return variable, attribute
}

// filled is the rule as a decision shows it.
func (r rule) filled(f facts) Rule {
	shown := r.Rule
	for _, t := range []*protocol.Text{&shown.Text, &shown.Passes} {
		*t = protocol.Text{FR: fill(t.FR, french, f), EN: fill(t.EN, english, f)}
	}
	return shown
}

func fill(sentence string, l language, f facts) string {
	return placeholder.ReplaceAllStringFunc(sentence, func(match string) string {
		name := match[1 : len(match)-1]
		if name == "principal" {
			return string(f.principal.UID.ID)
		}
		variable, attribute := split(name)
		record := f.context
		switch variable {
		case "principal":
			record = f.principal.Attributes
		case "resource":
			record = f.resource.Attributes
		}
		value, _ := record.Get(types.String(attribute)) // there: see placeholders
		return l.value(attribute, value)
	})
}

// language is how values are written in one language.
type language struct {
	yes, no, none, and, more string // # in more stands for a number
	thousands, decimal       string
	person, people, variance string
	names                    map[types.EntityUID]string
}

var french = language{
	yes: "oui", no: "non", none: "aucun", and: " et ", more: "# autres",
	thousands: "\u00a0", decimal: ",",
	person: "personne", people: "personnes", variance: "variance",
	names: map[types.EntityUID]string{
		kindUID(protocol.KindHouse):                                               "maison",
		kindUID(protocol.KindFestival):                                            "festival",
		kindUID(protocol.KindMuseum):                                              "musée",
		kindUID(protocol.KindCompany):                                             "compagnie",
		kindUID(protocol.KindMedia):                                               "média",
		types.NewEntityUID(typePurpose, types.String(protocol.PurposePooling)):    "mise en commun",
		types.NewEntityUID(typePurpose, types.String(protocol.PurposeActivation)): "activation",
	},
}

var english = language{
	yes: "yes", no: "no", none: "none", and: " and ", more: "# others",
	thousands: ",", decimal: ".",
	person: "person", people: "people", variance: "variance",
	names: map[types.EntityUID]string{
		kindUID(protocol.KindHouse):                                               "house",
		kindUID(protocol.KindFestival):                                            "festival",
		kindUID(protocol.KindMuseum):                                              "museum",
		kindUID(protocol.KindCompany):                                             "company",
		kindUID(protocol.KindMedia):                                               "media",
		types.NewEntityUID(typePurpose, types.String(protocol.PurposePooling)):    "pooling",
		types.NewEntityUID(typePurpose, types.String(protocol.PurposeActivation)): "activation",
	},
}

// maxListed is how many names of a set a sentence spells out.
const maxListed = 8

func (l language) value(attribute string, v types.Value) string {
	switch v := v.(type) {
	case types.Boolean:
		if v {
			return l.yes
		}
		return l.no
	case types.Long:
		return l.number(attribute, int64(v))
	case types.Set:
		return l.list(v)
	}
	return l.name(v)
}

// number writes a value in the unit of its attribute.
func (l language) number(attribute string, n int64) string {
	switch attribute {
	case "cost", "budget_left", "max_round_cost":
		return l.rho(n)
	case "size_variance", "parts_variance", "min_variance":
		return l.noise(n)
	case "date":
		return fmt.Sprintf("%04d-%02d-%02d", n/10000, n/100%100, n%100)
	}
	return l.grouped(n)
}

func (l language) grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign, digits := digits[:len(digits)-len(strings.TrimLeft(digits, "-"))], strings.TrimLeft(digits, "-")
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + l.thousands + digits[i:]
	}
	return sign + digits
}

// rho writes nano-rho exactly, as a decimal number of rho.
func (l language) rho(nano int64) string {
	whole, fraction := nano/int64(dp.RhoUnit), nano%int64(dp.RhoUnit)
	if fraction == 0 {
		return l.grouped(whole) + "\u00a0rho"
	}
	return l.grouped(whole) + l.decimal + strings.TrimRight(fmt.Sprintf("%09d", fraction), "0") + "\u00a0rho"
}

// noise writes a variance as the distance from the true count that is kept 19
// times out of 20, with the variance beside it since that is what is compared.
func (l language) noise(variance int64) string {
	// 1.96 sigma, to the nearest: sqrt(variance * 1.96^2 * 10^4) is in hundredths.
	hundredths := new(big.Int).Mul(big.NewInt(variance), big.NewInt(38416))
	margin := (hundredths.Sqrt(hundredths).Int64() + 50) / 100
	unit := l.people
	if margin < 2 {
		unit = l.person
	}
	return fmt.Sprintf("±\u00a0%s %s (%s %s)", l.grouped(margin), unit, l.variance, l.grouped(variance))
}

func (l language) list(set types.Set) string {
	var names []string
	for v := range set.All() {
		names = append(names, l.name(v))
	}
	slices.Sort(names) // a Cedar set has no order
	if len(names) > maxListed {
		rest := strings.Replace(l.more, "#", strconv.Itoa(len(names)-maxListed+1), 1)
		names = append(names[:maxListed-1], rest)
	}
	switch last := len(names) - 1; last {
	case -1:
		return l.none
	case 0:
		return names[0]
	default:
		return strings.Join(names[:last], ", ") + l.and + names[last]
	}
}

func (l language) name(v types.Value) string {
	if uid, ok := v.(types.EntityUID); ok {
		if name, ok := l.names[uid]; ok {
			return name
		}
		return string(uid.ID)
	}
	return string(v.(types.String))
}
