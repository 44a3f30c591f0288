package node

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"coulisse/policies"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"
)

// PolicyLine is a policy in a list.
type PolicyLine struct {
	Name  protocol.PolicyName `json:"name"`
	Title protocol.Text       `json:"title,omitzero"` // of a shipped one
	// Decision adopted it; 0 if it is not in force.
	Decision int  `json:"decision"`
	Shipped  bool `json:"shipped"`
	// Differs says that the text in force is not the one that ships.
	Differs bool `json:"differs"`
	// Own says that it is this node's own, in force here by no decision.
	Own bool `json:"own,omitempty"`
}

// PolicyPage is a policy with its rules.
type PolicyPage struct {
	PolicyLine
	Text  string          `json:"text"`
	Rules []policies.Rule `json:"rules"`
}

// Policies lists what is in force, what ships, and the node's own.
func (n *Node) Policies() ([]PolicyLine, error) {
	pages, err := n.policies()
	if err != nil {
		return nil, err
	}
	lines := make([]PolicyLine, len(pages))
	for i, p := range pages {
		lines[i] = p.PolicyLine
	}
	files, err := n.ownPolicyFiles()
	for _, file := range files {
		name := filepath.Join(dirPolicies, filepath.Base(file))
		lines = append(lines, PolicyLine{Name: protocol.PolicyName(name), Own: true})
	}
	return lines, err
}

var errNoPolicy = protocol.Refuse(federation.ErrNotFound,
	"aucune politique ne porte ce nom\u00a0; «\u00a0coulisse policy list\u00a0» montre celles qu'il y a",
	"no policy has that name; “coulisse policy list” shows which there are")

// Policy is the page of one: the text in force, else the one that ships.
func (n *Node) Policy(name protocol.PolicyName) (PolicyPage, error) {
	pages, err := n.policies()
	if err != nil {
		return PolicyPage{}, err
	}
	for _, page := range pages {
		if page.Name == name {
			parsed, err := policies.Parse(name, page.Text)
			page.Rules = parsed.Rules()
			return page, err
		}
	}
	return PolicyPage{}, errNoPolicy
}

func (n *Node) policies() ([]PolicyPage, error) {
	var view governance.View
	err := n.witness.View(func(tx federation.Tx) (err error) {
		view, err = federation.View(tx)
		return err
	})
	if err != nil && !errors.Is(err, federation.ErrNotFound) {
		return nil, err
	}
	pages := []PolicyPage{}
	for _, p := range view.Policies {
		pages = append(pages, PolicyPage{PolicyLine: PolicyLine{Name: p.Name, Decision: p.Decision}, Text: p.Text})
	}
	for _, s := range policies.Shipped() {
		i := slices.IndexFunc(pages, func(p PolicyPage) bool { return p.Name == s.Name })
		if i < 0 {
			i = len(pages)
			pages = append(pages, PolicyPage{PolicyLine: PolicyLine{Name: s.Name}, Text: s.Text})
		}
		pages[i].Title, pages[i].Shipped, pages[i].Differs = s.Title, true, pages[i].Text != s.Text
	}
	return pages, nil
}

// OwnPolicies reads the member's own policies, which only forbid more: every
// .cedar file of the folder's policies/.
func (n *Node) OwnPolicies() (policies.Own, error) {
	files, err := n.ownPolicyFiles()
	if err != nil {
		return policies.Own{}, err
	}
	var text strings.Builder
	for _, file := range files { // Glob sorts
		raw, err := os.ReadFile(file)
		if err != nil {
			return policies.Own{}, err
		}
		text.Write(raw)
		text.WriteByte('\n')
	}
	if len(files) == 0 {
		return policies.Own{}, nil
	}
	return policies.ParseLocal(text.String())
}

func (n *Node) ownPolicyFiles() ([]string, error) {
	return filepath.Glob(filepath.Join(n.folder.path(dirPolicies), "*.cedar"))
}
