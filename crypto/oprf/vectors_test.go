package oprf

import (
	"crypto"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/cloudflare/circl/expander"

	"coulisse/crypto/oprf/internal/ristretto"
)

type suite struct {
	Identifier          string
	Mode                int
	GroupDST, SkSm      string
	PkSm, Seed, KeyInfo string
	Vectors             []vector
}

type vector struct {
	Blind, BlindedElement, EvaluationElement, Input, Output string

	Proof struct{ Proof, R string }
}

// rfc9497 returns the vectors of appendix A.1.2: ristretto255-SHA512, VOPRF.
func rfc9497(t *testing.T) suite {
	t.Helper()
	data, err := os.ReadFile("testdata/rfc9497-vectors.json")
	noError(t, err)
	var suites []suite
	noError(t, json.Unmarshal(data, &suites))
	for _, s := range suites {
		if s.Identifier == "ristretto255-SHA512" && s.Mode == 1 {
			return s
		}
	}
	t.Fatal("the vectors lack ristretto255-SHA512 in mode 1")
	panic("unreachable")
}

func unhex(t tester, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	noError(t, err)
	return b
}

// list splits the comma-separated hex of a batch.
func list(t tester, s string) (all [][]byte) {
	t.Helper()
	for part := range strings.SplitSeq(s, ",") {
		all = append(all, unhex(t, part))
	}
	return all
}

func elements(t tester, s string) (all []Element) {
	t.Helper()
	for _, b := range list(t, s) {
		e, err := ParseElement(b)
		noError(t, err)
		all = append(all, e)
	}
	return all
}

func scalarFrom(t tester, s string) *scalar {
	t.Helper()
	k, err := new(scalar).SetCanonicalBytes(unhex(t, s))
	noError(t, err)
	return k
}

func TestDerivedKey(t *testing.T) {
	s := rfc9497(t)
	info := unhex(t, s.KeyInfo)
	input := append(framed(unhex(t, s.Seed), info), 0)
	derive := expander.NewExpanderMD(crypto.SHA512, []byte("DeriveKeyPair"+context))
	var k scalar
	setUniform(&k, derive.Expand(input, 64))
	if got := hex.EncodeToString(k.Bytes()); got != s.SkSm {
		t.Errorf("secret key %s, want %s", got, s.SkSm)
	}
	public := multipleOfBase(t, &k)
	if got := hex.EncodeToString(public.encoding[:]); got != s.PkSm {
		t.Errorf("public key %s, want %s", got, s.PkSm)
	}
	if labelGroup != string(unhex(t, s.GroupDST)) {
		t.Errorf("the domain of HashToGroup is %q", labelGroup)
	}
}

func TestRFC9497(t *testing.T) {
	s := rfc9497(t)
	k := scalarFrom(t, s.SkSm)
	public := elements(t, s.PkSm)[0]
	for _, v := range s.Vectors {
		blinded, evaluated := elements(t, v.BlindedElement), elements(t, v.EvaluationElement)
		blinds := list(t, v.Blind)
		for i, input := range list(t, v.Input) {
			var p ristretto.Point
			hashToGroup(&p, input)
			p.ScalarMult(scalarFrom(t, hex.EncodeToString(blinds[i])), &p)
			if p.Encode() != blinded[i].encoding {
				t.Errorf("input %x: the blinded element differs", input)
			}
		}
		for i, e := range multiplyAll(k, blinded) {
			if !e.Equal(evaluated[i]) {
				t.Errorf("element %d: the evaluation differs", i)
			}
		}
		proof := prove(k, &public, blinded, evaluated, scalarFrom(t, v.Proof.R))
		if got := proof.Bytes(); hex.EncodeToString(got[:]) != v.Proof.Proof {
			t.Errorf("proof %x, want %s", got, v.Proof.Proof)
		}
		published, err := ParseProof(unhex(t, v.Proof.Proof))
		noError(t, err)
		if !verify(&public, newBatch(blinded), newBatch(evaluated), published) {
			t.Error("the published proof does not verify")
		}
	}
}

// The whole protocol, with the RFC's key in three shares, gives the RFC's
// outputs, and stewards' answers to the RFC's blinded elements add up to a quarter
// of the RFC's evaluation.
func TestRFC9497Threshold(t *testing.T) {
	s := rfc9497(t)
	key, shares := split(t, scalarFrom(t, s.SkSm), 2, Set{1, 2, 3})
	if group := key.Group(); hex.EncodeToString(group.encoding[:]) != s.PkSm {
		t.Fatal("the group key differs")
	}
	for _, set := range subsets(key.Stewards(), 2) {
		for _, v := range s.Vectors {
			for i, token := range tokens(t, key, shares, set, list(t, v.Input)) {
				if want := list(t, v.Output)[i]; string(token[:]) != string(want) {
					t.Errorf("set %v, input %d: the output differs", set, i)
				}
			}
			partials := answers(t, key, shares, set, elements(t, v.BlindedElement))
			for i, want := range elements(t, v.EvaluationElement) {
				var sum ristretto.Point
				sum.Add(&partials[0].Evaluated[i].point, &partials[1].Evaluated[i].point)
				sum.Double(sum.Double(&sum))
				if sum.Encode() != want.encoding {
					t.Errorf("set %v, element %d: the answers do not add up", set, i)
				}
			}
		}
	}
}
