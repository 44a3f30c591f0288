package coordinator

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"coulisse/coordinator/consensus"
	"coulisse/crypto/key"
	"coulisse/crypto/seal"
	"coulisse/protocol"
	"coulisse/protocol/archive"
	"coulisse/protocol/checkpoint"
	"coulisse/protocol/federation"
	"coulisse/protocol/federation/federationtest"
	"coulisse/protocol/refusal"
)

// vault is where a test's backups go.
type vault struct {
	t        *testing.T
	dir      string
	identity *seal.Identity
}

func newVault(t *testing.T) *vault {
	v := &vault{t: t, dir: t.TempDir()}
	var err error
	if v.identity, err = seal.LoadOrCreateIdentity(v.key()); err != nil {
		t.Fatal(err)
	}
	return v
}

func (v *vault) key() string             { return filepath.Join(v.dir, "office.agekey") }
func (v *vault) path(name string) string { return filepath.Join(v.dir, name) }

func (v *vault) backup(replicaDir, name string) string {
	v.t.Helper()
	_, err := Backup(v.t.Context(), Backing{
		Dir: replicaDir, To: v.path(name), Recipients: []seal.Recipient{v.identity.Recipient()}, Version: "test", Now: time.Now(),
	})
	if err != nil {
		v.t.Fatal(err)
	}
	return v.path(name)
}

func (v *vault) restoring(backups ...string) Restoring {
	return Restoring{Dir: v.path("restored"), Backups: backups, Identities: []string{v.key()}, Version: "test", Now: time.Now()}
}

// copied writes the log of a backup as a member's copy.
func (v *vault) copied(backup, name string) string {
	v.t.Helper()
	b, err := VerifyBackup(backup, []string{v.key()}, "test")
	if err != nil {
		v.t.Fatal(err)
	}
	file, err := os.Create(v.path(name))
	if err != nil {
		v.t.Fatal(err)
	}
	defer file.Close()
	if err := archive.Write(file, b.Statement.Checkpoint, func(fn func(federation.Tx) error) error { return fn(b.Log) }); err != nil {
		v.t.Fatal(err)
	}
	return file.Name()
}

// refused checks that nothing is there after a refusal, and what it says.
func (v *vault) refused(r Restoring, kind error, words string) {
	v.t.Helper()
	_, err := Restore(r)
	said := refusal.Words(err)
	if !errors.Is(err, kind) || !strings.Contains(said.EN, words) || said.FR == said.EN {
		v.t.Errorf("wanted %q, got %v", words, err)
	}
	left, err := filepath.Glob(v.path("*restore*"))
	if err != nil || len(left) > 0 {
		v.t.Errorf("left behind: %v %v", left, err)
	}
	hidden, _ := filepath.Glob(v.path(".restore*"))
	if len(hidden) > 0 {
		v.t.Errorf("left behind: %v", hidden)
	}
}

// lone starts a coordinator of one replica with its members' clients.
func lone(t *testing.T) (*cluster, []*client) {
	c := alone(t)
	if err := c.startAll(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.stop(0) })
	return c, c.enrolAll()
}

func TestBackupAndRestore(t *testing.T) {
	c, clients := lone(t)
	v := newVault(t)
	dir := c.config(0).Dir
	first := v.backup(dir, "first.age")
	if info, err := os.Stat(first); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	raw, err := os.ReadFile(first)
	if err != nil || bytes.Contains(raw, []byte(c.members[0].ID)) {
		t.Error("a backup is not sealed:", err)
	}
	_, err = Backup(t.Context(), Backing{Dir: dir, To: first, Recipients: []seal.Recipient{v.identity.Recipient()}})
	if !errors.Is(err, ErrBackup) {
		t.Error("a backup replaced another:", err)
	}
	c.decide(clients, protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}})
	second := v.copied(v.backup(dir, "second.age"), "member.jsonl")
	noted, err := os.ReadFile(filepath.Join(dir, fileBackup))
	if last, err2 := protocol.DecodeFile[LastBackup](noted); err != nil || err2 != nil || last.Size != c.head().Size {
		t.Errorf("%+v %v %v", last, err, err2)
	}
	want := c.head()
	c.stop(0)
	if _, err := Backup(t.Context(), Backing{Dir: dir, To: v.path("x.age"), Recipients: []seal.Recipient{v.identity.Recipient()}}); !strings.Contains(refusal.Words(err).EN, "--survivor") {
		t.Error("a replica that does not run:", err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	r := v.restoring(first)
	r.Logs = []string{second}
	done, err := Restore(r)
	if err != nil || done.Head != want || done.From != second || done.Federation != c.id {
		t.Fatalf("%+v: %v", done, err)
	}
	if err := os.Rename(filepath.Join(r.Dir, "r1"), dir); err != nil {
		t.Fatal(err)
	}
	if err := c.start(0); err != nil {
		t.Fatal(err)
	}
	c.leader()
	c.decide(clients, protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 2}})
	if _, err := OpenOffice(filepath.Join(r.Dir, DirOperator)); err != nil {
		t.Error(err)
	}
	// And a backup of what was restored restores as well.
	if _, err := Restore(Restoring{Dir: v.path("again"), Backups: []string{v.backup(dir, "third.age")}, Identities: []string{v.key()}}); err != nil {
		t.Error(err)
	}
}

