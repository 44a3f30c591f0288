package key_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"coulisse/crypto/key"
)

func TestSignVerify(t *testing.T) {
	k, err := key.Generate[key.Vote]()
	if err != nil {
		t.Fatal(err)
	}
	sig := k.Sign([]byte("yes"))
	if !k.Public().Verify([]byte("yes"), sig) {
		t.Fatal("own signature refused")
	}
	if k.Public().Verify([]byte("no"), sig) {
		t.Fatal("signature of another message accepted")
	}
	for i := range sig {
		bad := bytes.Clone(sig)
		bad[i] ^= 1
		if k.Public().Verify([]byte("yes"), bad) {
			t.Fatalf("signature with byte %d flipped accepted", i)
		}
	}
	if (key.Public[key.Vote]{}).Verify([]byte("yes"), sig) {
		t.Fatal("the zero key verified something")
	}
}

// RFC 8032, section 7.1, TEST 2.
func TestRFC8032(t *testing.T) {
	seed, _ := hex.DecodeString("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
	k, err := key.ParsePrivate[key.Vote]([]byte("COULISSE-VOTE-PRIVATE:" + base64.RawURLEncoding.EncodeToString(seed)))
	if err != nil {
		t.Fatal(err)
	}
	want := "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
	if got := hex.EncodeToString(k.Sign([]byte{0x72})); got != want {
		t.Fatalf("signature %s, want %s", got, want)
	}
}

func TestTextForms(t *testing.T) {
	k, _ := key.Generate[key.Node]()
	text, _ := k.Public().MarshalText()
	var back key.Public[key.Node]
	if err := back.UnmarshalText(text); err != nil || back != k.Public() {
		t.Fatalf("public key does not survive its text form: %v", err)
	}
	var other key.Public[key.Vote]
	if err := other.UnmarshalText(text); !errors.Is(err, key.ErrKey) {
		t.Fatalf("a node key read as a voting key: %v", err)
	}
	again, err := key.ParsePrivate[key.Node](k.Reveal())
	if err != nil || again.Public() != k.Public() {
		t.Fatalf("private key does not survive its text form: %v", err)
	}
	if _, err := key.ParsePrivate[key.Replica](k.Reveal()); !errors.Is(err, key.ErrKey) {
		t.Fatalf("a node key read as a replica key: %v", err)
	}
}

func TestPrivateKeyIsNeverPrinted(t *testing.T) {
	k, _ := key.Generate[key.Vote]()
	_, secret, _ := strings.Cut(string(k.Reveal()), ":")
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("key", "key", k)
	type holder struct{ k key.Private[key.Vote] }
	raw, _ := base64.RawURLEncoding.DecodeString(secret)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p", "%t"} {
		out := fmt.Sprintf(verb+" "+verb, k, holder{k})
		for _, form := range []string{fmt.Sprint(raw)[1:60], fmt.Sprintf("%x", raw), fmt.Sprintf("%X", raw), fmt.Sprintf("%#v", raw)[7:60], string(raw)} {
			if strings.Contains(out, form) {
				t.Fatalf("a private key was printed under %s", verb)
			}
		}
	}
	for _, out := range []string{
		fmt.Sprint(k), fmt.Sprintf("%v %+v %#v %s", k, k, k, k), log.String(),
	} {
		if strings.Contains(out, secret) {
			t.Fatal("a private key was printed")
		}
	}
}

func FuzzPublicText(f *testing.F) {
	k, _ := key.Generate[key.Vote]()
	f.Add(k.Public().String())
	f.Add("coulisse-vote:")
	f.Add("coulisse-node:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, text string) {
		var p key.Public[key.Vote]
		if p.UnmarshalText([]byte(text)) == nil && p.String() != text {
			t.Fatal("two texts for one key")
		}
	})
}
