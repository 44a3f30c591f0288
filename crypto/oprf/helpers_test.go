package oprf

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"coulisse/crypto/oprf/internal/ristretto"
)

// testing.T, rapid.T and testing.B, as far as the helpers need them.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

// split shares a known key, as no party of the protocol could: so that
// published vectors and independent implementations can be asked for the same
// tokens.
func split(t tester, k *scalar, threshold int, stewards Set) (*PublicKey, map[Index]Share) {
	t.Helper()
	coefficients := make([]scalar, threshold)
	coefficients[0].Set(k)
	key := &PublicKey{namespace: "demo", epoch: 1, stewards: stewards, commitments: make(commitments, threshold)}
	for i := range coefficients {
		if i > 0 {
			randomScalar(&coefficients[i])
		}
		key.commitments[i] = multipleOfBase(t, &coefficients[i])
	}
	shares := make(map[Index]Share)
	for _, i := range stewards {
		s := Share{index: i, key: key.ID()}
		evaluatePolynomial(&s.value, coefficients, i)
		shares[i] = s
	}
	return key, shares
}

func multipleOfBase(t tester, k *scalar) Element {
	t.Helper()
	var p ristretto.Point
	e, err := newElement(p.ScalarBaseMult(k))
	noError(t, err)
	return e
}

func answers(t tester, key *PublicKey, shares map[Index]Share, set Set, blinded []Element) []Partial {
	t.Helper()
	var list []Partial
	for _, i := range set {
		p, err := Evaluate(key, shares[i], set, blinded)
		noError(t, err)
		list = append(list, p)
	}
	return list
}

func tokens(t tester, key *PublicKey, shares map[Index]Share, set Set, inputs [][]byte) []Token {
	t.Helper()
	b, blinded, err := Blind(inputs)
	noError(t, err)
	list, err := b.Finalize(key, set, answers(t, key, shares, set, blinded))
	noError(t, err)
	return list
}

// run plays an undisturbed ceremony; deal is Deal or Reshare of one dealer.
func run(t tester, c Ceremony, deal func(Index) (*Dealing, []Subshare, error)) (*PublicKey, map[Index]Share) {
	t.Helper()
	var dealings []*Dealing
	sent := make(map[Index][]Subshare)
	for _, i := range c.Dealers {
		d, subshares, err := deal(i)
		noError(t, err)
		dealings = append(dealings, d)
		for _, s := range subshares {
			sent[s.Receiver()] = append(sent[s.Receiver()], s)
		}
	}
	var key *PublicKey
	shares := make(map[Index]Share)
	for _, i := range c.Receivers {
		share, k, err := c.Aggregate(i, dealings, sent[i])
		noError(t, err)
		if key != nil && key.ID() != k.ID() {
			t.Fatalf("receivers disagree about the key")
		}
		key, shares[i] = k, share
	}
	return key, shares
}

// subsets returns every ascending choice of size indexes.
func subsets(of Set, size int) []Set {
	if size == 0 {
		return []Set{{}}
	}
	var all []Set
	for i, first := range of {
		for _, rest := range subsets(of[i+1:], size-1) {
			all = append(all, append(Set{first}, rest...))
		}
	}
	return all
}

func numbered(n int) [][]byte {
	inputs := make([][]byte, n)
	for i := range inputs {
		inputs[i] = fmt.Appendf(nil, "coulisse/1|demo|1|norm/1|email|\x00|person-%d@example.org", i)
	}
	return inputs
}

func sameTokens(t tester, what string, got, want []Token) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: tokens differ", what)
	}
}

func noError(t tester, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

// isExactly fails unless err is want and none of the other sentinels.
func isExactly(t tester, what string, err, want error) {
	t.Helper()
	for _, other := range []error{ErrBatchEmpty, ErrBatchTooLarge, ErrLength, ErrFormat, ErrNonCanonical,
		ErrIdentity, ErrProof, ErrDealing, ErrShare, ErrSet, ErrCeremony} {
		if errors.Is(err, other) != (other == want) {
			t.Fatalf("%s: got %v, want %v alone", what, err, want)
		}
	}
}

func blames(t tester, what string, err error, steward Index, want error) {
	t.Helper()
	var blame *Blame
	if !errors.As(err, &blame) || blame.Steward != steward {
		t.Fatalf("%s: got %v, want blame of steward %d", what, err, steward)
	}
	isExactly(t, what, err, want)
}

var _ tester = (*testing.T)(nil)
