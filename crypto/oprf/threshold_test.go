package oprf

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"coulisse/crypto/oprf/internal/ristretto"
)

func sorted(s Set) Set {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}

func threeOfFive(t tester) (*PublicKey, map[Index]Share) {
	t.Helper()
	var k scalar
	randomScalar(&k)
	return split(t, &k, 3, Set{2, 3, 5, 700, 65535})
}

func TestAnySetGivesTheSameTokens(t *testing.T) {
	key, shares := threeOfFive(t)
	inputs := numbered(block + 3)
	var want []Token
	for _, set := range subsets(key.Stewards(), 3) {
		got := tokens(t, key, shares, set, inputs)
		if want == nil {
			want = got
		}
		sameTokens(t, fmt.Sprint("set ", set), got, want)
	}
	if slices.Contains(want[1:], want[0]) {
		t.Error("different inputs share a token")
	}
}

func TestFewerThanThresholdGiveNothing(t *testing.T) {
	key, shares := threeOfFive(t)
	inputs := numbered(2)
	want := tokens(t, key, shares, Set{2, 3, 5}, inputs)
	for _, set := range subsets(key.Stewards(), 2) {
		b, blinded, err := Blind(inputs)
		noError(t, err)
		_, err = Evaluate(key, shares[set[0]], set, blinded)
		isExactly(t, "evaluating", err, ErrSet)
		_, err = b.Finalize(key, set, make([]Partial, 2))
		isExactly(t, "finalising", err, ErrSet)

		// What two stewards could do with each other's shares is not the key.
		k := reconstruct(shares, set)
		for i := range inputs {
			var p ristretto.Point
			hashToGroup(&p, inputs[i])
			if finalizeHash(inputs[i], p.ScalarMult(k, &p).Encode()) == want[i] {
				t.Fatalf("set %v makes tokens", set)
			}
		}
		if p := multipleOfBase(t, k); p.Equal(key.Group()) {
			t.Fatalf("set %v holds the key", set)
		}
	}
}

func TestSets(t *testing.T) {
	key, shares := threeOfFive(t)
	_, blinded, err := Blind(numbered(1))
	noError(t, err)
	tooMany := make(Set, MaxStewards+1)
	for i := range tooMany {
		tooMany[i] = Index(i + 1)
	}
	for name, set := range map[string]Set{
		"empty":          nil,
		"too few":        {2, 3},
		"too many":       {2, 3, 5, 700},
		"beyond bounds":  tooMany,
		"twice":          {2, 2, 3},
		"out of order":   {3, 2, 5},
		"zero":           {0, 2, 3},
		"unknown":        {2, 3, 4},
		"without myself": {3, 5, 700},
	} {
		_, err := Evaluate(key, shares[2], set, blinded)
		isExactly(t, name, err, ErrSet)
		isExactly(t, name, VerifyPartial(key, set, blinded, Partial{Steward: 2}), ErrSet)
	}
}

func TestAnswersMustBeTheSets(t *testing.T) {
	key, shares := threeOfFive(t)
	b, blinded, err := Blind(numbered(1))
	noError(t, err)
	set := Set{2, 3, 5}
	good := answers(t, key, shares, set, blinded)
	for name, partials := range map[string][]Partial{
		"one missing": good[:2],
		"one twice":   {good[0], good[1], good[1]},
		"one more":    append(slices.Clone(good), good[0]),
		"another":     {good[0], good[1], {Steward: 700, Evaluated: good[2].Evaluated, Proof: good[2].Proof}},
	} {
		_, err := b.Finalize(key, set, partials)
		isExactly(t, name, err, ErrSet)
	}
	slices.Reverse(good)
	_, err = b.Finalize(key, set, good)
	noError(t, err)
	// The same answers are wrong for any other set: its coefficients differ.
	good[0].Steward = 700
	_, err = b.Finalize(key, Set{2, 3, 700}, good)
	blames(t, "another set", err, 700, ErrProof)
}

