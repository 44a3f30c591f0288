package oprf

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"coulisse/crypto/oprf/internal/ristretto"
)

// A dealer sends one receiver a wrong subshare. The receiver knows whom to
// blame, anyone can check it once the subshare is shown, and the next attempt
// without the dealer makes a key.
func TestWrongSubshareIsBlamedAndLeftOut(t *testing.T) {
	first := Ceremony{Namespace: "demo", Epoch: 1, Attempt: 1, Threshold: 2, Dealers: Set{1, 2, 3}, Receivers: Set{1, 2, 3}}
	var dealings []*Dealing
	sent := make(map[Index][]Subshare)
	for _, i := range first.Dealers {
		d, subshares, err := first.Deal(i)
		noError(t, err)
		if i == 2 {
			subshares[2].value.Add(&subshares[2].value, scalarOf(1))
		}
		dealings = append(dealings, d)
		for _, s := range subshares {
			sent[s.Receiver()] = append(sent[s.Receiver()], s)
		}
	}
	_, _, err := first.Aggregate(1, dealings, sent[1])
	noError(t, err)
	_, _, err = first.Aggregate(3, dealings, sent[3])
	blames(t, "wrong subshare", err, 2, ErrShare)

	shown := sent[3][1]
	isExactly(t, "shown subshare", first.VerifySubshare(dealings[1], shown), ErrShare)
	noError(t, first.VerifySubshare(dealings[1], sent[1][1]))

	second := Ceremony{Namespace: "demo", Epoch: 1, Attempt: 2, Threshold: 2, Dealers: Set{1, 3}, Receivers: Set{1, 3}}
	isExactly(t, "dealing of another attempt", second.VerifyDealing(dealings[0]), ErrDealing)
	key, shares := run(t, second, second.Deal)
	if len(tokens(t, key, shares, Set{1, 3}, numbered(1))) != 1 {
		t.Error("the second attempt's key makes no token")
	}
}

// The same K through a refresh and a move to another set and threshold.
func TestResharingKeepsTokens(t *testing.T) {
	inputs := numbered(3)
	c := Ceremony{Namespace: "demo", Epoch: 1, Attempt: 1, Threshold: 2, Dealers: Set{1, 2, 3}, Receivers: Set{1, 2, 3}}
	old, oldShares := run(t, c, c.Deal)
	want := tokens(t, old, oldShares, Set{1, 2}, inputs)

	refresh := Ceremony{Namespace: "demo", Epoch: 1, Attempt: 1, Threshold: 2, Dealers: Set{1, 3}, Receivers: Set{1, 2, 3}, Previous: old}
	fresh, freshShares := run(t, refresh, func(i Index) (*Dealing, []Subshare, error) { return refresh.Reshare(oldShares[i]) })
	if !fresh.Group().Equal(old.Group()) || fresh.ID() == old.ID() {
		t.Fatal("a refresh must keep the group key and change the sharing")
	}
	for _, set := range subsets(Set{1, 2, 3}, 2) {
		sameTokens(t, "refreshed", tokens(t, fresh, freshShares, set, inputs), want)
	}
	for i := range freshShares {
		a, b := freshShares[i], oldShares[i]
		if a.value.Equal(&b.value) == 1 {
			t.Errorf("share %d was not refreshed", i)
		}
	}

	move := Ceremony{Namespace: "demo", Epoch: 1, Attempt: 1, Threshold: 3, Dealers: Set{2, 3}, Receivers: Set{1, 4, 9, 10, 11}, Previous: fresh}
	moved, movedShares := run(t, move, func(i Index) (*Dealing, []Subshare, error) { return move.Reshare(freshShares[i]) })
	for _, set := range subsets(move.Receivers, 3) {
		sameTokens(t, "moved", tokens(t, moved, movedShares, set, inputs), want)
	}

	_, _, err := refresh.Reshare(freshShares[1])
	isExactly(t, "resharing with a fresh share", err, ErrShare)
	_, _, err = c.Deal(4)
	isExactly(t, "stranger dealing", err, ErrSet)
}