func TestWhatCannotBeRestored(t *testing.T) {
	c, _ := lone(t)
	v, other := newVault(t), newVault(t)
	good := v.backup(c.config(0).Dir, "good.age")
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	bad := func(name string, content []byte) string {
		if err := os.WriteFile(v.path(name), content, 0o600); err != nil {
			t.Fatal(err)
		}
		return v.path(name)
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)*2/3] ^= 1
	v.refused(v.restoring(bad("flipped.age", flipped)), ErrBackup, "damaged, cut short")
	v.refused(v.restoring(bad("cut.age", whole[:len(whole)-100])), ErrBackup, "damaged, cut short")
	v.refused(v.restoring(bad("short.age", whole[:20])), ErrBackup, "damaged, cut short")
	v.refused(v.restoring(bad("empty.age", nil)), ErrBackup, "damaged, cut short")
	v.refused(v.restoring(v.path("missing.age")), ErrBackup, "does not open")
	if err := seal.WriteFile(v.path("note.age"), []seal.Recipient{v.identity.Recipient()}, []byte("not a backup")); err != nil {
		t.Fatal(err)
	}
	v.refused(v.restoring(v.path("note.age")), ErrBackup, "does not prove what it states")
	v.refused(v.restoring(good, good), ErrBackup, "is given twice")
	v.refused(v.restoring(), ErrBackup, "something to restore from")
	locked := v.restoring(good)
	locked.Identities = []string{other.key()}
	v.refused(locked, ErrBackup, "No identity that was given opens")
	elsewhere := v.restoring(good)
	elsewhere.Federation = protocol.HashOf([]byte("another"))
	v.refused(elsewhere, ErrForeign, "comes from the federation")
	foreign, _ := lone(t)
	v.refused(v.restoring(good, v.backup(foreign.config(0).Dir, "foreign.age")), ErrForeign, "leave it out")
	copied := v.restoring(good)
	copied.Logs = []string{v.copied(v.path("foreign.age"), "foreign.jsonl")}
	v.refused(copied, ErrBackup, "it comes from the federation")
	log, err := os.ReadFile(v.copied(good, "log.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	copied.Logs = []string{bad("altered.jsonl", bytes.Replace(log, []byte(`"enrolment"`), []byte(`"ticket"`), 1))}
	v.refused(copied, ErrBackup, "does not prove what it states")
	if err := os.Mkdir(v.path("there"), 0o700); err != nil {
		t.Fatal(err)
	}
	taken := v.restoring(good)
	taken.Dir = v.path("there")
	v.refused(taken, ErrFolder, "is there already")
	running := v.restoring()
	running.Survivor = c.config(0).Dir
	v.refused(running, ErrLost, "stop this replica if it runs")
}

// One backup of three decides nothing, except alone.
func TestTheKeysOfAMinority(t *testing.T) {
	c := found(t, 3)
	c.enrol(c.members[0]) // there is a genesis by then
	c.settle()
	v := newVault(t)
	one := v.backup(c.config(1).Dir, "r2.age")
	v.refused(v.restoring(one), ErrFolder, "they could decide nothing")
	two := v.restoring(one, v.backup(c.config(2).Dir, "r3.age"))
	two.Alone = true
	v.refused(two, ErrFolder, "restores a single replica")
	two.Alone = false
	if done, err := Restore(two); err != nil || len(done.Replicas) != 2 || len(done.Missing) != 1 || done.Missing[0] != "r1" {
		t.Errorf("%+v: %v", done, err)
	}
}

// An old folder was started again beside its backups: there are two logs now.
func TestAForkIsProven(t *testing.T) {
	c, clients := lone(t)
	v := newVault(t)
	dir := c.config(0).Dir
	c.stop(0)
	if err := os.CopyFS(dir+"-old", os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir+"-old", fileIdentity), 0o600); err != nil {
		t.Fatal(err)
	}
	histories := []string{}
	for _, n := range []string{"one", "two"} {
		if err := c.start(0); err != nil {
			t.Fatal(err)
		}
		c.leader()
		c.until("the log is read again", func(log *federation.Memory) bool { return federation.Size(log) > 0 })
		c.open(clients, protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}})
		histories = append(histories, v.backup(dir, n+".age"))
		c.stop(0)
		if err := errors.Join(os.Rename(dir, dir+n), os.Rename(dir+"-old", dir)); err != nil && n == "one" {
			t.Fatal(err)
		}
	}
	r := v.restoring(histories[0])
	r.Logs = []string{v.copied(histories[1], "member.jsonl")}
	_, err := Restore(r)
	if !errors.Is(err, ErrFork) {
		t.Fatal(err)
	}
	var proven []protocol.Entry
	for _, name := range []string{"restored-fork-1.json", "restored-fork-2.json"} {
		text, err := os.ReadFile(v.path(name))
		if err != nil {
			t.Fatal(err)
		}
		proof, err := protocol.DecodeFile[archive.Proof](text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := proof.Verify(c.id); err != nil {
			t.Error(name, err)
		}
		proven = append(proven, proof.Entry.Entry)
	}
	if proven[0].Seq != proven[1].Seq || bytes.Equal(proven[0].Doc, proven[1].Doc) {
		t.Error("the proofs contradict nothing")
	}
	if _, err := os.Stat(r.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Error("something was restored:", err)
	}
}

