package coordinator

import (
	"context"
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coulisse/coordinator/consensus"
	"coulisse/protocol"
	"coulisse/protocol/governance"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// retiredWords is how a certificate is refused whose authority is off the roll.
const retiredWords = "authority is not, or no longer, on the coordinator's roll"

// A rotation from end to end: both count, then the new ones only. What the
// former ones certified is refused, and a node whose certificate that was has
// it renewed and goes on.
func TestRotation(t *testing.T) {
	c := found(t, 3)
	clients := c.enrolAll()
	c.settle()
	old := c.office.creds.certificate // a copy of the office's folder
	former := mustAuthority(t, c)
	roll, away := c.rotate(c.office)
	if len(away) != 0 {
		t.Fatal(away)
	}
	for i, r := range roll.Replicas {
		if r.Former != c.card.Replicas[i].Authority || r.Authority == r.Former || r.TLS != c.card.Replicas[i].TLS {
			t.Errorf("%+v after %+v", r, c.card.Replicas[i])
		}
	}
	if _, _, err := c.office.Rotate(t.Context()); !errors.Is(err, governance.ErrRoll) {
		t.Error("a second rotation before the first is over:", err)
	}
	c.settle()
	// Under way: whoever has an old certificate goes on, new ones are by the new.
	vote(clients[0], c.proposal("Une proposition", protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}}))
	renewed, err := clients[1].renew(clients[1].member.Node)
	if err != nil || !roll.Issues(protocol.HashOf(renewed.cert.Certificate[1])) {
		t.Fatal("a renewal is not by the new authority:", err)
	}
	for i, s := range c.office.Status(t.Context()) {
		if s.Authority != roll.Replicas[i].Authority || s.Former != roll.Replicas[i].Former || s.AuthorityUntil == 0 {
			t.Errorf("the status of %s: %+v", s.ID, s)
		}
	}

	c.certifyOffice(1)
	c.retire()
	if _, err := c.office.Retire(t.Context()); !errors.Is(err, governance.ErrRoll) {
		t.Error("there was something left to retire:", err)
	}
	c.desk = c.dial(nil, &c.office.creds.certificate) // it had its own renewed
	c.settle()
	refusedBy(t, "the office's old certificate", c.dial(nil, &old), "IssueToken")
	k, _ := request(t)
	raw, err := former.IssueOperator("office", k.Public(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	refusedBy(t, "one that a stolen old key makes now", c.dial(nil, certificateOf(t, k, raw, former.Certificate())), "Status")
	k, csr := request(t)
	if raw, err = former.IssueMember(clients[0].member.ID, csr, time.Now()); err != nil {
		t.Fatal(err)
	}
	refusedBy(t, "a member's that it makes now", c.dial(nil, certificateOf(t, k, raw, former.Certificate())), "Follow")

	// The member's that the log names is good for reading, and for a new one.
	for _, conn := range clients[0].conns {
		err := try(t, conn, "Submit")
		if status.Code(err) != codes.Unavailable || !strings.Contains(status.Convert(err).Message(), "the node has its own renewed") {
			t.Error("a member's from before:", err)
		}
	}
	if err := clients[0].ask(); err != nil {
		t.Error("a node cannot find its way back:", err)
	}
	again, err := clients[0].renew(clients[0].member.Node)
	if err != nil {
		t.Fatal(err)
	}
	vote(again, c.proposal("Une autre", protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}}))
	vote(renewed, c.proposal("Une troisième", protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}}))
	c.token(c.members[0], time.Hour) // the office goes on
	// Everything starts again from the folders, and what was retired stays so.
	for i := range c.replicas {
		c.stop(i)
	}
	if err := c.startAll(); err != nil {
		t.Fatal(err)
	}
	c.leader()
	c.settle() // one that has not read the roll yet cannot know
	refusedBy(t, "the office's old certificate after a restart", c.dial(nil, &old), "IssueToken")
	vote(again, c.proposal("Encore", protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}}))
}

// rotate and retire try again while the replicas of a busy machine elect another
// leader.
func (c *cluster) rotate(o *Office) (roll protocol.Roll, away []protocol.ReplicaID) {
	c.t.Helper()
	c.insist(func() (err error) { roll, away, err = o.Rotate(c.t.Context()); return err })
	return roll, away
}

func (c *cluster) retire() {
	c.t.Helper()
	c.insist(func() error { _, err := c.office.Retire(c.t.Context()); return err })
}

func (c *cluster) insist(do func() error) {
	c.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; pause(c.t.Context(), 50*time.Millisecond) {
		err := do()
		if err == nil {
			return
		}
		if !errors.Is(err, refusal.ErrUnavailable) || time.Now().After(deadline) {
			c.t.Fatal(err)
		}
	}
}

// refusedBy tries a call everywhere. Only the leader says why it refuses: for
// all that another one knows, it may be behind. On a busy machine there may be
// none just now.
func refusedBy(t *testing.T, what string, p *client, method string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); pause(t.Context(), 50*time.Millisecond) {
		p.c.leader()
		for i, conn := range p.conns {
			err := try(t, conn, method)
			if status.Code(err) == codes.Unauthenticated && strings.Contains(status.Convert(err).Message(), retiredWords) {
				return
			}
			if status.Code(err) != codes.Unavailable {
				t.Errorf("%s, at replica %d: %v", what, i+1, err)
				return
			}
		}
	}
	t.Errorf("%s: nobody says why it is refused", what)
}