// A thief with one share from before a refresh and one from after has
// nothing, whether he asks the code nicely or forges his way past it.
func TestOldAndNewSharesDoNotMix(t *testing.T) {
	c := Ceremony{Namespace: "demo", Epoch: 1, Threshold: 2, Dealers: Set{1, 2}, Receivers: Set{1, 2}}
	old, oldShares := run(t, c, c.Deal)
	refresh := c
	refresh.Previous = old
	fresh, freshShares := run(t, refresh, func(i Index) (*Dealing, []Subshare, error) { return refresh.Reshare(oldShares[i]) })

	set := Set{1, 2}
	b, blinded, err := Blind(numbered(1))
	noError(t, err)
	_, err = Evaluate(fresh, oldShares[1], set, blinded)
	isExactly(t, "old share", err, ErrShare)

	forged := oldShares[1]
	forged.key = fresh.ID()
	bad, err := Evaluate(fresh, forged, set, blinded)
	noError(t, err)
	good, err := Evaluate(fresh, freshShares[2], set, blinded)
	noError(t, err)
	_, err = b.Finalize(fresh, set, []Partial{bad, good})
	blames(t, "forged share", err, 1, ErrProof)

	mixed := map[Index]Share{1: oldShares[1], 2: freshShares[2]}
	if p := multipleOfBase(t, reconstruct(mixed, set)); p.Equal(fresh.Group()) {
		t.Error("old and new shares interpolate to the key")
	}
}

// The last to deal sees the others' constants, and would like the sum to be
// one whose logarithm it knows.
func TestRogueConstantIsRefused(t *testing.T) {
	c := Ceremony{Namespace: "demo", Epoch: 1, Threshold: 2, Dealers: Set{1, 2}, Receivers: Set{1, 2}}
	honest, _, err := c.Deal(1)
	noError(t, err)
	rogue, _, err := c.Deal(2)
	noError(t, err)
	var p ristretto.Point
	p.Subtract(&rogue.commitments[0].point, &honest.commitments[0].point)
	rogue.commitments[0], err = newElement(&p)
	noError(t, err)
	_, err = c.PublicKey([]*Dealing{honest, rogue})
	blames(t, "rogue constant", err, 2, ErrDealing)
}

func TestPossessionIsBoundToTheTerms(t *testing.T) {
	c := Ceremony{Namespace: "demo", Epoch: 1, Attempt: 1, Threshold: 2, Dealers: Set{1, 2, 3}, Receivers: Set{1, 2, 3}}
	d, _, err := c.Deal(1)
	noError(t, err)
	noError(t, c.VerifyDealing(d))
	for name, change := range map[string]func(*Ceremony){
		"namespace": func(c *Ceremony) { c.Namespace = "other" },
		"epoch":     func(c *Ceremony) { c.Epoch++ },
		"attempt":   func(c *Ceremony) { c.Attempt++ },
		"dealers":   func(c *Ceremony) { c.Dealers = Set{1, 2} },
		"receivers": func(c *Ceremony) { c.Receivers = Set{1, 2, 4} },
	} {
		other := c
		change(&other)
		isExactly(t, name, other.VerifyDealing(d), ErrDealing)
	}
	stolen := *d
	stolen.dealer = 2
	isExactly(t, "another dealer", c.VerifyDealing(&stolen), ErrDealing)
	changed := *d
	changed.commitments = slices.Clone(d.commitments)
	changed.commitments[1] = multipleOfBase(t, scalarOf(9))
	isExactly(t, "another slope", c.VerifyDealing(&changed), ErrDealing)
	short := *d
	short.commitments = d.commitments[:1]
	isExactly(t, "fewer commitments", c.VerifyDealing(&short), ErrDealing)
}

