package protocol

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"coulisse/crypto/key"
)

// voter signs with the key whose seed is 00 01 02 … 1f.
func voter(t testing.TB) Signer[key.Vote] {
	t.Helper()
	k, err := key.ParsePrivate[key.Vote]([]byte("COULISSE-VOTE-PRIVATE:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"))
	if err != nil {
		t.Fatal(err)
	}
	return Signer[key.Vote]{Federation: HashOf([]byte("federation")), By: "theatre-du-fleuve", Key: k}
}

var ballotHead = Head{Size: 0x0102030405, Root: HashOf([]byte("root"))}

// TestSignedMessageGolden spells out, byte for byte, what a signature covers.
// If it must change, "coulisse/1" must too.
func TestSignedMessageGolden(t *testing.T) {
	s := voter(t)
	signed, err := Sign(s, ballotHead, NewBallot(Vote{Proposal: HashOf([]byte("proposal")), Choice: For}))
	if err != nil {
		t.Fatal(err)
	}
	federation, root, proposal := HashOf([]byte("federation")), HashOf([]byte("root")), HashOf([]byte("proposal"))
	want := "636f756c697373652f312f" + // coulisse/1/
		"62616c6c6f74" + "00" + // ballot
		hex.EncodeToString(federation[:]) +
		"746865617472652d64752d666c65757665" + "00" + // theatre-du-fleuve
		"0000000102030405" + hex.EncodeToString(root[:]) +
		hex.EncodeToString([]byte(`{"votes":[{"choice":"for","proposal":"`+proposal.String()+`"}]}`))
	if got := hex.EncodeToString(signed.message(s.Federation, LabelBallot)); got != want {
		t.Fatalf("the message is\n%s\nwant\n%s", got, want)
	}
	// Ed25519 is deterministic, so the signature is golden too.
	const sig = "f877d09dd49ff1fb0fa1b1d2e9155aa38b9fa1fc645854667081774cca025a3e" +
		"d9212cc5c5202bd35f11494425b177e6bcf8618c9a09567beec19d459f282e00"
	if got := hex.EncodeToString(signed.Sig); got != sig {
		t.Fatalf("the signature is %s", got)
	}
}

func TestOpenRefuses(t *testing.T) {
	s := voter(t)
	good, err := Sign(s, ballotHead, NewBallot(Vote{Proposal: HashOf(nil), Choice: For}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(s.Federation, good, s.Key.Public()); err != nil {
		t.Fatal(err)
	}
	other, err := key.Generate[key.Vote]()
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*Signed[Ballot]){
		"another author": func(s *Signed[Ballot]) { s.By = "theatre-du-parc" },
		"another size":   func(s *Signed[Ballot]) { s.Head.Size++ },
		"another root":   func(s *Signed[Ballot]) { s.Head.Root[0] ^= 1 },
		"another choice": func(s *Signed[Ballot]) { s.Body = bytes.Replace(s.Body, []byte(`"for"`), []byte(`"abstain"`), 1) },
		"another sig":    func(s *Signed[Ballot]) { s.Sig[5] ^= 1 },
		"a short sig":    func(s *Signed[Ballot]) { s.Sig = s.Sig[:63] },
		"no sig":         func(s *Signed[Ballot]) { s.Sig = nil },
	} {
		bad := good
		bad.Sig = bytes.Clone(good.Sig)
		edit(&bad)
		if _, err := Open(s.Federation, bad, s.Key.Public()); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(HashOf(nil), good, s.Key.Public()); !errors.Is(err, ErrSignature) {
		t.Errorf("another federation: %v", err)
	}
	if _, err := Open(s.Federation, good, other.Public()); !errors.Is(err, ErrSignature) {
		t.Errorf("another key: %v", err)
	}
	// The same bytes under another label are another message.
	cosign, err := Sign(s, ballotHead, Cosign{Proposal: HashOf(nil)})
	if err != nil {
		t.Fatal(err)
	}
	asBallot := Signed[Ballot](cosign)
	if _, err := Open(s.Federation, asBallot, s.Key.Public()); !errors.Is(err, ErrSignature) {
		t.Errorf("another label: %v", err)
	}
	// Even its own author cannot sign what breaks the form.
	if _, err := Sign(s, ballotHead, NewBallot(Vote{Choice: For})); !errors.Is(err, ErrMalformed) {
		t.Errorf("a ballot on nothing: %v", err)
	}
	huge := Signed[Ballot]{By: PartyID(strings.Repeat("a", 41))}
	if _, err := Open(s.Federation, huge, s.Key.Public()); !errors.Is(err, ErrMalformed) {
		t.Errorf("an endless name: %v", err)
	}
}
