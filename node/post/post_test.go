package post_test

import (
	"bytes"
	"errors"
	"testing"

	"coulisse/crypto/key"
	"coulisse/crypto/seal"
	"coulisse/node/post"
	"coulisse/protocol"
	"coulisse/protocol/federation/federationtest"
	"coulisse/protocol/wire"

	"google.golang.org/protobuf/proto"
)

func desk(m *federationtest.Member, federation protocol.Hash) *post.Desk {
	return &post.Desk{Federation: federation, Self: m.ID, Signing: m.Node, Envelope: m.Envelope}
}

func letter() *wire.Letter {
	return &wire.Letter{Content: &wire.Letter_RoundKey{RoundKey: &wire.RoundKeyDeal{Round: "r", Manifest: []byte("m"), Key: bytes.Repeat([]byte{7}, 32)}}}
}

// people are two members and one that is neither, of one federation.
func people(t *testing.T) (federation protocol.Hash, ada, bob, eve *federationtest.Member) {
	t.Helper()
	return protocol.HashOf([]byte("genesis")), federationtest.NewMember(t, "ada"), federationtest.NewMember(t, "bob"), federationtest.NewMember(t, "eve")
}

func TestALetterArrives(t *testing.T) {
	federation, ada, bob, _ := people(t)
	for _, to := range []*federationtest.Member{bob, ada} { // a member may be its own steward
		sealed, err := desk(ada, federation).Write(to.Card, letter())
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(sealed, bytes.Repeat([]byte{7}, 8)) {
			t.Error("the relay can read it")
		}
		got, err := desk(to, federation).Read(ada.Card, sealed)
		if err != nil || !proto.Equal(got, letter()) {
			t.Errorf("%v %v", got, err)
		}
	}
}

// The relay hands a letter to somebody else, in somebody else's name, or in
// another federation with the same members.
func TestALetterIsForOneAddressee(t *testing.T) {
	federation, ada, bob, eve := people(t)
	sealed, err := desk(ada, federation).Write(bob.Card, letter())
	if err != nil {
		t.Fatal(err)
	}
	// A member that has the other's name, or the other's envelope key.
	renamed := *eve
	renamed.ID = "bob"
	shared := *eve
	shared.Envelope = bob.Envelope
	posing := ada.Card
	posing.ID = "eve"
	forged := ada.Card
	forged.Node = eve.Card.Node
	for name, c := range map[string]struct {
		desk *post.Desk
		from protocol.Card
	}{
		"somebody else":                         {desk(eve, federation), ada.Card},
		"the same name with other keys":         {desk(&renamed, federation), ada.Card},
		"another name with the same key":        {desk(&shared, federation), ada.Card},
		"in somebody else's name":               {desk(bob, federation), eve.Card},
		"another name with the sender's key":    {desk(bob, federation), posing},
		"the sender's name with another key":    {desk(bob, federation), forged},
		"back to its sender":                    {desk(ada, federation), bob.Card},
		"another federation of the same people": {desk(bob, protocol.HashOf([]byte("other"))), ada.Card},
	} {
		if got, err := c.desk.Read(c.from, sealed); !errors.Is(err, post.ErrLetter) || got != nil {
			t.Errorf("%s reads it: %v", name, err)
		}
	}
}

func TestAnAlteredLetter(t *testing.T) {
	federation, ada, bob, _ := people(t)
	sealed, err := desk(ada, federation).Write(bob.Card, letter())
	if err != nil {
		t.Fatal(err)
	}
	reader := desk(bob, federation)
	for i := range sealed {
		altered := bytes.Clone(sealed)
		altered[i] ^= 1
		if _, err := reader.Read(ada.Card, altered); !errors.Is(err, post.ErrLetter) {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
	for _, parcel := range [][]byte{nil, sealed[:len(sealed)-1], append(bytes.Clone(sealed), 0), sealed[:10]} {
		if _, err := reader.Read(ada.Card, parcel); !errors.Is(err, post.ErrLetter) {
			t.Errorf("%d bytes: %v", len(parcel), err)
		}
	}
}

// Whoever can seal to the addressee, as everybody can, still needs the sender's
// signature, and a signature over a letter is not one over anything else.
func TestASealIsNoSignature(t *testing.T) {
	federation, ada, bob, eve := people(t)
	content, err := proto.Marshal(letter())
	if err != nil {
		t.Fatal(err)
	}
	signed := func(k key.Private[key.Node], message []byte) []byte { return append(k.Sign(message), content...) }
	for name, plain := range map[string][]byte{
		"nothing":                {},
		"a letter alone":         content,
		"an empty signature":     append(make([]byte, 64), content...),
		"another's signature":    signed(eve.Node, content),
		"one over the bare text": signed(ada.Node, content),
	} {
		context := seal.Context{Label: "letter", Genesis: federation, Sender: "ada", Receiver: "bob"}
		sealed, err := seal.Seal(bob.Card.Envelope, context, plain)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := desk(bob, federation).Read(ada.Card, sealed); !errors.Is(err, post.ErrLetter) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	federation := protocol.HashOf([]byte("genesis"))
	envelope, err := seal.NewEnvelopeKey()
	if err != nil {
		f.Fatal(err)
	}
	ada := federationtest.NewMember(f, "ada")
	sealed, err := desk(ada, federation).Write(protocol.Card{ID: "bob", Envelope: envelope.Public()}, letter())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add(sealed[:100])
	f.Add([]byte{})
	reader := &post.Desk{Federation: federation, Self: "bob", Envelope: envelope}
	f.Fuzz(func(t *testing.T, parcel []byte) {
		if got, err := reader.Read(ada.Card, parcel); err == nil && !proto.Equal(got, letter()) {
			t.Error("a letter that was never written")
		}
	})
}
