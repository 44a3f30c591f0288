package rehearsal_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coulisse/node"
	"coulisse/node/draft"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/refusal"
)

// A federation is made once for the faults that leave it whole; each test
// begins where the last one ended.
func TestFaults(t *testing.T) {
	people := invent(1500, houses...)
	f := stage(t, people)
	journal := f.Members[len(f.Members)-1]

	t.Run("the leader stops during a vote", func(t *testing.T) {
		id := f.Propose(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}})
		f.Vote(f.Members[0], id, protocol.For)
		leader := f.Leader()
		f.StopReplica(leader)
		for _, m := range f.Members[1:] {
			f.Vote(m, id, protocol.For)
		}
		f.Decided(id)
		f.StartReplica(leader)
		page, err := f.Members[0].Node.Proposal(id.String())
		if err != nil || page.State != federation.ProposalCarried || len(page.Ballots) != len(f.Members) {
			t.Fatalf("%d of %d ballots, %s: %v", len(page.Ballots), len(f.Members), page.State, err)
		}
	})

	t.Run("the leader stops during the uploads", func(t *testing.T) {
		id := propose(t, f, audience())
		f.Eventually("the first upload", func() bool {
			page, err := f.Members[0].Node.Round(t.Context(), string(id))
			return err == nil && (page.Uploaded > 0 || page.Stage.Ended())
		})
		leader := f.Leader()
		f.StopReplica(leader)
		end := ended(t, f, id)
		f.StartReplica(leader)
		if end.Stage != federation.Closed {
			t.Fatalf("the round ended %s: %s", end.Stage, end.Reason.EN)
		}
		checkSize(t, end, people)
		checkLabels(t, f, id, people)
	})

	t.Run("a node stops in the middle and comes back", func(t *testing.T) {
		id := propose(t, f, audience())
		f.StopNode(journal)
		f.StartNode(journal)
		if end := ended(t, f, id); end.Stage != federation.Closed {
			t.Fatalf("the round ended %s: %s", end.Stage, end.Reason.EN)
		}
		checkLabels(t, f, id, people)
	})

	t.Run("a participant vanishes", func(t *testing.T) {
		before := ledger(t, f.Members[0].Node)
		f.StopNode(journal)
		a := audience()
		a.Deadline = draft.Span(4 * time.Second)
		end := ended(t, f, propose(t, f, a))
		f.StartNode(journal)
		if end.Stage != federation.Aborted || end.Size != nil {
			t.Fatalf("the round ended %s", end.Stage)
		}
		if after := ledger(t, f.Members[0].Node); after != before {
			t.Errorf("a round that never opened was charged: %+v, then %+v", before, after)
		}
	})

	t.Run("a member's own policy refuses", func(t *testing.T) {
		own := filepath.Join(journal.Folder.Dir, "policies")
		if err := os.MkdirAll(own, 0o700); err != nil {
			t.Fatal(err)
		}
		text := `@id("pas-moi")
@fr("Le journal ne participe pas cette semaine.")
@en("The paper does not take part this week.")
@fr_pass("Attendre la semaine prochaine.")
@en_pass("Wait for next week.")
forbid (principal, action, resource);
`
		path := filepath.Join(own, "pause.cedar")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		end := ended(t, f, propose(t, f, audience()))
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if end.Stage != federation.Refused || end.By != "journal" || !strings.Contains(end.Reason.EN, "does not take part this week") {
			t.Fatalf("the round ended %s by %s: %s", end.Stage, end.By, end.Reason.EN)
		}
	})

	t.Run("an audience of one house", func(t *testing.T) {
		a := audience()
		a.Rule = draft.Rule{AtLeast: 1}
		d, err := f.Members[0].Node.DraftAudience(context.Background(), a)
		if err != nil {
			t.Fatal(err)
		}
		if d.Decision.Allowed {
			t.Fatal("the node would allow it")
		}
		_, err = f.Members[0].Node.RunAudience(context.Background(), d.Manifest)
		if !errors.Is(err, node.ErrDenied) {
			t.Fatalf("the node sent it: %v", err)
		}
		for _, lang := range []string{"fr", "en"} {
			if words := refusal.Words(err).In(lang); !strings.Contains(words, "2") {
				t.Errorf("the refusal does not name the floor: %s", words)
			}
		}
	})

	t.Run("a key steward is away", func(t *testing.T) {
		away := f.Members[1]
		f.StopNode(away)
		defer f.StartNode(away)
		more := invent(1700, houses...)
		f.Import(journal, "people", more.readers())
		f.Eventually("tokens for the new readers", func() bool {
			s, err := journal.Node.Status(context.Background())
			return err == nil && s.Tokens.Total >= int64(len(more.reads)) && s.Tokens.Done == s.Tokens.Total
		})
	})
}

func ledger(t *testing.T, n *node.Node) node.Budget {
	t.Helper()
	s, err := n.Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s.Budget
}
