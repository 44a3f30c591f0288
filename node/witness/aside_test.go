package witness_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"coulisse/crypto/key"
	"coulisse/node/witness"
	"coulisse/protocol"
	"coulisse/protocol/federation/federationtest"
)

// An earlier build refused, by mistake, what this one takes: the node goes on
// without anybody's moving files. What is still against the rules stays.
func TestEvidenceOfAnEarlierBuild(t *testing.T) {
	town := federationtest.Found(t, 3)
	vote := town.Open(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}})
	honest := encode(t, next[key.Vote](t, town, federationtest.SignVote(town, town.Members[2], protocol.NewBallot(protocol.Vote{Proposal: vote, Choice: protocol.For}))))
	size := len(town.Entries)
	keep := func(size int, raw []byte) (string, string) {
		dir := t.TempDir()
		w := open(t, dir, town.Federation)
		feed(t, w, town.Entries)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, fmt.Sprintf("evidence-%d-%s.json", size, protocol.HashOf(raw).Short()))
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		return dir, path
	}
	dir, path := keep(size, honest)
	w := open(t, dir, town.Federation)
	if err := w.Take(honest); err != nil {
		t.Error("it does not go on:", err)
	}
	if kept, err := os.ReadFile(w.Aside()); err != nil || string(kept) != string(honest) {
		t.Error("what was set aside:", err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Error("it is still kept as evidence:", err)
	}
	for name, lie := range lies(t, town, vote) {
		dir, path := keep(size, lie)
		w := open(t, dir, town.Federation)
		if _, err := os.Stat(path); err != nil || w.Aside() != "" || !errors.Is(w.Take(honest), witness.ErrEvidence) {
			t.Errorf("%s: it is taken for a mistake of an earlier build: %v", name, err)
		}
	}
	dir, _ = keep(size-1, honest)
	if w := open(t, dir, town.Federation); w.Aside() != "" {
		t.Error("an entry of another place in the log is set aside")
	}
}
