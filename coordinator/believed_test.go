package coordinator

import (
	"crypto/x509"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/governance"
)

// One replica's word moves nothing in the office's folder: neither whom it
// believes, nor what it shows. What the log proves does.
func TestAReplicaThatLiesToTheOffice(t *testing.T) {
	c := found(t, 3)
	c.enrol(c.members[0])
	c.settle()
	lies := c.office.Status(t.Context())
	forged := lies[0].roll
	forged.Number, forged.Replicas = 7, []protocol.Replica{forged.Replicas[0]}
	forged.Replicas[0].Address, forged.Replicas[0].Authority = "127.0.0.1:1", protocol.HashOf([]byte("a thief's"))
	lies[0].roll, lies[0].LogSize = forged, lies[0].LogSize+1 // one more entry is there by then
	before := c.office.creds.issuer()
	c.enrol(c.members[1])
	if err := c.office.Refresh(t.Context(), lies, time.Now()); !errors.Is(err, governance.ErrRoll) {
		t.Fatal("a roll that the log does not prove is believed:", err)
	}
	kept, err := OpenOffice(filepath.Join(c.dir, DirOperator))
	if err != nil || kept.card.Roll != 0 || len(kept.card.Replicas) != 3 || kept.creds.issuer() != before {
		t.Fatalf("%+v %v", kept.card, err)
	}
	// Another office's change is proven by the log.
	if _, _, err := kept.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.settle()
	if err := c.office.Refresh(t.Context(), c.office.Status(t.Context()), time.Now()); err != nil || c.office.card.Roll != 1 {
		t.Fatal(c.office.card.Roll, err)
	}
	if current, err := c.office.roll(t.Context()); err != nil || current.Number != 1 || current.Replicas[2].Address != string(c.peers[2].Address) {
		t.Fatalf("%+v %v", current, err)
	}
}

// A certificate that opens nothing does not take the place of the office's.
func TestTheOfficeTakesNoCertificateThatIsNotItsOwn(t *testing.T) {
	c, _ := lone(t)
	ca := mustAuthority(t, c)
	k, _ := request(t)
	another, err := ca.IssueOperator("office", k.Public(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(another)
	if err != nil {
		t.Fatal(err)
	}
	present := c.office.creds.certificate.Leaf
	for what, chain := range map[string][][]byte{
		"another key's": {leaf.Raw, ca.Certificate()}, "by another authority": {present.Raw, leaf.Raw}, "damaged": {leaf.Raw[1:], ca.Certificate()},
	} {
		if err := c.office.take(chain); err == nil || c.office.creds.certificate.Leaf != present {
			t.Errorf("one that is %s was taken", what)
		}
	}
}