// An old steward cannot slip another constant into a resharing, not even one
// whose logarithm it knows.
func TestResharingAnotherConstantIsRefused(t *testing.T) {
	c := Ceremony{Namespace: "demo", Epoch: 1, Threshold: 2, Dealers: Set{1, 2}, Receivers: Set{1, 2}}
	old, shares := run(t, c, c.Deal)
	c.Previous = old
	good, _, err := c.Reshare(shares[1])
	noError(t, err)
	share := shares[2]
	bad, _, err := c.deal(2, &share.value) // the share itself, without its coefficient
	noError(t, err)
	_, err = c.PublicKey([]*Dealing{good, bad})
	blames(t, "another constant", err, 2, ErrDealing)
}

// Whoever deals the opposite of what another dealt makes no key; nobody who
// does not know the other's constant can.
func TestConstantsThatCancelMakeNoKey(t *testing.T) {
	c := Ceremony{Namespace: "demo", Epoch: 1, Threshold: 2, Dealers: Set{1, 2}, Receivers: Set{1, 2}}
	one, _, err := c.deal(1, scalarOf(5))
	noError(t, err)
	two, _, err := c.deal(2, new(scalar).Negate(scalarOf(5)))
	noError(t, err)
	_, err = c.PublicKey([]*Dealing{one, two})
	isExactly(t, "cancelling constants", err, ErrIdentity)
	_, _, err = c.deal(1, new(scalar))
	isExactly(t, "no constant", err, ErrIdentity)
}

func TestStrangersToACeremony(t *testing.T) {
	c := Ceremony{Namespace: "demo", Epoch: 4, Threshold: 2, Dealers: Set{1, 2}, Receivers: Set{1, 2}}
	d, subshares, err := c.Deal(1)
	noError(t, err)
	foreign := *d
	foreign.dealer = 3
	isExactly(t, "dealing of a stranger", c.VerifyDealing(&foreign), ErrSet)
	subshares[0].receiver = 3
	isExactly(t, "subshare for a stranger", c.VerifySubshare(d, subshares[0]), ErrSet)
	subshares[1].dealer = 2
	isExactly(t, "subshare of another", c.VerifySubshare(d, subshares[1]), ErrShare)

	key, shares := run(t, c, c.Deal)
	_, err = key.PublicShare(3)
	isExactly(t, "share of a stranger", err, ErrSet)
	if key.Namespace() != "demo" || key.Epoch() != 4 || shares[2].Index() != 2 || shares[2].Key() != key.ID() {
		t.Error("key and share do not tell what they are")
	}
	broken := c
	broken.Threshold = 9
	isExactly(t, "broken terms", broken.VerifyDealing(d), ErrCeremony)
	_, err = broken.PublicKey([]*Dealing{d})
	isExactly(t, "broken terms", err, ErrCeremony)
}

func TestCeremonyTerms(t *testing.T) {
	good := Ceremony{Namespace: "demo", Epoch: 1, Threshold: 2, Dealers: Set{1, 2, 3}, Receivers: Set{1, 2, 3}}
	noError(t, good.Check())
	key, shares := run(t, good, good.Deal)
	for name, c := range map[string]struct {
		change func(*Ceremony)
		want   error
	}{
		"no namespace":                 {func(c *Ceremony) { c.Namespace = "" }, ErrCeremony},
		"long namespace":               {func(c *Ceremony) { c.Namespace = string(make([]byte, MaxNamespace+1)) }, ErrCeremony},
		"threshold one":                {func(c *Ceremony) { c.Threshold = 1 }, ErrCeremony},
		"threshold over receivers":     {func(c *Ceremony) { c.Threshold = 4 }, ErrCeremony},
		"fewer dealers than threshold": {func(c *Ceremony) { c.Dealers = Set{1} }, ErrCeremony},
		"dealers unsorted":             {func(c *Ceremony) { c.Dealers = Set{2, 1, 3} }, ErrSet},
		"receiver zero":                {func(c *Ceremony) { c.Receivers = Set{0, 1, 2} }, ErrSet},
		"old dealers too many":         {func(c *Ceremony) { c.Previous = key }, ErrSet},
		"old dealer unknown":           {func(c *Ceremony) { c.Previous, c.Dealers = key, Set{1, 4} }, ErrSet},
		"another epoch":                {func(c *Ceremony) { c.Previous, c.Dealers, c.Epoch = key, Set{1, 2}, 2 }, ErrCeremony},
		"another namespace":            {func(c *Ceremony) { c.Previous, c.Dealers, c.Namespace = key, Set{1, 2}, "other" }, ErrCeremony},
	} {
		changed := good
		c.change(&changed)
		isExactly(t, name, changed.Check(), c.want)
		_, _, err := changed.deal(1, scalarOf(1))
		isExactly(t, name, err, c.want)
	}
	_, _, err := good.Reshare(shares[1])
	isExactly(t, "nothing to reshare", err, ErrCeremony)
	again := good
	again.Previous, again.Dealers = key, Set{1, 2}
	_, _, err = again.Deal(1)
	isExactly(t, "dealing anew", err, ErrCeremony)
	_, _, err = again.Reshare(shares[3])
	isExactly(t, "no dealer", err, ErrSet)
}

