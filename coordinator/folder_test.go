package coordinator

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"coulisse/coordinator/authority"
	"coulisse/coordinator/consensus"
	"coulisse/protocol"
	"coulisse/protocol/federation/federationtest"

	"google.golang.org/grpc/credentials"
)

// alone is a coordinator of one replica that does not run.
func alone(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, replicas: make([]*running, 1)}
	for _, id := range []protocol.MemberID{"alpha", "beta", "gamma"} {
		c.members = append(c.members, federationtest.NewMember(t, id))
	}
	c.create()
	return c
}

func TestFolders(t *testing.T) {
	c, other := alone(t), alone(t)
	unfounded := c.config(0)
	unfounded.Founding = nil
	if _, err := Open(unfounded); !errors.Is(err, ErrUnfounded) {
		t.Error("a replica without a founding:", err)
	}
	foreign := c.config(0)
	foreign.Founding = &other.founding
	if _, err := Open(foreign); !errors.Is(err, ErrForeign) {
		t.Error("another coordinator's founding:", err)
	}
	unsigned := c.config(0)
	unsigned.Founding = &protocol.Founding{Genesis: c.founding.Genesis, Assents: c.founding.Assents[:2]}
	if _, err := Open(unsigned); err == nil {
		t.Error("a founding that not all have signed")
	}
	for range 2 { // the second time it has its own copy
		if _, err := Open(c.config(0)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(unfounded); err != nil {
		t.Error("it forgot its founding:", err)
	}
	if _, err := Open(foreign); !errors.Is(err, ErrForeign) {
		t.Error("it took another founding:", err)
	}
	dir := c.config(0).Dir
	for _, file := range []string{fileSettings, fileIdentity, fileReplicaKey, fileTLSKey, fileTLS, fileAuthority, fileFounding} {
		good, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), good[:len(good)/2], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(unfounded); !errors.Is(err, ErrFolder) {
			t.Errorf("with half of %s: %v", file, err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Create(c.dir, "ville", c.peers, time.Now()); !errors.Is(err, ErrFolder) {
		t.Error("a second coordinator in the same folder:", err)
	}
}

// What a replica lost it must not begin again without.
func TestALostLogIsNoticed(t *testing.T) {
	c := alone(t)
	if err := c.startAll(); err != nil {
		t.Fatal(err)
	}
	c.stop(0)
	raft := filepath.Join(c.config(0).Dir, dirRaft)
	for what, lose := range map[string]func() error{
		"cut to nothing": func() error { return os.Truncate(filepath.Join(raft, fileRaftLog), 0) },
		"gone":           func() error { return os.RemoveAll(raft) },
	} {
		if err := lose(); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if err := c.start(0); err != nil {
			t.Fatal(err)
		}
		if err := <-c.replicas[0].done; !errors.Is(err, ErrLost) {
			t.Fatal("a replica whose log is", what, err)
		}
	}
}

func TestReplicasRenewTheirCertificates(t *testing.T) {
	c := alone(t)
	r, err := Open(c.config(0))
	if err != nil {
		t.Fatal(err)
	}
	old := r.certificate.now()
	if err := r.renew(); err != nil || r.certificate.now() != old {
		t.Fatal("a new certificate was renewed:", err)
	}
	c.ahead.Store(int64(authority.ReplicaLife * 3 / 4))
	if err := r.renew(); err != nil {
		t.Fatal(err)
	}
	renewed := r.certificate.now()
	if left := renewed.Leaf.NotAfter.Sub(c.now()); left < authority.OperatorLife-time.Hour {
		t.Fatal("the new certificate is good for", left)
	}
	again, err := Open(c.config(0))
	if err != nil {
		t.Fatal(err)
	}
	if !again.certificate.now().Leaf.Equal(renewed.Leaf) {
		t.Error("the folder holds another certificate")
	}
	if err := RenewOffice(t.Context(), c.config(0).Dir, filepath.Join(c.dir, DirOperator), c.now()); err != nil {
		t.Fatal(err)
	}
	office, err := OpenOffice(filepath.Join(c.dir, DirOperator))
	if err != nil {
		t.Fatal(err)
	}
	if left := office.creds.certificate.Leaf.NotAfter.Sub(c.now()); left < authority.OperatorLife-time.Hour {
		t.Error("the office's new certificate is good for", left)
	}
}

func TestTheDoorCounts(t *testing.T) {
	d := newDoor(consensus.ServerCredentials(), nil)
	stranger := authority.Party{Role: authority.Anyone}
	admit := func(p authority.Party) (n int) {
		for d.enter(p) {
			n++
		}
		return n
	}
	if n := admit(stranger); n != maxOfStrangers {
		t.Errorf("%d strangers came in", n)
	}
	total := maxOfStrangers
	for i := range 200 {
		total += admit(authority.Party{Role: authority.Member, Name: fmt.Sprint(i)})
	}
	if total != maxConnections {
		t.Errorf("%d came in", total)
	}
	d.leave(stranger)
	if !d.enter(stranger) || d.enter(stranger) {
		t.Error("whoever leaves makes room for one")
	}
	var _ credentials.TransportCredentials = d.Clone()
}
