package key

import (
	"encoding/binary"
	"testing"
)

func TestWhatIsRememberedIsBounded(t *testing.T) {
	var m memory
	of := func(n int) (t triple) {
		binary.BigEndian.PutUint64(t[:], uint64(n))
		return t
	}
	for n := range 5 * maxGood {
		m.add(of(n))
		if !m.has(of(n)) || n >= maxGood && !m.has(of(n-maxGood+1)) {
			t.Fatal("forgotten too soon:", n)
		}
	}
	if m.has(of(0)) || len(m.newer)+len(m.older) > 2*maxGood {
		t.Errorf("%d are remembered", len(m.newer)+len(m.older))
	}
}

func TestOnlyTheVerySameIsRemembered(t *testing.T) {
	k, err := Generate[Vote]()
	if err != nil {
		t.Fatal(err)
	}
	other, err := Generate[Vote]()
	if err != nil {
		t.Fatal(err)
	}
	message := []byte("yes")
	sig := k.Sign(message)
	if !k.Public().Verify(message, sig) || !good.has(tripleOf(k.Public().point, message, sig)) {
		t.Fatal("a good signature was not remembered")
	}
	if other.Public().Verify(message, sig) || k.Public().Verify([]byte("yes!"), sig) || k.Public().Verify(message, other.Sign(message)) {
		t.Error("another signature passed for one that was good")
	}
	if bad := other.Sign(message); k.Public().Verify(message, bad) || good.has(tripleOf(k.Public().point, message, bad)) {
		t.Error("a bad signature was remembered")
	}
}
