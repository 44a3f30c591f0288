package key

import (
	"encoding/binary"
	"testing"

	"coulisse/crypto/recent"
)

func TestWhatIsRememberedIsBounded(t *testing.T) {
	m := recent.NewMap[triple, struct{}](maxGood)
	has := func(t triple) bool { _, ok := m.Get(t); return ok }
	of := func(n int) (t triple) {
		binary.BigEndian.PutUint64(t[:], uint64(n))
		return t
	}
	for n := range 5 * maxGood {
		m.Put(of(n), struct{}{})
		if !has(of(n)) || n >= maxGood && !has(of(n-maxGood+1)) {
			t.Fatal("forgotten too soon:", n)
		}
	}
	if has(of(0)) || m.Len() > 2*maxGood {
		t.Errorf("%d are remembered", m.Len())
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
	if !k.Public().Verify(message, sig) || !remembered(k.Public(), message, sig) {
		t.Fatal("a good signature was not remembered")
	}
	if other.Public().Verify(message, sig) || k.Public().Verify([]byte("yes!"), sig) || k.Public().Verify(message, other.Sign(message)) {
		t.Error("another signature passed for one that was good")
	}
	if bad := other.Sign(message); k.Public().Verify(message, bad) || remembered(k.Public(), message, bad) {
		t.Error("a bad signature was remembered")
	}
}

func remembered(p Public[Vote], message, sig []byte) bool {
	_, ok := good.Get(tripleOf(p.point, message, sig))
	return ok
}