// What no replica has signed gives way to what one has.
func TestUnsignedTails(t *testing.T) {
	town := federationtest.Found(t, 3)
	town.Open(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}})
	shared := town.Head().Size
	again := town.Again()
	town.Open(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 2}})
	again.Open(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 3}})
	again.Open(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 4}})
	of := func(name string, w *federationtest.Town, signed int64) history {
		h := history{name: name, log: &w.Log, head: w.Head()}
		h.stated = checkpoint.Checkpoint{Head: protocol.Head{Size: signed}}
		return h
	}
	for _, c := range []struct {
		one, other int64 // signed
		want       string
		left       int64
	}{
		{shared + 1, shared, "one", again.Head().Size - shared},
		{shared, shared + 1, "other", town.Head().Size - shared},
		{shared, shared, "", 0},
	} {
		best, left, err := continued(of("one", town, c.one), of("other", again, c.other), t.TempDir())
		switch {
		case c.want == "":
			if !errors.Is(err, ErrFork) || !strings.Contains(err.Error(), "neither proves") {
				t.Error(err)
			}
		case err != nil || best.name != c.want || left == nil || left.Entries != c.left:
			t.Errorf("%+v: %s %+v %v", c, best.name, left, err)
		}
	}
	whole, left, err := continued(of("one", town, 1), history{name: "same", log: &town.Log, head: town.Head()}, "")
	if err != nil || left != nil || whole.head != town.Head() {
		t.Error(left, err)
	}
}

// The keys of a replica that was replaced sign nothing any more.
func TestABackupFromBeforeAReplacement(t *testing.T) {
	town := federationtest.Found(t, 3)
	id := town.View().Roll.Replicas[0].ID
	peers := []consensus.Peer{{ID: id, Address: "there:1"}}
	good := kept{settings: Settings{ID: id, Peers: peers}, key: town.Replica.Public()}
	if roll, err := rollOf(&town.Log, []kept{good}); err != nil || !slices.Equal(roll, peers) {
		t.Error(roll, err)
	}
	other, err := key.Generate[key.Replica]()
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []kept{
		{settings: good.settings, key: other.Public()},
		{settings: Settings{ID: "gone", Peers: peers}, key: good.key},
	} {
		if _, err := rollOf(&town.Log, []kept{good, bad}); !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), "before it was replaced") {
			t.Error(err)
		}
	}
}
