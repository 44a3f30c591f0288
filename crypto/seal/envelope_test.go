package seal

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha3"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"
)

func newEnvelopeKey(t testing.TB) *EnvelopeKey {
	t.Helper()
	k, err := NewEnvelopeKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func testContext() Context {
	return Context{
		Label: "round key", Genesis: sha256.Sum256([]byte("genesis")),
		Sender: "theatre-du-fleuve", Receiver: "danse-nord", Subject: []byte("manifest"),
	}
}

func mustSeal(t testing.TB, to EnvelopePublic, c Context, plaintext []byte) []byte {
	t.Helper()
	sealed, err := Seal(to, c, plaintext)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestEnvelopeRoundTrip(t *testing.T) {
	k := newEnvelopeKey(t)
	again, err := ParseEnvelopeKey(k.Marshal())
	if err != nil || again.Public() != k.Public() {
		t.Fatalf("the key changed when stored: %v", err)
	}
	for _, size := range []int{0, 1, 32, 1 << 17, MaxEnvelope} {
		plaintext := bytes.Repeat([]byte{7}, size)
		sealed := mustSeal(t, k.Public(), testContext(), plaintext)
		if len(sealed) != size+EnvelopeOverhead {
			t.Errorf("size %d: overhead %d", size, len(sealed)-size)
		}
		if got, err := Open(again, testContext(), sealed); err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("size %d: %v", size, err)
		}
	}
	if _, err := Seal(k.Public(), testContext(), make([]byte, MaxEnvelope+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("oversize: %v", err)
	}
	if _, err := Open(k, testContext(), make([]byte, MaxEnvelope+EnvelopeOverhead+1)); err != ErrEnvelope {
		t.Errorf("oversize: %v", err)
	}
}

func TestEnvelopeOpensOnlyInItsContext(t *testing.T) {
	k := newEnvelopeKey(t)
	sealed := mustSeal(t, k.Public(), testContext(), []byte("rk"))
	changes := map[string]func(*Context){
		"label":                    func(c *Context) { c.Label = "share" },
		"genesis":                  func(c *Context) { c.Genesis[31] ^= 1 },
		"sender":                   func(c *Context) { c.Sender = "danse-sud" },
		"receiver":                 func(c *Context) { c.Receiver = "danse-sud" },
		"subject":                  func(c *Context) { c.Subject = []byte("manifesT") },
		"no subject":               func(c *Context) { c.Subject = nil },
		"ends exchanged":           func(c *Context) { c.Sender, c.Receiver = c.Receiver, c.Sender },
		"a letter moved over":      func(c *Context) { c.Sender, c.Receiver = "theatre-du-fleuved", "anse-nord" },
		"receiver ends in subject": func(c *Context) { c.Receiver, c.Subject = "danse-nordm", []byte("anifest") },
	}
	for name, change := range changes {
		c := testContext()
		change(&c)
		if _, err := Open(k, c, sealed); err != ErrEnvelope {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(newEnvelopeKey(t), testContext(), sealed); err != ErrEnvelope {
		t.Errorf("another key: %v", err)
	}
	for _, c := range []Context{
		{}, {Label: "x", Sender: "a"}, {Label: "x", Receiver: "b"}, {Sender: "a", Receiver: "b"},
		{Label: "x", Sender: "a", Receiver: "b", Subject: make([]byte, maxContextField+1)},
		{Label: "x", Sender: strings.Repeat("a", maxContextField+1), Receiver: "b"},
	} {
		if _, err := Seal(k.Public(), c, nil); err == nil {
			t.Error("sealed in an incomplete context")
		}
		if _, err := Open(k, c, sealed); err == nil || err == ErrEnvelope {
			t.Errorf("an incomplete context is the caller's fault, got %v", err)
		}
	}
}

func TestEnvelopeTampering(t *testing.T) {
	k := newEnvelopeKey(t)
	sealed := mustSeal(t, k.Public(), testContext(), []byte("sixteen byte key"))
	for i := range sealed {
		b := bytes.Clone(sealed)
		b[i] ^= 1 << (i % 8)
		if _, err := Open(k, testContext(), b); err != ErrEnvelope {
			t.Fatalf("bit %d of byte %d flipped: %v", i%8, i, err)
		}
		if _, err := Open(k, testContext(), sealed[:i]); err != ErrEnvelope {
			t.Fatalf("cut to %d: %v", i, err)
		}
	}
	if _, err := Open(k, testContext(), append(sealed, 0)); err != ErrEnvelope {
		t.Errorf("a byte appended: %v", err)
	}
}

func TestEnvelopePublicForms(t *testing.T) {
	good := newEnvelopeKey(t).Public()
	if p, err := ParseEnvelopePublic(string(good)); err != nil || p != good {
		t.Fatal(err)
	}
	raw, err := publicText.DecodeString(strings.TrimPrefix(string(good), envelopePrefix))
	if err != nil {
		t.Fatal(err)
	}
	with := func(point string) EnvelopePublic {
		p, err := hex.DecodeString(point)
		if err != nil {
			t.Fatal(err)
		}
		return EnvelopePublic(envelopePrefix + publicText.EncodeToString(append(bytes.Clone(raw[:mlkem.EncapsulationKeySize768]), p...)))
	}
	coefficient := bytes.Clone(raw)
	coefficient[0], coefficient[1] = 0xff, 0xff // 4095, beyond q = 3329
	zeros, ffs := strings.Repeat("00", 30), strings.Repeat("ff", 30)
	bad := map[string]EnvelopePublic{
		"empty":              "",
		"no prefix":          good[len(envelopePrefix):],
		"another prefix":     "coulisse-enveloppe:" + good[len(envelopePrefix):],
		"short":              good[:len(good)-4],
		"long":               good + "AAAA",
		"padded":             good + "==",
		"a line end":         good[:100] + "\n" + good[101:],
		"two line ends":      good[:100] + "\n\n" + good[102:],
		"loose last bits":    good[:len(good)-1] + EnvelopePublic(publicTextNext(good[len(good)-1])),
		"coefficient":        EnvelopePublic(envelopePrefix + publicText.EncodeToString(coefficient)),
		"point zero":         with("00" + zeros + "00"),
		"point one":          with("01" + zeros + "00"),
		"order 8":            with("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
		"order 8, other":     with("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
		"p - 1":              with("ec" + ffs + "7f"),
		"p":                  with("ed" + ffs + "7f"),
		"p + 9":              with("f6" + ffs + "7f"),
		"the base, high bit": with("09" + zeros + "80"),
	}
	for name, p := range bad {
		if err := p.Check(); !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Seal(p, testContext(), nil); err == nil {
			t.Errorf("%s: sealed", name)
		}
		kept := good
		if err := kept.UnmarshalText([]byte(p)); err == nil || kept != good {
			t.Errorf("%s: unmarshalled", name)
		}
	}
	if err := with("09" + zeros + "00").Check(); err != nil {
		t.Errorf("the base point: %v", err)
	}
	for _, n := range []int{0, 31, 33} {
		if _, err := ParseEnvelopeKey(make([]byte, n)); !errors.Is(err, ErrKey) {
			t.Errorf("private key of %d bytes: %v", n, err)
		}
	}
}

// publicTextNext changes only bits of the last letter that no byte uses.
func publicTextNext(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)^1])
}

// TestEnvelopeAgainstTheStandards opens an envelope that this test makes from
// the texts alone: X-Wing (draft-connolly-cfrg-xwing-kem) for the KEM, RFC 9180
// section 5.1 for the key schedule, RFC 8439 for the cipher. It shares with the
// package neither crypto/hpke nor the encoding of the context.
func TestEnvelopeAgainstTheStandards(t *testing.T) {
	seed := make([]byte, 32)
	for i := range seed {
		seed[i] = byte(i)
	}
	k, err := ParseEnvelopeKey(seed)
	if err != nil {
		t.Fatal(err)
	}
	enc, secret := xwing(t, seed, k.Public())
	info := "\x00\x00\x00\x13coulisse/1/envelope" +
		"\x00\x00\x00\x09round key" +
		"\x00\x00\x00\x20" + string(bytes.Repeat([]byte{0xab}, 32)) +
		"\x00\x00\x00\x01a" + "\x00\x00\x00\x02bc" + "\x00\x00\x00\x03def"
	key, nonce := schedule(t, secret, []byte(info))
	aead, err := chacha20poly1305.New(key)
	if err != nil {
		t.Fatal(err)
	}
	sealed := aead.Seal(enc, nonce, []byte("the plaintext"), nil)
	c := Context{Label: "round key", Genesis: [32]byte(bytes.Repeat([]byte{0xab}, 32)),
		Sender: "a", Receiver: "bc", Subject: []byte("def")}
	if got, err := Open(k, c, sealed); err != nil || string(got) != "the plaintext" {
		t.Fatalf("%q, %v", got, err)
	}
}

// xwing derives the private key from its seed, compares the public key, and
// encapsulates to it.
func xwing(t *testing.T, seed []byte, want EnvelopePublic) (enc, secret []byte) {
	t.Helper()
	expanded := sha3.SumSHAKE256(seed, 96)
	dk, err := mlkem.NewDecapsulationKey768(expanded[:64])
	if err != nil {
		t.Fatal(err)
	}
	sk, err := ecdh.X25519().NewPrivateKey(expanded[64:])
	if err != nil {
		t.Fatal(err)
	}
	pkX := sk.PublicKey().Bytes()
	pub := slices.Concat(dk.EncapsulationKey().Bytes(), pkX)
	if EnvelopePublic("coulisse-envelope:"+publicText.EncodeToString(pub)) != want {
		t.Fatal("the public key does not follow X-Wing")
	}
	ssM, ctM := dk.EncapsulationKey().Encapsulate()
	e, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ssX, err := e.ECDH(sk.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	ctX := e.PublicKey().Bytes()
	ss := sha3.Sum256(slices.Concat(ssM, ssX, ctX, pkX, []byte(`\.//^\`)))
	return slices.Concat(ctM, ctX), ss[:]
}

// schedule is KeySchedule of RFC 9180 in base mode for the suite
// (0x647a, HKDF-SHA256, ChaCha20Poly1305), and the nonce of the first message.
func schedule(t *testing.T, secret, info []byte) (key, nonce []byte) {
	t.Helper()
	suite := []byte{'H', 'P', 'K', 'E', 0x64, 0x7a, 0x00, 0x01, 0x00, 0x03}
	extract := func(salt []byte, label string, ikm []byte) []byte {
		prk, err := hkdf.Extract(sha256.New, slices.Concat([]byte("HPKE-v1"), suite, []byte(label), ikm), salt)
		if err != nil {
			t.Fatal(err)
		}
		return prk
	}
	ctx := slices.Concat([]byte{0}, extract(nil, "psk_id_hash", nil), extract(nil, "info_hash", info))
	prk := extract(secret, "secret", nil)
	expand := func(label string, n int) []byte {
		info := slices.Concat(binary.BigEndian.AppendUint16(nil, uint16(n)), []byte("HPKE-v1"), suite, []byte(label), ctx)
		out, err := hkdf.Expand(sha256.New, prk, string(info), n)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	return expand("key", 32), expand("base_nonce", 12)
}

func FuzzOpen(f *testing.F) {
	k := newEnvelopeKey(f)
	sealed := mustSeal(f, k.Public(), testContext(), []byte("rk"))
	f.Add(sealed)
	f.Add(sealed[:EnvelopeOverhead])
	f.Add(sealed[:EnvelopeOverhead-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := Open(k, testContext(), b)
		if (err == nil) != bytes.Equal(b, sealed) || (err != nil && err != ErrEnvelope) {
			t.Error(err)
		}
	})
}

func FuzzParseEnvelopePublic(f *testing.F) {
	f.Add(string(newEnvelopeKey(f).Public()))
	f.Add(envelopePrefix)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParseEnvelopePublic(text)
		if err != nil {
			return
		}
		if _, err := Seal(p, testContext(), nil); err != nil {
			t.Errorf("a checked key does not seal: %v", err)
		}
		pub, err := p.hpke()
		if err != nil || envelopePrefix+publicText.EncodeToString(pub.Bytes()) != text {
			t.Error("a second form of a key")
		}
	})
}

// FuzzContext looks for two contexts with one encoding.
func FuzzContext(f *testing.F) {
	f.Add("l", "a", "b", []byte("s"), "l", "ab", "", []byte("s"))
	f.Add("round key", "a", "b", []byte(nil), "round", "key a", "b", []byte{})
	f.Fuzz(func(t *testing.T, l1, s1, r1 string, x1 []byte, l2, s2, r2 string, x2 []byte) {
		a, errA := Context{Label: l1, Sender: s1, Receiver: r1, Subject: x1}.info()
		b, errB := Context{Label: l2, Sender: s2, Receiver: r2, Subject: x2}.info()
		same := l1 == l2 && s1 == s2 && r1 == r2 && bytes.Equal(x1, x2)
		if errA == nil && errB == nil && bytes.Equal(a, b) != same {
			t.Error("two contexts share an encoding")
		}
	})
}

func BenchmarkEnvelope(b *testing.B) {
	k := newEnvelopeKey(b)
	plaintext := make([]byte, 4096*32) // a batch of blinded elements
	sealed := mustSeal(b, k.Public(), testContext(), plaintext)
	b.Run("Seal", func(b *testing.B) {
		for b.Loop() {
			mustSeal(b, k.Public(), testContext(), plaintext)
		}
	})
	b.Run("Open", func(b *testing.B) {
		for b.Loop() {
			if _, err := Open(k, testContext(), sealed); err != nil {
				b.Fatal(err)
			}
		}
	})
}