// A replica that is away keeps the authority that it has, misses nothing, and
// changes it another time.
func TestRotationWithoutOne(t *testing.T) {
	c := found(t, 3)
	p := c.enrol(c.members[0])
	c.settle()
	gone := (c.leader() + 1) % 3
	c.stop(gone)
	roll, away := c.rotate(c.office)
	if len(away) != 1 || away[0] != c.peers[gone].ID || !roll.Replicas[gone].Former.IsZero() {
		t.Fatalf("%v %+v", away, roll.Replicas)
	}
	c.certifyOffice(1)
	c.retire()
	if err := c.start(gone); err != nil {
		t.Fatal(err)
	}
	c.desk = c.dial(nil, &c.office.creds.certificate)
	// Before it has read the rolls, it does not know the office's new authority.
	for deadline := time.Now().Add(20 * time.Second); c.status()[gone] == nil && time.Now().Before(deadline); {
		pause(t.Context(), 20*time.Millisecond)
	}
	c.settle()
	s := c.office.Status(t.Context())[gone]
	if s.Error != "" || s.Authority != c.card.Replicas[gone].Authority {
		t.Fatalf("the one that was away: %+v", s)
	}
	if roll, away = c.rotate(c.office); len(away) != 0 || roll.Replicas[gone].Former.IsZero() {
		t.Fatal(away)
	}
	if _, err := p.renew(p.member.Node); err != nil {
		t.Error(err)
	}
}

