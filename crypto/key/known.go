package key

import (
	"crypto/ed25519"
	"crypto/sha512"
	"runtime"
	"slices"
	"sync"

	"coulisse/crypto/internal/curve"
	"coulisse/crypto/recent"

	"filippo.io/edwards25519"
)

// The keys of a federation are few and sign often, so a key that was seen
// several times gets a table of its multiples, with which a signature takes a
// third of the time. The answer is crypto/ed25519's to the last bit (a test
// compares them on every oddity that is known): S is reduced, the key and R are
// compared as they are encoded, and no cofactor is multiplied away. All that is
// computed with is public.

const (
	// worthTable is how many signatures pay for a table.
	worthTable = 10
	// maxKnown bounds the keys that are remembered: twice so many, and a table
	// takes 98 KB.
	maxKnown = 160

	keyBits, baseBits = 5, 8
)

// base are the multiples of the generator.
var base = sync.OnceValue(func() *curve.Windows {
	return curve.NewWindows(edwards25519.NewGeneratorPoint(), baseBits)
})

// seen are the keys that were used lately.
var seen = recent.NewMap[[32]byte, *known](maxKnown)

// known is a key that was used lately.
type known struct {
	// mu guards the rest.
	mu    sync.Mutex
	uses  int
	minus *curve.Windows // of the key negated; nil if it has none yet, or is no point
}

func use(point [32]byte) *known {
	return seen.Find(point, func() *known { return new(known) })
}

// table counts a use, and returns the multiples once they are worth it.
func (k *known) table(point [32]byte) *curve.Windows {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.uses++; k.uses == worthTable {
		// As crypto/ed25519 reads a key.
		if a, err := new(edwards25519.Point).SetBytes(point[:]); err == nil {
			k.minus = curve.NewWindows(a.Negate(a), keyBits)
		}
	}
	return k.minus
}

// verifyWith verifies a signature of 64 bytes with the multiples of a negated
// key (RFC 8032, section 5.1.7, without the cofactor).
func verifyWith(minus *curve.Windows, point [32]byte, message, sig []byte) bool {
	c, ok := commitment(minus, point, message, sig)
	return ok && c.Encode() == [32]byte(sig[:32])
}

// commitment is what R must encode, unless S is not reduced.
func commitment(minus *curve.Windows, point [32]byte, message, sig []byte) (c curve.Coordinates, ok bool) {
	s, err := new(edwards25519.Scalar).SetCanonicalBytes(sig[32:])
	if err != nil {
		return c, false
	}
	digest := sha512.New()
	digest.Write(sig[:32])
	digest.Write(point[:])
	digest.Write(message)
	var wide [sha512.Size]byte
	k, err := new(edwards25519.Scalar).SetUniformBytes(digest.Sum(wide[:0]))
	if err != nil {
		return c, false
	}
	c.Zero()
	base().AddMultVarTime(&c, s)
	minus.AddMultVarTime(&c, k)
	return c, true
}

// Claim is a signature that is about to be verified.
type Claim[R Role] struct {
	Key          Public[R]
	Message, Sig []byte
}

// Ahead verifies claims that will be verified one after the other, all at once
// and on all processors, so that Verify finds those that are good remembered.
// It decides nothing.
func Ahead[R Role](claims []Claim[R]) {
	share := (len(claims) + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0)
	var verifying sync.WaitGroup
	for part := range slices.Chunk(claims, max(share, 1)) {
		verifying.Go(func() { ahead(part) })
	}
	verifying.Wait()
}

// ahead shares one inversion among all claims whose keys have a table.
func ahead[R Role](claims []Claim[R]) {
	var commitments []curve.Coordinates
	var of []Claim[R]
	for _, c := range claims {
		if c.Key.IsZero() || len(c.Sig) != ed25519.SignatureSize {
			continue
		}
		minus := use(c.Key.point).table(c.Key.point)
		if minus == nil {
			c.Key.Verify(c.Message, c.Sig)
			continue
		}
		if r, ok := commitment(minus, c.Key.point, c.Message, c.Sig); ok {
			commitments, of = append(commitments, r), append(of, c)
		}
	}
	for i, encoded := range curve.EncodeAll(commitments) {
		if c := of[i]; encoded == [32]byte(c.Sig[:32]) {
			good.Put(tripleOf(c.Key.point, c.Message, c.Sig), struct{}{})
		}
	}
}
