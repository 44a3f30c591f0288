package oprf_test

import (
	"fmt"

	"coulisse/crypto/oprf"
)

// The life of a key and of a token: three stewards make a key, a member asks
// two of them.
func Example() {
	ceremony := oprf.Ceremony{
		Namespace: "demo", Epoch: 1, Attempt: 1, Threshold: 2,
		Dealers: oprf.Set{1, 2, 3}, Receivers: oprf.Set{1, 2, 3},
	}
	// Each dealer posts its dealing and seals a subshare for each receiver.
	var posted []*oprf.Dealing
	received := map[oprf.Index][]oprf.Subshare{}
	for _, dealer := range ceremony.Dealers {
		dealing, subshares, err := ceremony.Deal(dealer)
		check(err)
		posted = append(posted, dealing)
		for _, s := range subshares {
			received[s.Receiver()] = append(received[s.Receiver()], s)
		}
	}
	// Each receiver checks everything and holds a share.
	shares := map[oprf.Index]oprf.Share{}
	var key *oprf.PublicKey
	for _, receiver := range ceremony.Receivers {
		share, made, err := ceremony.Aggregate(receiver, posted, received[receiver])
		check(err)
		shares[receiver], key = share, made
	}
	// Everybody else computes the same key from what was posted.
	public, err := ceremony.PublicKey(posted)
	check(err)
	fmt.Println("all agree:", public.ID() == key.ID())

	// A member blinds, two stewards answer, the member finalises.
	blinding, blinded, err := oprf.Blind([][]byte{[]byte("alice"), []byte("bob")})
	check(err)
	set := oprf.Set{1, 3}
	var answers []oprf.Partial
	for _, i := range set {
		answer, err := oprf.Evaluate(key, shares[i], set, blinded)
		check(err)
		answers = append(answers, answer)
	}
	tokens, err := blinding.Finalize(key, set, answers)
	check(err)
	fmt.Println(len(tokens), "tokens:", tokens[0])
	// Output:
	// all agree: true
	// 2 tokens: oprf.Token(personal data)
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
