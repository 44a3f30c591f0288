package checkpoint

import (
	"testing"

	. "coulisse/protocol/federation/federationtest"

	logfmt "github.com/transparency-dev/formats/log"
	cosignatures "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// The library of transparency-dev, which witnesses of public logs run, reads
// our checkpoints with the keys that we print, cosignatures included.
func TestTransparencyDevReadsIt(t *testing.T) {
	town := Found(t, 3)
	_, raw := signed(t, town)
	replica, err := cosignatures.NewVerifier(ReplicaKeys(town.View())[0].VKey)
	town.Must(err)
	member, err := cosignatures.NewVerifierForCosignatureV1(CosignerKeys(town.View())[1].VKey)
	town.Must(err)
	c, rest, n, err := logfmt.ParseCheckpoint(raw, string(OriginOf(town.View())), replica, member)
	if err != nil {
		t.Fatal(err)
	}
	root := town.Head().Root
	if c.Size != 1 || string(c.Hash) != string(root[:]) || len(rest) != 0 || len(n.Sigs) != 2 {
		t.Errorf("%+v, %q, %d signatures", c, rest, len(n.Sigs))
	}
	at, err := cosignatures.CoSigV1Timestamp(note.Signature(n.Sigs[1]))
	if err != nil || !at.Equal(noon) {
		t.Error(at, err)
	}
}
