package oprf

import (
	"testing"

	"github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/oprf"
	"github.com/cloudflare/circl/zk/dleq"
	"pgregory.net/rapid"
)

// circl's OPRF, on its own group arithmetic, with the key reconstructed.

func circlKey(t tester, k *scalar) *oprf.PrivateKey {
	t.Helper()
	sk := new(oprf.PrivateKey)
	noError(t, sk.UnmarshalBinary(oprf.SuiteRistretto255, k.Bytes()))
	return sk
}

// reconstruct interpolates K from shares: what the protocol never does.
func reconstruct(shares map[Index]Share, set Set) *scalar {
	k := new(scalar)
	for _, i := range set {
		share := shares[i]
		k.MultiplyAdd(set.lagrange(i), &share.value, k)
	}
	return k
}

func toCircl(t tester, e Element) group.Element {
	t.Helper()
	c := group.Ristretto255.NewElement()
	noError(t, c.UnmarshalBinary(e.encoding[:]))
	return c
}

func fromCircl(t tester, c group.Element) Element {
	t.Helper()
	b, err := c.MarshalBinaryCompress()
	noError(t, err)
	e, err := ParseElement(b)
	noError(t, err)
	return e
}

func TestTokensAreCircls(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		threshold := rapid.IntRange(2, 4).Draw(t, "threshold")
		stewards := drawSet(t, "stewards", threshold, 6)
		set := Set(rapid.Permutation(stewards).Draw(t, "order")[:threshold])
		set = sorted(set)
		inputs := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 80), 1, 5).Draw(t, "inputs")

		c := Ceremony{Namespace: "demo", Epoch: 1, Threshold: threshold, Dealers: stewards, Receivers: stewards}
		key, shares := run(t, c, c.Deal)
		server := oprf.NewVerifiableServer(oprf.SuiteRistretto255, circlKey(t, reconstruct(shares, set)))
		for i, token := range tokens(t, key, shares, set, inputs) {
			want, err := server.FullEvaluate(inputs[i])
			noError(t, err)
			if string(token[:]) != string(want) {
				t.Fatalf("input %d: circl's token differs", i)
			}
		}
	})
}

// Proofs cross over: circl's client takes a steward's answer, and a member
// takes that of circl's server.
func TestProofsCrossOver(t *testing.T) {
	for _, n := range []int{1, 3, 40} {
		var k, nonce scalar
		randomScalar(&k)
		randomScalar(&nonce)
		sk := circlKey(t, &k)
		public := multipleOfBase(t, &k)
		inputs := numbered(n)

		client := oprf.NewVerifiableClient(oprf.SuiteRistretto255, sk.Public())
		state, request, err := client.Blind(inputs)
		noError(t, err)
		blinded := make([]Element, n)
		for i, e := range request.Elements {
			blinded[i] = fromCircl(t, e)
		}

		evaluated := multiplyAll(&k, blinded)
		proof := prove(&k, &public, blinded, evaluated, &nonce).Bytes()
		ours := &oprf.Evaluation{Proof: new(dleq.Proof)}
		noError(t, ours.Proof.UnmarshalBinary(group.Ristretto255, proof[:]))
		for _, e := range evaluated {
			ours.Elements = append(ours.Elements, toCircl(t, e))
		}
		if _, err := client.Finalize(state, ours); err != nil {
			t.Errorf("%d elements: circl refuses our proof: %v", n, err)
		}

		theirs, err := oprf.NewVerifiableServer(oprf.SuiteRistretto255, sk).Evaluate(request)
		noError(t, err)
		b, err := theirs.Proof.MarshalBinary()
		noError(t, err)
		parsed, err := ParseProof(b)
		noError(t, err)
		if !verify(&public, newBatch(blinded), newBatch(evaluated), parsed) {
			t.Errorf("%d elements: we refuse circl's proof", n)
		}
	}
}

func drawSet(t *rapid.T, label string, least, most int) Set {
	list := rapid.SliceOfNDistinct(rapid.Uint16Min(1), least, most, rapid.ID[uint16]).Draw(t, label)
	set := make(Set, len(list))
	for i, v := range list {
		set[i] = Index(v)
	}
	return sorted(set)
}
