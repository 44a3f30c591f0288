// Package oprftest makes tokens with the whole key, on circl's OPRF and its own
// arithmetic, to hold those of the protocol (protocol.md section 3) against. It
// is for tests: the protocol never puts the key together.
package oprftest

import (
	"testing"

	"coulisse/crypto/oprf"

	"github.com/cloudflare/circl/group"
	circl "github.com/cloudflare/circl/oprf"
)

// Whole puts the key together out of as many unsealed shares as it takes, and
// returns circl's evaluation under it.
func Whole(tb testing.TB, unsealed ...[]byte) func(input []byte) []byte {
	tb.Helper()
	seats, shares := []group.Scalar{}, []group.Scalar{}
	for _, secret := range unsealed {
		share, err := oprf.ParseShare(secret)
		must(tb, err)
		value := group.Ristretto255.NewScalar()
		must(tb, value.UnmarshalBinary(secret[len(secret)-32:]))
		seats, shares = append(seats, group.Ristretto255.NewScalar().SetUint64(uint64(share.Index()))), append(shares, value)
	}
	encoded, err := interpolate(seats, shares).MarshalBinary()
	must(tb, err)
	key := new(circl.PrivateKey)
	must(tb, key.UnmarshalBinary(circl.SuiteRistretto255, encoded))
	server := circl.NewVerifiableServer(circl.SuiteRistretto255, key)
	return func(input []byte) []byte {
		token, err := server.FullEvaluate(input)
		must(tb, err)
		return token
	}
}

// interpolate sums each share times j / (j - i), with i its seat and j each
// other's.
func interpolate(seats, shares []group.Scalar) group.Scalar {
	sum := group.Ristretto255.NewScalar()
	for n, term := range shares {
		for m, other := range seats {
			if m != n {
				factor := group.Ristretto255.NewScalar()
				factor.Sub(other, seats[n])
				factor.Inv(factor)
				factor.Mul(factor, other)
				term.Mul(term, factor)
			}
		}
		sum.Add(sum, term)
	}
	return sum
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
