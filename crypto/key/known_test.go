package key

import (
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/hex"
	"math/rand/v2"
	"testing"

	"coulisse/crypto/internal/curve"

	"filippo.io/edwards25519"
	"pgregory.net/rapid"
)

// tableOf are the multiples of a key negated, whoever holds it.
func tableOf(t interface{ Fatal(...any) }, point []byte) *curve.Windows {
	a, err := new(edwards25519.Point).SetBytes(point)
	if err != nil {
		t.Fatal(err)
	}
	return curve.NewWindows(a.Negate(a), keyBits)
}

// lowOrder are the encodings of the eight points of the torsion subgroup, with
// those that are not canonical but that crypto/ed25519 reads (section 2 of
// "Taming the many EdDSAs", Chalkias, Garillot, Nikolaenko, 2020).
var lowOrder = []string{
	"0100000000000000000000000000000000000000000000000000000000000000",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"0000000000000000000000000000000000000000000000000000000000000080",
	"0000000000000000000000000000000000000000000000000000000000000000",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
	"0100000000000000000000000000000000000000000000000000000000000080",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}

func unhex(t *testing.T, s string) [32]byte {
	t.Helper()
	raw, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return [32]byte(raw)
}

// TestTableOddities compares with crypto/ed25519 where implementations part:
// keys and commitments of small or mixed order, encodings that are not
// canonical, S that is zero, random or not reduced.
func TestTableOddities(t *testing.T) {
	order := unhex(t, "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
	scalars := [][32]byte{{}, {1}, order}
	private := ed25519.NewKeyFromSeed(make([]byte, 32))
	honest := [32]byte(private.Public().(ed25519.PublicKey))
	points := [][32]byte{honest}
	for _, s := range lowOrder {
		points = append(points, unhex(t, s))
	}
	for _, s := range lowOrder[:8] { // of mixed order
		low, h := unhex(t, s), new(edwards25519.Point)
		if _, err := h.SetBytes(honest[:]); err != nil {
			t.Fatal(err)
		}
		torsion, err := new(edwards25519.Point).SetBytes(low[:])
		if err != nil {
			t.Fatal(err)
		}
		points = append(points, [32]byte(h.Add(h, torsion).Bytes()))
	}
	accepted, refused := 0, 0
	for _, a := range points {
		table := tableOf(t, a[:])
		for m := range 16 { // so that the challenge takes every value modulo 8
			message := []byte{byte(m)}
			signatures := [][]byte{ed25519.Sign(private, message)}
			for _, r := range points {
				for _, s := range scalars {
					signatures = append(signatures, append(r[:], s[:]...))
				}
				signatures = append(signatures, forged(private, r, a, message))
			}
			for _, sig := range signatures {
				want := ed25519.Verify(a[:], message, sig)
				if got := verifyWith(table, a, message, sig); got != want {
					t.Fatalf("key %x, signature %x: %v, crypto/ed25519 says %v", a, sig, got, want)
				}
				if want {
					accepted++
				} else {
					refused++
				}
			}
		}
	}
	if accepted < 100 || refused < 1000 {
		t.Fatalf("only %d signatures accepted and %d refused", accepted, refused)
	}
}

// forged is a signature under the honest part of a key, and with a commitment
// that differs from the honest one by r.
func forged(private ed25519.PrivateKey, r, a [32]byte, message []byte) []byte {
	wide := sha512.Sum512(private.Seed())
	secret, err := new(edwards25519.Scalar).SetBytesWithClamping(wide[:32])
	if err != nil {
		panic(err)
	}
	nonce, err := new(edwards25519.Scalar).SetUniformBytes(append(wide[32:], make([]byte, 32)...))
	if err != nil {
		panic(err)
	}
	commitment, err := new(edwards25519.Point).SetBytes(r[:])
	if err != nil {
		panic(err)
	}
	encoded := commitment.Add(commitment, new(edwards25519.Point).ScalarBaseMult(nonce)).Bytes()
	challenge := sha512.Sum512(append(append(encoded[:32:32], a[:]...), message...))
	k, err := new(edwards25519.Scalar).SetUniformBytes(challenge[:])
	if err != nil {
		panic(err)
	}
	return append(encoded, k.MultiplyAdd(k, secret, nonce).Bytes()...)
}

func TestTableIsCryptoEd25519(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		private := ed25519.NewKeyFromSeed(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "seed"))
		point := [32]byte(private.Public().(ed25519.PublicKey))
		message := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "message")
		sig := ed25519.Sign(private, message)
		table := tableOf(t, point[:])
		if !verifyWith(table, point, message, sig) {
			t.Fatal("a good signature is refused")
		}
		sig[rapid.IntRange(0, 63).Draw(t, "at")] ^= rapid.ByteRange(1, 255).Draw(t, "flip")
		if verifyWith(table, point, message, sig) != ed25519.Verify(point[:], message, sig) {
			t.Fatal("a changed signature is judged differently")
		}
	})
}

// TestKnownKeys forgets and remembers keys, whose answers stay the same.
func TestKnownKeys(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	var keys []Private[Vote]
	for range 3 * maxKnown {
		k, err := Generate[Vote]()
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	for i := range 12 * len(keys) {
		k := keys[min(dice.IntN(len(keys)), dice.IntN(len(keys)))]
		message := []byte{byte(i), byte(i >> 8), byte(i >> 16)}
		sig := k.Sign(message)
		if !k.Public().Verify(message, sig) {
			t.Fatal("a good signature is refused")
		}
		if keys[(i+1)%len(keys)].Public().Verify(append(message, 1), sig) {
			t.Fatal("a signature of another message is accepted")
		}
	}
	if n := seen.Len(); n > 2*maxKnown {
		t.Fatalf("%d keys are remembered", n)
	}
}

func BenchmarkVerify(b *testing.B) {
	const voters = 150
	message := make([]byte, 400)
	var points [voters][32]byte
	var sigs [voters][]byte
	var tables [voters]*curve.Windows
	for i := range points {
		_, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			b.Fatal(err)
		}
		points[i] = [32]byte(private.Public().(ed25519.PublicKey))
		sigs[i], tables[i] = ed25519.Sign(private, message), tableOf(b, points[i][:])
	}
	base()
	b.Run("crypto", func(b *testing.B) {
		for i := range b.N {
			if !ed25519.Verify(points[i%voters][:], message, sigs[i%voters]) {
				b.Fatal("refused")
			}
		}
	})
	b.Run("table", func(b *testing.B) {
		for i := range b.N {
			if !verifyWith(tables[i%voters], points[i%voters], message, sigs[i%voters]) {
				b.Fatal("refused")
			}
		}
	})
	b.Run("making a table", func(b *testing.B) {
		for i := range b.N {
			tableOf(b, points[i%voters][:])
		}
	})
}
