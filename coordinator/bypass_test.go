package coordinator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"
)

func (c *cluster) cost(t *testing.T, what string, do func()) uint64 {
	t.Helper()
	c.settle()
	before, size := c.status()[c.leader()].GetCommitIndex(), c.head().Size
	began := time.Now()
	do()
	took := time.Since(began)
	c.settle()
	grown := c.status()[c.leader()].GetCommitIndex() - before
	t.Logf("%s: %d entries of consensus, %d of the log, %v", what, grown, c.head().Size-size, took.Round(time.Millisecond))
	return uint64(grown)
}

func canon(t *testing.T, v any) []byte {
	raw, err := protocol.Canonical(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestRoundTheLimits(t *testing.T) {
	c := found(t, 6)
	p := c.enrolAll()
	head := c.head()
	void := func(m, i int) []byte {
		return canon(t, sign(c, c.members[m], c.members[m].Vote, head, protocol.NewBallot(protocol.Vote{Proposal: protocol.HashOf(fmt.Append(nil, m, i)), Choice: protocol.For})))
	}
	leader := c.leader()
	if n := c.cost(t, "120 refused ballots, one by one", func() {
		for i := range 120 {
			_, _ = p[0].submit(protocol.LabelBallot, void(0, i))
		}
	}); n > 40 {
		t.Errorf("one by one cost %d", n)
	}
	if n := c.cost(t, "120 refused ballots whose caller leaves", func() {
		for i := range 120 {
			doc := void(1, i)
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Millisecond)
			_, _ = p[1].stubs[leader].Submit(ctx, &wire.SubmitRequest{Label: string(protocol.LabelBallot), Document: doc})
			cancel()
			time.Sleep(10 * time.Millisecond)
		}
	}); n > 40 {
		t.Errorf("leaving cost %d", n)
	}
	good := canon(t, sign(c, c.members[2], c.members[2].Vote, head, c.proposal("Oui", protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}})))
	if n := c.cost(t, "120 times the same accepted proposal", func() {
		for range 120 {
			if _, err := p[2].submit(protocol.LabelProposal, good); err != nil {
				t.Fatal(err)
			}
		}
	}); n > 10 {
		t.Errorf("replay cost %d", n)
	}
	renewed := 0
	c.cost(t, "120 renewals", func() {
		for range 120 {
			_, csr := request(t)
			proof := c.members[3].Node.Sign(protocol.Renewal(c.id, csr))
			if _, err := p[3].stubs[leader].Renew(t.Context(), &wire.RenewRequest{CertificateRequest: csr, Proof: proof}); err == nil {
				renewed++
			} else if !errors.Is(refusal.FromStatus(err), refusal.ErrFull) {
				t.Fatal(err)
			}
		}
	})
	if renewed > 30 {
		t.Errorf("%d renewals", renewed)
	}
	docs := make([][]byte, 200)
	for i := range docs {
		docs[i] = void(4, i)
	}
	var mu sync.Mutex
	reached := 0
	c.cost(t, "200 refused ballots at once", func() {
		var all sync.WaitGroup
		for _, doc := range docs {
			all.Go(func() {
				_, err := p[4].stubs[leader].Submit(t.Context(), &wire.SubmitRequest{Label: string(protocol.LabelBallot), Document: doc})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					reached++
				}
			})
		}
		all.Wait()
	})
}