func TestBatchLimits(t *testing.T) {
	key, shares := threeOfFive(t)
	set := Set{2, 3, 5}
	one := multipleOfBase(t, scalarOf(7))
	for name, c := range map[string]struct {
		n    int
		want error
	}{"none": {0, ErrBatchEmpty}, "one too many": {MaxBatch + 1, ErrBatchTooLarge}} {
		batch := slices.Repeat([]Element{one}, c.n)
		_, _, err := Blind(make([][]byte, c.n))
		isExactly(t, name, err, c.want)
		_, err = DecodeElements(EncodeElements(batch))
		isExactly(t, name, err, c.want)
		_, err = Evaluate(key, shares[2], set, batch)
		isExactly(t, name, err, c.want)
		isExactly(t, name, VerifyPartial(key, set, batch, Partial{Steward: 2}), c.want)
	}
	_, _, err := Blind([][]byte{make([]byte, MaxInput), make([]byte, MaxInput+1)})
	isExactly(t, "long input", err, ErrLength)
}

func TestRefusedElements(t *testing.T) {
	key, shares := threeOfFive(t)
	set := Set{2, 3, 5}
	identity := make([]byte, ElementSize)
	nonCanonical := bytes.Repeat([]byte{0xff}, ElementSize)
	good := multipleOfBase(t, scalarOf(7)).Bytes()
	for name, c := range map[string]struct {
		wire []byte
		want error
	}{
		"identity":      {identity, ErrIdentity},
		"non-canonical": {nonCanonical, ErrNonCanonical},
		"negative":      {append([]byte{1}, identity[1:]...), ErrNonCanonical},
		"short":         {good[:31], ErrLength},
		"long":          {append(good[:], 0), ErrLength},
	} {
		_, err := ParseElement(c.wire)
		isExactly(t, name, err, c.want)
		_, err = DecodeElements(append(bytes.Repeat(good[:], block+5), c.wire...))
		isExactly(t, name, err, c.want)
		if c.want != ErrLength && !strings.Contains(err.Error(), fmt.Sprint("element ", block+5)) {
			t.Errorf("%s: the error does not say where: %v", name, err)
		}
	}
	// An Element that nobody set is the identity too.
	_, err := Evaluate(key, shares[2], set, make([]Element, 1))
	isExactly(t, "unset element", err, ErrIdentity)
}

func TestWrongAnswers(t *testing.T) {
	key, shares := threeOfFive(t)
	set := Set{2, 3, 5}
	b, blinded, err := Blind(numbered(40))
	noError(t, err)
	otherKey, otherShares := threeOfFive(t)
	_, otherBlinded, err := Blind(numbered(40))
	noError(t, err)

	relabelled := shares[700]
	relabelled.index = 3
	wrongShare, err := Evaluate(key, relabelled, set, blinded)
	noError(t, err)
	foreign := otherShares[3]
	foreign.key = key.ID()
	foreignShare, err := Evaluate(key, foreign, set, blinded)
	noError(t, err)
	otherBatch, err := Evaluate(key, shares[3], set, otherBlinded)
	noError(t, err)
	otherSet, err := Evaluate(key, shares[3], Set{2, 3, 700}, blinded)
	noError(t, err)

	good := answers(t, key, shares, set, blinded)
	change := func(f func(p *Partial)) Partial {
		p := good[1]
		p.Evaluated = slices.Clone(p.Evaluated)
		f(&p)
		return p
	}
	for name, c := range map[string]struct {
		partial Partial
		want    error
	}{
		"wrong share":      {wrongShare, ErrProof},
		"share of another": {foreignShare, ErrProof},
		"another batch":    {otherBatch, ErrProof},
		"another set":      {otherSet, ErrProof},
		"no proof":         {change(func(p *Partial) { p.Proof = Proof{} }), ErrProof},
		"one wrong element": {change(func(p *Partial) {
			p.Evaluated[17] = multipleOfBase(t, scalarOf(3))
		}), ErrProof},
		"two swapped": {change(func(p *Partial) {
			p.Evaluated[0], p.Evaluated[1] = p.Evaluated[1], p.Evaluated[0]
		}), ErrProof},
		"unset element": {change(func(p *Partial) { p.Evaluated[39] = Element{} }), ErrIdentity},
		"one short":     {change(func(p *Partial) { p.Evaluated = p.Evaluated[:39] }), ErrLength},
	} {
		isExactly(t, name, VerifyPartial(key, set, blinded, c.partial), c.want)
		_, err := b.Finalize(key, set, []Partial{good[0], c.partial, good[2]})
		blames(t, name, err, 3, c.want)
		if !strings.HasPrefix(err.Error(), "steward 3: ") {
			t.Errorf("%s: the error does not say who: %v", name, err)
		}
	}
	// The state survives: the same batch goes to a set without the culprit.
	retry := Set{2, 5, 700}
	got, err := b.Finalize(key, retry, answers(t, key, shares, retry, blinded))
	noError(t, err)
	sameTokens(t, "retry", got, tokens(t, key, shares, set, numbered(40)))

	_, err = Evaluate(otherKey, shares[3], set, blinded)
	isExactly(t, "share under another key", err, ErrShare)
}

