package policies

import (
	_ "embed"
	"fmt"
	"sync"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"

	"coulisse/protocol"
)

//go:embed vocabulary.cedarschema
var vocabularyText string

// power is what a request asks for and a rule grants or denies: a Cedar action.
type power string

const (
	powerMatch    power = "match"    // compute the size of a pooled audience
	powerActivate power = "activate" // give recipients the labels of their own people
)

var powers = []power{powerMatch, powerActivate}

func (p power) uid() types.EntityUID { return types.NewEntityUID("Action", types.String(p)) }

// The entity types of the vocabulary.
const (
	typeMember     types.EntityType = "Member"
	typeFederation types.EntityType = "Federation"
	typeKind       types.EntityType = "Kind"
	typePurpose    types.EntityType = "Purpose"
	typeAction     types.EntityType = "Action"
)

// vocabulary is what a policy may speak of, from vocabulary.cedarschema.
type vocabulary struct {
	validator *validate.Validator
	schema    *resolved.Schema
}

// words reads the vocabulary once. As for [charter], the text is ours.
var words = sync.OnceValue(func() vocabulary {
	var text schema.Schema
	if err := text.UnmarshalCedar([]byte(vocabularyText)); err != nil {
		panic(fmt.Sprintf("policies: vocabulary.cedarschema: %v", err))
	}
	read, err := text.Resolve()
	if err != nil {
		panic(fmt.Sprintf("policies: vocabulary.cedarschema: %v", err))
	}
	return vocabulary{validate.New(read, validate.WithStrict()), read}
})

// attributes are those of "principal", "resource" or "context".
func (v vocabulary) attributes(variable string) resolved.RecordType {
	switch variable {
	case "principal":
		return v.schema.Entities[typeMember].Shape
	case "resource":
		return v.schema.Entities[typeFederation].Shape
	case "context":
		return v.schema.Actions[powerMatch.uid()].AppliesTo.Context
	}
	return nil
}

// entityOf is the type of the entities that an attribute holds, alone or in a
// set; empty for other attributes.
func entityOf(t resolved.IsType) types.EntityType {
	switch t := t.(type) {
	case resolved.EntityType:
		return types.EntityType(t)
	case resolved.SetType:
		return entityOf(t.Element)
	}
	return ""
}

// checkName reports whether an entity that a policy names can exist. The Cedar
// validator looks at the type only, so a rule about Kind::"médias" would pass
// it and then never fit anything.
func checkName(uid types.EntityUID) error {
	var err error
	switch id := string(uid.ID); uid.Type {
	case typeMember:
		err = protocol.MemberID(id).Check()
	case typeFederation:
		err = protocol.Namespace(id).Check()
	case typeKind:
		err = protocol.MemberKind(id).Check()
	case typePurpose:
		err = protocol.Purpose(id).Check()
	case typeAction:
		if _, known := words().schema.Actions[uid]; !known {
			err = fmt.Errorf("an action is match or activate")
		}
	default:
		err = fmt.Errorf("an entity is a Member, Federation, Kind, Purpose or Action")
	}
	return err
}