func TestAggregateNeedsEveryDealerOnce(t *testing.T) {
	c := Ceremony{Namespace: "demo", Epoch: 1, Threshold: 2, Dealers: Set{1, 2, 3}, Receivers: Set{1, 2, 3}}
	var dealings []*Dealing
	var mine, others []Subshare
	for _, i := range c.Dealers {
		d, subshares, err := c.Deal(i)
		noError(t, err)
		dealings = append(dealings, d)
		mine, others = append(mine, subshares[0]), append(others, subshares[1])
	}
	for name, list := range map[string][]*Dealing{
		"one missing": dealings[:2],
		"one twice":   {dealings[0], dealings[1], dealings[1]},
		"one more":    append(slices.Clone(dealings), dealings[0]),
		"none":        nil,
	} {
		_, _, err := c.Aggregate(1, list, mine)
		isExactly(t, name, err, ErrSet)
	}
	for name, list := range map[string][]Subshare{
		"one missing":      mine[:2],
		"one twice":        {mine[0], mine[1], mine[1]},
		"one more":         append(slices.Clone(mine), mine[0]),
		"one of another's": {mine[0], mine[1], others[2]},
	} {
		_, _, err := c.Aggregate(1, dealings, list)
		isExactly(t, name, err, ErrSet)
	}
	// The order in which things arrive does not matter.
	_, key, err := c.Aggregate(1, dealings, mine)
	noError(t, err)
	slices.Reverse(dealings)
	_, same, err := c.Aggregate(1, dealings, mine)
	noError(t, err)
	if key.ID() != same.ID() {
		t.Error("order changes the key")
	}
}

func TestCeremoniesOfAnySize(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		threshold := rapid.IntRange(2, 5).Draw(t, "threshold")
		c := Ceremony{Namespace: "demo", Epoch: 3, Threshold: threshold,
			Dealers: drawSet(t, "dealers", threshold, 7), Receivers: drawSet(t, "receivers", threshold, 7)}
		key, shares := run(t, c, c.Deal)
		for _, i := range key.Stewards() {
			share := shares[i]
			public, err := key.PublicShare(i)
			noError(t, err)
			if !public.Equal(multipleOfBase(t, &share.value)) {
				t.Fatalf("public share %d does not fit", i)
			}
		}
		next := rapid.IntRange(2, 5).Draw(t, "next threshold")
		again := Ceremony{Namespace: "demo", Epoch: 3, Threshold: next, Previous: key,
			Dealers:   sorted(rapid.Permutation(key.Stewards()).Draw(t, "order")[:threshold]),
			Receivers: drawSet(t, "next receivers", next, 7)}
		moved, _ := run(t, again, func(i Index) (*Dealing, []Subshare, error) { return again.Reshare(shares[i]) })
		if !moved.Group().Equal(key.Group()) || moved.Threshold() != next {
			t.Fatalf("resharing changed the key")
		}
	})
}
