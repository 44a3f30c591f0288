package oprf

import (
	"bytes"
	"encoding/hex"
	"slices"
	"testing"
)

// A member that stopped after its ticket goes on with the same elements, and
// gets the tokens that it would have got.
func TestBlindingSurvives(t *testing.T) {
	key, shares := split(t, scalarOf(7), 2, Set{1, 2, 3})
	set := Set{1, 3}
	inputs := numbered(5)
	b, blinded, err := Blind(inputs)
	noError(t, err)
	again, reblinded, err := ParseBlinding(marshal(t, b))
	noError(t, err)
	if !bytes.Equal(EncodeElements(blinded), EncodeElements(reblinded)) {
		t.Fatal("the elements differ: the ticket would not fit them")
	}
	got, err := again.Finalize(key, set, answers(t, key, shares, set, blinded))
	noError(t, err)
	sameTokens(t, "resumed", got, tokens(t, key, shares, Set{2, 3}, inputs))
}

func fixedBlinding(t tester) *Blinding {
	t.Helper()
	b := &Blinding{inputs: [][]byte{[]byte("a"), {}}, blinds: make([]scalar, 2)}
	b.blinds[0].Set(scalarOf(5))
	b.blinds[1].Set(scalarOf(6))
	return b
}

func TestBlindingEncoding(t *testing.T) {
	good := marshal(t, fixedBlinding(t))
	zeros := hex.EncodeToString(make([]byte, 31))
	if want := "01" + "0002" + "0001" + "61" + "05" + zeros + "0000" + "06" + zeros; hex.EncodeToString(good) != want {
		t.Fatalf("got %x", good)
	}
	change := func(at int, with ...byte) []byte {
		b := slices.Clone(good)
		copy(b[at:], with)
		return b
	}
	for what, c := range map[string]struct {
		encoded []byte
		want    error
	}{
		"another version": {change(0, 2), ErrFormat},
		"no input":        {change(1, 0, 0), ErrBatchEmpty},
		"too many inputs": {change(1, 0x10, 1), ErrBatchTooLarge},
		"a cut one":       {good[:len(good)-1], ErrLength},
		"a longer one":    {append(slices.Clone(good), 0), ErrLength},
		"a large blind":   {change(6, bytes.Repeat([]byte{0xff}, 32)...), ErrNonCanonical},
		"nothing":         {nil, ErrLength},
	} {
		_, _, err := ParseBlinding(c.encoded)
		isExactly(t, what, err, c.want)
	}
}

func FuzzParseBlinding(f *testing.F) {
	good := marshal(f, fixedBlinding(f))
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(append(slices.Clone(good), 0))
	f.Add([]byte{encodingVersion, 0x10, 0})
	f.Fuzz(func(t *testing.T, encoded []byte) {
		b, blinded, err := ParseBlinding(encoded)
		if err != nil {
			return
		}
		if len(blinded) == 0 || !bytes.Equal(marshal(t, b), encoded) {
			t.Errorf("%x is accepted as another encoding", encoded)
		}
	})
}
