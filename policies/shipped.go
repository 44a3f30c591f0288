package policies

import (
	_ "embed"
	"fmt"
	"sync"

	"coulisse/protocol"
)

//go:embed charter.cedar
var charterText string

//go:embed pooled-audiences.cedar
var pooledAudiences string

//go:embed activation.cedar
var activation string

//go:embed no-singling-out.cedar
var noSinglingOut string

// Source is a policy that a federation can propose to its members as it is.
type Source struct {
	Name  protocol.PolicyName
	Title protocol.Text
	Text  string
}

// Shipped lists the policies that come with the program, in the order in which
// a new federation may adopt them. None is in force before a vote.
func Shipped() []Source {
	return []Source{
		{"pooled-audiences", protocol.Text{FR: "Audiences mutualisées", EN: "Pooled audiences"}, pooledAudiences},
		{"activation", protocol.Text{FR: "Activation chez les destinataires", EN: "Activation by recipients"}, activation},
		{"no-singling-out", protocol.Text{FR: "Ne désigner ni un membre ni une soirée", EN: "Single out no member and no evening"}, noSinglingOut},
	}
}

const (
	charterName   protocol.PolicyName = "charter"
	ownName       protocol.PolicyName = "own"
	principleName protocol.PolicyName = "principle"
)

// charter is the rules of charter.cedar. The text is part of the program, and
// a test parses it: a panic here cannot reach a user.
var charter = sync.OnceValue(func() []rule {
	rules, err := parse(charterName, Charter, charterText)
	if err != nil {
		panic(fmt.Sprintf("policies: charter.cedar: %v", err))
	}
	return rules
})

// CharterRules lists the rules that the charter's floors amount to.
func CharterRules() []Rule { return listed(charter()) }