// Removing a replica ends its authority with it: no key is to be moved, and
// none that was stolen from it is good for anything.
func TestARemovedReplicasAuthority(t *testing.T) {
	c := found(t, 3)
	p := c.enrol(c.members[0])
	c.settle()
	gone := 0 // the office's certificate is by this one's authority
	leaving := mustAuthority(t, c)
	if c.office.creds.issuer() != leaving.Hash() {
		t.Fatal("the office's certificate is by another one")
	}
	if _, err := c.office.Remove(t.Context(), c.peers[gone].ID); !errors.Is(err, governance.ErrRoll) {
		t.Fatal("the office shuts itself out:", err)
	}
	c.certifyOffice(1)
	c.insist(func() error { _, err := c.office.Remove(t.Context(), c.peers[gone].ID); return err })
	if err := <-c.replicas[gone].done; !errors.Is(err, ErrRemoved) {
		t.Fatal(err)
	}
	c.replicas[gone], c.peers, c.replicas = nil, c.peers[1:], c.replicas[1:]
	c.desk = c.dial(nil, &c.office.creds.certificate)
	if s := c.office.Status(t.Context()); len(s) != 2 || s[0].Error != "" || s[1].Error != "" {
		t.Fatalf("the office is shut out: %+v", s)
	}
	c.settle()
	k, _ := request(t)
	raw, err := leaving.IssueOperator("office", k.Public(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	refusedBy(t, "the office's, by a removed machine's key", c.dial(nil, certificateOf(t, k, raw, leaving.Certificate())), "ChangeRoll")
	c.leader()
	if _, err := c.dial(p.member, p.cert).renew(p.member.Node); err != nil {
		t.Error("a node cannot have its certificate renewed:", err)
	}
}

// The next authority is on the disk before anybody hears of it, so a replica
// that is killed at any point has the key that the roll asks for.
func TestAuthorityAfterAKill(t *testing.T) {
	c := alone(t)
	dir := c.config(0).Dir
	open := func() *issuer {
		t.Helper()
		r, err := Open(c.config(0))
		if err != nil {
			t.Fatal(err)
		}
		return r.issuer
	}
	i := open()
	present := i.current.Hash()
	next, err := i.prepare(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	// Killed after it has answered, and before the roll: asked again, it has one.
	i = open()
	if again, err := i.prepare(time.Now()); err != nil || again.Hash() != next.Hash() {
		t.Fatal("it has made another:", err)
	}
	if ca, err := i.by(present); err != nil || ca.Hash() != present {
		t.Fatal("the present one is gone before the roll lists another:", err)
	}
	// Killed after the roll, before it has read it.
	stale := open()
	i = open()
	if ca, err := i.by(next.Hash()); err != nil || ca.Hash() != next.Hash() {
		t.Fatal(err)
	}
	// A command that opened the folder before finds it there.
	if ca, err := stale.by(next.Hash()); err != nil || ca.Hash() != next.Hash() {
		t.Fatal(err)
	}
	if i = open(); i.current.Hash() != next.Hash() {
		t.Fatal("it begins with the former one again")
	}
	if _, err := os.Stat(filepath.Join(dir, fileNext)); err == nil {
		t.Error("the next one is the present one, and still the next one")
	}
	if _, err := i.by(present); !errors.Is(err, refusal.ErrUnavailable) {
		t.Error("a key that is gone:", err)
	}
	if err := os.WriteFile(filepath.Join(dir, fileNext), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := i.prepare(time.Now()); !errors.Is(err, ErrFolder) {
		t.Error("a damaged file was passed over:", err)
	}
}

// A backup from before a rotation has nothing to certify with. One newer one is
// enough for a restoration; with none there is nothing, and the reason is said.
func TestRestoreAfterARotation(t *testing.T) {
	c, v := found(t, 3), newVault(t)
	c.enrol(c.members[0])
	before := make([]string, 3)
	for i := range before {
		before[i] = v.backup(c.config(i).Dir, "before-"+string(c.peers[i].ID))
	}
	c.rotate(c.office)
	c.certifyOffice(1)
	c.retire()
	c.desk = c.dial(nil, &c.office.creds.certificate)
	c.settle()
	after := v.backup(c.config(1).Dir, "after-r2")
	copied := v.copied(after, "copy.jsonl")
	for i := range c.replicas {
		c.stop(i)
	}
	old := v.restoring(before...)
	old.Logs = []string{copied}
	v.refused(old, ErrBackup, "before the authorities were last changed")
	if _, err := Restore(v.restoring(before[0], after, before[2])); err != nil {
		t.Fatal(err)
	}
	restored := v.path("restored")
	office, err := OpenOffice(filepath.Join(restored, DirOperator))
	if err != nil {
		t.Fatal(err)
	}
	c.dir, c.office = restored, office
	if err := c.startAll(); err != nil {
		t.Fatal(err)
	}
	c.desk = c.dial(nil, &office.creds.certificate)
	c.settle()
	c.leader()
	var cannot []string
	for _, p := range office.Diagnose(office.Status(t.Context()), time.Now()) {
		if strings.Contains(p.EN, "cannot certify") {
			cannot = append(cannot, p.EN)
		}
	}
	if len(cannot) != 2 {
		t.Errorf("the status does not say who cannot certify: %q", cannot)
	}
	if _, away := c.rotate(office); len(away) != 0 {
		t.Fatal(away)
	}
	c.settle()
	for _, s := range office.Status(t.Context()) {
		if s.Error != "" || s.Authority.IsZero() {
			t.Errorf("after another rotation, %s: %+v", s.ID, s)
		}
	}
}

// Whoever has a member's or a self-made certificate does not speak consensus.
func TestConsensusIsForKeysOnTheRoll(t *testing.T) {
	c := found(t, 3)
	p := c.enrol(c.members[0])
	k, _ := request(t)
	r2, err := openCredential(filepath.Join(c.dir, "r2"))
	if err != nil {
		t.Fatal(err)
	}
	posed := certificateOf(t, k, r2.certificate.Certificate...) // r2's certificate, without its key
	for what, test := range map[string]struct {
		cert *tls.Certificate
		ok   bool
	}{
		"a replica": {&r2.certificate, true}, "a member": {p.cert, false}, "the office": {&c.office.creds.certificate, false},
		"nobody": {nil, false}, "a replica's certificate with another key": {posed, false},
	} {
		if err := c.speakRaft(test.cert); (err == nil) != test.ok {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// speakRaft opens a connection for consensus and waits to hear that it was
// refused, which a server of TLS 1.3 says after the client is done.
func (c *cluster) speakRaft(cert *tls.Certificate) error {
	config := &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, NextProtos: []string{consensus.ProtocolRaft}}
	if cert != nil {
		config.Certificates = []tls.Certificate{*cert}
	}
	conn, err := tls.Dial("tcp", string(c.peers[0].Address), config)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err = conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		return nil // it waits for what we say
	}
	return err
}

// certifyOffice has somebody take the office's folder to a replica's machine.
func (c *cluster) certifyOffice(i int) {
	c.t.Helper()
	c.settle()
	dir := filepath.Join(c.dir, DirOperator)
	if err := RenewOffice(c.t.Context(), c.config(i).Dir, dir, time.Now()); err != nil {
		c.t.Fatal(err)
	}
	office, err := OpenOffice(dir)
	if err != nil {
		c.t.Fatal(err)
	}
	c.office = office
	c.desk = c.dial(nil, &office.creds.certificate)
}

// Whoever copied an authority's key out of a replica's folder has nothing once
// that authority is off the roll, whatever it did before.
func TestAStolenAuthority(t *testing.T) {
	c := found(t, 3)
	c.enrol(c.members[0])
	c.settle()
	stolen := mustAuthority(t, c)
	k, csr := request(t)
	raw, err := stolen.IssueOperator("office", k.Public(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	thief := c.dial(nil, certificateOf(t, k, raw, stolen.Certificate()))
	renewed := func(when string, want ...bool) {
		t.Helper()
		for i, stub := range thief.stubs {
			ctx, cancel := context.WithTimeout(t.Context(), answer)
			if _, err := stub.Renew(ctx, &wire.RenewRequest{CertificateRequest: csr}); (err == nil) != want[i] {
				t.Errorf("%s, by replica %d: %v", when, i+1, err)
			}
			cancel()
		}
	}
	renewed("by the very authority", true, false, false)
	if _, _, err := c.office.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.settle()
	renewed("after the rotation", false, false, false)
}
