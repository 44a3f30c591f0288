package coordinator

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"coulisse/coordinator/consensus"
	"coulisse/protocol"
	"coulisse/protocol/checkup"
	"coulisse/protocol/checkup/checkuptest"
	"coulisse/protocol/wire"
)

func TestDoctor(t *testing.T) {
	c, _ := lone(t)
	dir := c.config(0).Dir
	diagnose := func() checkup.Report {
		t.Helper()
		return Doctor(t.Context(), dir, "test", time.Now())
	}
	wants := func(g checkup.Gravity, words string) {
		t.Helper()
		if r := diagnose(); !checkuptest.Says(t, r, g, words) {
			t.Errorf("wanted %q, got %+v", words, r)
		}
	}
	wants(checkup.Danger, "never backed up")
	newVault(t).backup(dir, "a.age")
	if r := diagnose(); len(r) > 0 {
		t.Errorf("nothing is wrong, it says %+v", r)
	}
	if r := Doctor(t.Context(), dir, "other", time.Now()); !checkuptest.Says(t, r, checkup.Notice, "runs version test") {
		t.Error(r)
	}
	if runtime.GOOS != "windows" {
		if err := os.Chmod(filepath.Join(dir, fileSettings), 0o644); err != nil {
			t.Fatal(err)
		}
		wants(checkup.Danger, "chmod 0600")
	}
	c.ahead.Store(int64(time.Hour))
	wants(checkup.Broken, "r1 is 1h0m0s ahead")
	c.ahead.Store(0)
	c.stop(0)
	wants(checkup.Broken, "Start it with")
	half := func(good []byte) []byte { return good[:len(good)/2] }
	broken := func(name, words string, gravity checkup.Gravity, damage func([]byte) []byte) {
		t.Helper()
		path := filepath.Join(dir, name)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, damage(bytes.Clone(good)), 0o600); err != nil {
			t.Fatal(err)
		}
		wants(gravity, words)
		if err := os.WriteFile(path, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{fileSettings, fileIdentity, fileReplicaKey, fileTLSKey, fileTLS, fileAuthority, fileFounding} {
		broken(name, "does not read", checkup.Broken, half)
	}
	broken(filepath.Join(dirRaft, fileRaftLog), "log is damaged", checkup.Broken, func(log []byte) []byte {
		clear(log[len(log)/4:])
		return log
	})
	broken(fileBackup, "never backed up", checkup.Danger, half)
	if err := os.RemoveAll(filepath.Join(dir, dirRaft)); err != nil {
		t.Fatal(err)
	}
	wants(checkup.Broken, "log is gone from its folder")
	if err := errors.Join(os.Remove(filepath.Join(dir, fileFounding)), os.RemoveAll(filepath.Join(dir, fileJoined))); err != nil {
		t.Fatal(err)
	}
	wants(checkup.Notice, "has no founding yet")
	if r := Doctor(t.Context(), t.TempDir(), "test", time.Now()); !checkuptest.Says(t, r, checkup.Broken, "is not a replica's") {
		t.Error(r)
	}
}

func TestJudgeBackup(t *testing.T) {
	now := time.Now()
	if r := judgeBackup(&LastBackup{At: protocol.At(now.Add(-24 * time.Hour))}, now); len(r) > 0 {
		t.Error(r)
	}
	if r := judgeBackup(&LastBackup{At: protocol.At(now.Add(-20 * 24 * time.Hour))}, now); !checkuptest.Says(t, r, checkup.Danger, "20 days old") {
		t.Error(r)
	}
}

func TestABackupFromBeforeARotation(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	if err := os.WriteFile(filepath.Join(dir, fileAuthority), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	before, after := &LastBackup{At: protocol.At(now.Add(-time.Hour))}, &LastBackup{At: protocol.At(now.Add(time.Hour))}
	if r := judgeBackedAuthority(dir, before); !checkuptest.Says(t, r, checkup.Danger, "from before its new certificate authority") {
		t.Error(r)
	}
	if r := append(judgeBackedAuthority(dir, after), judgeBackedAuthority(dir, nil)...); len(r) > 0 {
		t.Error(r)
	}
}

func TestJudgePeers(t *testing.T) {
	now := time.Now()
	said := func(id protocol.ReplicaID, change func(*wire.StatusReply)) peerAnswer {
		a := peerAnswer{peer: consensus.Peer{ID: id, Address: consensus.Address(id) + ":1"}, asked: now, answered: now, reply: &wire.StatusReply{
			Replica: string(id), Leader: "r1", LogSize: 5000, LogRoot: "a", Version: "test", NowMs: now.UnixMilli(),
		}}
		change(a.reply)
		return a
	}
	same := func(*wire.StatusReply) {}
	judge := func(last peerAnswer) checkup.Report {
		return judgePeers("r1", "test", []peerAnswer{said("r1", same), said("r2", same), last})
	}
	if r := judge(said("r3", same)); len(r) > 0 {
		t.Error(r)
	}
	for words, last := range map[string]peerAnswer{
		"do not hold the same log":     said("r3", func(s *wire.StatusReply) { s.LogRoot = "b" }),
		"another replica than r3":      said("r3", func(s *wire.StatusReply) { s.Replica = "r2" }),
		"does not answer as a replica": {peer: consensus.Peer{ID: "r3"}, err: errors.New("refused")},
		"10m0s behind this machine's":  said("r3", func(s *wire.StatusReply) { s.NowMs -= 600_000 }),
		"knows no replica that leads":  said("r1", func(s *wire.StatusReply) { s.Leader = "" }),
	} {
		if r := judge(last); !checkuptest.Says(t, r, checkup.Broken, words) {
			t.Errorf("wanted %q, got %+v", words, r)
		}
	}
	if r := judge(said("r3", func(s *wire.StatusReply) { s.LogSize = 10 })); !checkuptest.Says(t, r, checkup.Danger, "4990 entries behind") {
		t.Error(r)
	}
	if r := judge(said("r3", func(s *wire.StatusReply) { s.Rules = 77 })); !checkuptest.Says(t, r, checkup.Notice, "r3 knows rules 77") {
		t.Error(r)
	}
	if r := judge(said("r3", func(s *wire.StatusReply) { s.Version = "old" })); !checkuptest.Says(t, r, checkup.Notice, "r3 runs version old") {
		t.Error(r)
	}
}