// Every bit of a proof and of an answer counts.
func TestFlippedBits(t *testing.T) {
	key, shares := threeOfFive(t)
	set := Set{2, 3, 5}
	_, blinded, err := Blind(numbered(1))
	noError(t, err)
	good, err := Evaluate(key, shares[2], set, blinded)
	noError(t, err)
	noError(t, VerifyPartial(key, set, blinded, good))
	for bit := range 8 * ProofSize {
		wire := good.Proof.Bytes()
		wire[bit/8] ^= 1 << (bit % 8)
		proof, err := ParseProof(wire[:])
		if err != nil {
			isExactly(t, "proof", err, ErrNonCanonical)
			continue
		}
		isExactly(t, "proof", VerifyPartial(key, set, blinded, Partial{2, good.Evaluated, proof}), ErrProof)
	}
	for bit := range 8 * ElementSize {
		wire := good.Evaluated[0].Bytes()
		wire[bit/8] ^= 1 << (bit % 8)
		e, err := ParseElement(wire[:])
		if err != nil {
			isExactly(t, "element", err, ErrNonCanonical)
			continue
		}
		isExactly(t, "element", VerifyPartial(key, set, blinded, Partial{2, []Element{e}, good.Proof}), ErrProof)
	}
}

func TestBlindsAreFresh(t *testing.T) {
	inputs := [][]byte{[]byte("same"), []byte("same")}
	_, first, err := Blind(inputs)
	noError(t, err)
	_, second, err := Blind(inputs)
	noError(t, err)
	if first[0].Equal(first[1]) || first[0].Equal(second[0]) {
		t.Error("a blind was used twice")
	}
}

// The caller's buffers may be reused after blinding.
func TestInputsAreCopied(t *testing.T) {
	key, shares := threeOfFive(t)
	set := Set{2, 3, 5}
	inputs := numbered(1)
	want := tokens(t, key, shares, set, inputs)
	b, blinded, err := Blind(inputs)
	noError(t, err)
	clear(inputs[0])
	partials := answers(t, key, shares, set, blinded)
	blinded[0] = multipleOfBase(t, scalarOf(5))
	got, err := b.Finalize(key, set, partials)
	noError(t, err)
	sameTokens(t, "after reuse", got, want)
}

func TestSecretsDoNotPrint(t *testing.T) {
	key, shares := threeOfFive(t)
	c := Ceremony{Namespace: "demo", Epoch: 1, Threshold: 2, Dealers: Set{1, 2}, Receivers: Set{1, 2}}
	_, subshares, err := c.Deal(1)
	noError(t, err)
	b, _, err := Blind([][]byte{[]byte("someone@example.org")})
	noError(t, err)
	token := tokens(t, key, shares, Set{2, 3, 5}, numbered(1))[0]
	share := shares[2]

	var out strings.Builder
	log := slog.New(slog.NewJSONHandler(&out, nil))
	for _, secret := range []any{share, &share, subshares[0], subshares, *b, b, token, &token} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", secret)
		}
		if s, ok := secret.(fmt.Stringer); ok {
			out.WriteString(s.String())
		}
		log.Info("x", "secret", secret)
	}
	printed := strings.ToLower(out.String())
	for _, hidden := range []string{
		hex.EncodeToString(share.value.Bytes()[:4]), hex.EncodeToString(token[:4]), hex.EncodeToString([]byte("someone")),
		"someone", fmt.Sprint(token[0], " ", token[1], " ", token[2]), "value", "blinds",
	} {
		if strings.Contains(printed, hidden) {
			t.Errorf("printing shows %q", hidden)
		}
	}
}
