package policies

import (
	"errors"
	"fmt"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// maxParts bounds the conditions of one rule. The validator's work can grow
// with the cube of it.
const maxParts = 512

// checkMeaning reports whether a rule says something about every request.
//
// Cedar skips a forbid that it cannot evaluate, and its validator lets pass
// comparisons that can never hold (a kind that does not exist, members against
// kinds, "context has" an unknown word). Either would be a prohibition that the
// members read, voted, and do not have. So beyond the strict validator:
// attributes are reached directly and exist, entities that are named can exist,
// and both sides of a comparison speak of the same type. What remains to fail
// in a decision is an integer overflow, and that denies.
func checkMeaning(p *ast.Policy) error {
	if err := checkScope(p); err != nil {
		return err
	}
	parts := 0
	for _, condition := range p.Conditions {
		var fault error
		ast.Inspect(ast.NewNode(condition.Body), func(n ast.IsNode) bool {
			if parts++; parts > maxParts && fault == nil {
				fault = fmt.Errorf("it has more than %d parts; split it", maxParts)
			}
			if fault == nil {
				fault = checkPart(n)
			}
			return fault == nil
		})
		if fault != nil {
			return fault
		}
	}
	if err := words().validator.Policy("", p); err != nil {
		return errors.New(shortened(err))
	}
	return nil
}

func checkScope(p *ast.Policy) error {
	for _, scope := range []ast.IsScopeNode{p.Principal, p.Action, p.Resource} {
		var named []types.EntityUID
		switch s := scope.(type) {
		case ast.ScopeTypeEq:
			named = []types.EntityUID{s.Entity}
		case ast.ScopeTypeIn:
			named = []types.EntityUID{s.Entity}
		case ast.ScopeTypeInSet:
			named = s.Entities
		case ast.ScopeTypeIsIn:
			named = []types.EntityUID{s.Entity}
		}
		for _, uid := range named {
			if err := checkName(uid); err != nil {
				return fmt.Errorf("%s: %v", cut(uid.String(), maxReported), err)
			}
		}
	}
	return nil
}

// checkPart judges one node of a condition; the kinds of node not listed are
// not part of what a policy may say.
func checkPart(n ast.IsNode) error {
	switch n := n.(type) {
	case ast.NodeTypeVariable, ast.NodeTypeAnd, ast.NodeTypeOr, ast.NodeTypeNot, ast.NodeTypeIfThenElse,
		ast.NodeTypeLessThan, ast.NodeTypeLessThanOrEqual, ast.NodeTypeGreaterThan, ast.NodeTypeGreaterThanOrEqual,
		ast.NodeTypeAdd, ast.NodeTypeSub, ast.NodeTypeMult, ast.NodeTypeNegate, ast.NodeTypeIsEmpty, ast.NodeTypeLike:
		return nil
	case ast.NodeValue:
		return checkValue(n.Value)
	case ast.NodeTypeAccess:
		return checkAccess(n)
	case ast.NodeTypeSet:
		return sameType(n.Elements...)
	case ast.NodeTypeEquals:
		return sameType(n.Left, n.Right)
	case ast.NodeTypeNotEquals:
		return sameType(n.Left, n.Right)
	case ast.NodeTypeIn:
		return sameType(n.Left, n.Right)
	case ast.NodeTypeContains:
		return sameType(n.Left, n.Right)
	case ast.NodeTypeContainsAll:
		return sameType(n.Left, n.Right)
	case ast.NodeTypeContainsAny:
		return sameType(n.Left, n.Right)
	case ast.NodeTypeHas:
		return errors.New(`every attribute is always there; write the comparison without "has"`)
	}
	return errors.New("tags, records, extension functions, and types in a condition have no use here; " +
		"compare attributes, numbers, strings, entities and sets")
}

func checkValue(v types.Value) error {
	switch v := v.(type) {
	case types.EntityUID:
		if err := checkName(v); err != nil {
			return fmt.Errorf("%s: %v", cut(v.String(), maxReported), err)
		}
	case types.String:
		if r, bad := hiddenRune(string(v)); bad {
			return fmt.Errorf("take out the invisible character U+%04X", r)
		}
	}
	return nil
}

func checkAccess(n ast.NodeTypeAccess) error {
	variable, ok := n.Arg.(ast.NodeTypeVariable)
	if !ok {
		return errors.New("an attribute follows principal, resource or context directly")
	}
	if _, ok := words().attributes(string(variable.Name))[n.Value]; !ok {
		return fmt.Errorf("%s.%s is not in the vocabulary", variable.Name, cut(string(n.Value), maxReported))
	}
	return nil
}

// sameType refuses nodes that speak of entities of different types.
func sameType(nodes ...ast.IsNode) error {
	var first types.EntityType
	for _, n := range nodes {
		t := speaksOf(n)
		if first == "" {
			first = t
		}
		if t != "" && t != first {
			return fmt.Errorf("it compares a %s with a %s, which never holds", first, t)
		}
	}
	return nil
}

// speaksOf is the type of the entities that a node stands for, alone or in a
// set; empty for other nodes.
func speaksOf(n ast.IsNode) types.EntityType {
	switch n := n.(type) {
	case ast.NodeTypeVariable:
		switch n.Name {
		case "principal":
			return typeMember
		case "resource":
			return typeFederation
		case "action":
			return typeAction
		}
	case ast.NodeTypeAccess:
		if variable, ok := n.Arg.(ast.NodeTypeVariable); ok {
			return entityOf(words().attributes(string(variable.Name))[n.Value].Type)
		}
	case ast.NodeValue:
		if uid, ok := n.Value.(types.EntityUID); ok {
			return uid.Type
		}
	case ast.NodeTypeSet:
		for _, element := range n.Elements {
			if t := speaksOf(element); t != "" {
				return t
			}
		}
	case ast.NodeTypeIfThenElse:
		return speaksOf(n.Then)
	}
	return ""
}

// powersOf lists the powers that a rule's scope covers.
func powersOf(scope ast.IsActionScopeNode) []power {
	covers := func(types.EntityUID) bool { return true }
	switch s := scope.(type) {
	case ast.ScopeTypeEq:
		covers = func(uid types.EntityUID) bool { return uid == s.Entity }
	case ast.ScopeTypeIn:
		covers = func(uid types.EntityUID) bool { return uid == s.Entity }
	case ast.ScopeTypeInSet:
		covers = func(uid types.EntityUID) bool {
			for _, listed := range s.Entities {
				if listed == uid {
					return true
				}
			}
			return false
		}
	}
	var list []power
	for _, p := range powers {
		if covers(p.uid()) {
			list = append(list, p)
		}
	}
	return list
}
