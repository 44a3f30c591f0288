package oprf

import (
	"bytes"
	"encoding"
	"encoding/hex"
	"slices"
	"testing"
)

// fixtures are values of each encoding that depend on no randomness.
func fixtures(t tester) (*PublicKey, *Dealing, Share, Subshare) {
	t.Helper()
	c := commitments{multipleOfBase(t, scalarOf(1)), multipleOfBase(t, scalarOf(2))}
	key := &PublicKey{namespace: "demo", epoch: 7, stewards: Set{1, 2, 770}, commitments: c}
	d := &Dealing{dealer: 2, commitments: c}
	d.possession.c.Set(scalarOf(3))
	d.possession.s.Set(scalarOf(4))
	share := Share{index: 770, key: key.ID()}
	share.value.Set(scalarOf(5))
	subshare := Subshare{dealer: 2, receiver: 770}
	subshare.value.Set(scalarOf(6))
	return key, d, share, subshare
}

func marshal(t tester, m encoding.BinaryMarshaler) []byte {
	t.Helper()
	b, err := m.MarshalBinary()
	noError(t, err)
	return b
}

// The bytes that are pinned, posted and sealed must never change under a
// version.
func TestGoldenEncodings(t *testing.T) {
	const (
		one   = "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76" // RFC 9496, B[1]
		two   = "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919" // B[2]
		keyID = "647c2a6bad7c7f1f90ca1c1e9d5f8134c12ee52d2f8a6140982b1395225987ce"
		zeros = "00000000000000000000000000000000000000000000000000000000000000"
	)
	key, d, share, subshare := fixtures(t)
	if got := key.ID().String(); got != keyID {
		t.Errorf("key id %s", got)
	}
	for name, c := range map[string]struct {
		value encoding.BinaryMarshaler
		want  string
	}{
		"public key": {key, "01" + "0464656d6f" + "00000007" + "03000100020302" + "02" + one + two},
		"dealing":    {d, "01" + "0002" + "02" + one + two + "03" + zeros + "04" + zeros},
		"share":      {share, "01" + "0302" + keyID + "05" + zeros},
		"subshare":   {subshare, "01" + "0002" + "0302" + "06" + zeros},
	} {
		if got := hex.EncodeToString(marshal(t, c.value)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}

// decoders returns, by name, what re-encodes whatever it accepts.
func decoders() map[string]func([]byte) ([]byte, error) {
	return map[string]func([]byte) ([]byte, error){
		"public key": func(b []byte) ([]byte, error) { return again(ParsePublicKey(b)) },
		"dealing":    func(b []byte) ([]byte, error) { return again(ParseDealing(b)) },
		"share":      func(b []byte) ([]byte, error) { return again(ParseShare(b)) },
		"subshare":   func(b []byte) ([]byte, error) { return again(ParseSubshare(b)) },
	}
}

func again(m encoding.BinaryMarshaler, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return m.MarshalBinary()
}

func TestStrictDecoding(t *testing.T) {
	key, d, share, subshare := fixtures(t)
	good := map[string][]byte{
		"public key": marshal(t, key), "dealing": marshal(t, d), "share": marshal(t, share), "subshare": marshal(t, subshare),
	}
	for name, decode := range decoders() {
		b := good[name]
		if out, err := decode(b); err != nil || !bytes.Equal(out, b) {
			t.Errorf("%s does not survive a round trip: %v", name, err)
		}
		for n := range b {
			if _, err := decode(b[:n]); err == nil {
				t.Errorf("%s: accepted %d bytes of %d", name, n, len(b))
			}
		}
		_, err := decode(append(slices.Clone(b), 0))
		isExactly(t, name+" with a byte more", err, ErrLength)
		_, err = decode(append([]byte{2}, b[1:]...))
		isExactly(t, name+" of version 2", err, ErrFormat)
	}

	change := func(name string, at int, with ...byte) error {
		b := slices.Clone(good[name])
		copy(b[at:], with)
		_, err := decoders()[name](b)
		return err
	}
	identity, ones := make([]byte, ElementSize), bytes.Repeat([]byte{0xff}, ElementSize)
	for what, c := range map[string]struct{ err, want error }{
		"key without name":       {change("public key", 1, 0), ErrFormat},
		"key with long name":     {change("public key", 1, MaxNamespace+1), ErrFormat},
		"key of one steward":     {change("public key", 10, 1), ErrFormat},
		"key of many stewards":   {change("public key", 10, MaxStewards+1), ErrFormat},
		"key with unsorted set":  {change("public key", 11, 0, 3), ErrSet},
		"key with steward zero":  {change("public key", 11, 0, 0), ErrSet},
		"key of threshold one":   {change("public key", 17, 1), ErrFormat},
		"key with identity":      {change("public key", 18, identity...), ErrIdentity},
		"key with wrong point":   {change("public key", 18, ones...), ErrNonCanonical},
		"dealing of nobody":      {change("dealing", 1, 0, 0), ErrSet},
		"dealing with identity":  {change("dealing", 4, identity...), ErrIdentity},
		"dealing's proof":        {change("dealing", 4+64, ones...), ErrNonCanonical},
		"share of nobody":        {change("share", 1, 0, 0), ErrSet},
		"share out of range":     {change("share", 35, ones...), ErrNonCanonical},
		"subshare for nobody":    {change("subshare", 3, 0, 0), ErrSet},
		"subshare out of range":  {change("subshare", 5, ones...), ErrNonCanonical},
		"threshold over the set": {overThreshold(t), ErrFormat},
	} {
		isExactly(t, what, c.err, c.want)
	}
	_, err := ParseProof(make([]byte, ProofSize-1))
	isExactly(t, "short proof", err, ErrLength)
}

func overThreshold(t tester) error {
	key, _, _, _ := fixtures(t)
	key.commitments = slices.Repeat(key.commitments, 2)
	_, err := ParsePublicKey(marshal(t, key))
	return err
}

func fuzzDecoder(f *testing.F, name string, seed encoding.BinaryMarshaler) {
	b := marshal(f, seed)
	f.Add(b)
	f.Add(b[:len(b)-1])
	f.Add(append(slices.Clone(b), 0))
	f.Add([]byte{encodingVersion})
	f.Add(bytes.Repeat([]byte{0xff}, len(b)))
	decode := decoders()[name]
	f.Fuzz(func(t *testing.T, b []byte) {
		if out, err := decode(b); err == nil && !bytes.Equal(out, b) {
			t.Errorf("%x is accepted as another encoding of %x", b, out)
		}
	})
}

func FuzzParsePublicKey(f *testing.F) {
	key, _, _, _ := fixtures(f)
	fuzzDecoder(f, "public key", key)
}

func FuzzParseDealing(f *testing.F) {
	_, d, _, _ := fixtures(f)
	fuzzDecoder(f, "dealing", d)
}

func FuzzParseShare(f *testing.F) {
	_, _, share, _ := fixtures(f)
	fuzzDecoder(f, "share", share)
}

func FuzzParseSubshare(f *testing.F) {
	_, _, _, subshare := fixtures(f)
	fuzzDecoder(f, "subshare", subshare)
}

func FuzzParseProof(f *testing.F) {
	f.Add(make([]byte, ProofSize))
	f.Add(bytes.Repeat([]byte{0x0f}, ProofSize))
	f.Add(bytes.Repeat([]byte{0xff}, ProofSize))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseProof(b)
		if out := p.Bytes(); err == nil && !bytes.Equal(out[:], b) {
			t.Errorf("%x is accepted as another encoding of %x", b, out)
		}
	})
}

func FuzzDecodeElements(f *testing.F) {
	one, two := multipleOfBase(f, scalarOf(1)), multipleOfBase(f, scalarOf(2))
	good := EncodeElements([]Element{one, two})
	f.Add(good)
	f.Add(good[:40])
	f.Add(append(good[:32:32], make([]byte, 32)...))
	f.Add(bytes.Repeat([]byte{0xff}, 64))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		elements, err := DecodeElements(b)
		if err != nil {
			if elements != nil {
				t.Error("elements come with an error")
			}
			return
		}
		if !bytes.Equal(EncodeElements(elements), b) {
			t.Error("another encoding is accepted")
		}
		for i := range elements {
			if p := elements[i].point; p.IsIdentity() || p.Encode() != elements[i].encoding {
				t.Errorf("element %d is not what it encodes", i)
			}
		}
	})
}
