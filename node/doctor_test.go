package node

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/checkup"
	"coulisse/protocol/checkup/checkuptest"
)

func TestDoctor(t *testing.T) {
	f := newFolder(t)
	wants := func(g checkup.Gravity, words string) {
		t.Helper()
		if r := Doctor(t.Context(), f.Dir, false, time.Now()); !checkuptest.Says(t, r, g, words) {
			t.Errorf("wanted %q, got %+v", words, r)
		}
	}
	wants(checkup.Broken, "has not enrolled yet")
	for _, name := range []string{fileCard, fileIdentity, fileNode, fileEnvelope} {
		good, err := os.ReadFile(f.path(name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.path(name), good[:len(good)/2], 0o600); err != nil {
			t.Fatal(err)
		}
		if r := Doctor(t.Context(), f.Dir, false, time.Now()); len(r) == 0 || r[0].Gravity != checkup.Broken || checkuptest.Says(t, r, checkup.Broken, "has not enrolled yet") {
			t.Errorf("half of %s: %+v", name, r)
		}
		if err := os.WriteFile(f.path(name), good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := protocol.Indented(Membership{Federation: protocol.HashOf([]byte("ours")), Route: route})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.replace(fileFederation, text); err != nil {
		t.Fatal(err)
	}
	wants(checkup.Notice, "has never run yet")
	wants(checkup.Broken, "has not enrolled yet") // it has no certificate
	if err := errors.Join(os.MkdirAll(f.path(dirLog), 0o700), os.WriteFile(filepath.Join(f.path(dirLog), "evidence-3-x.json"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	wants(checkup.Broken, "evidence of a fault")
	if err := os.WriteFile(f.path(fileWarehouse), []byte("no warehouse at all, and long enough to be read as one"), 0o600); err != nil {
		t.Fatal(err)
	}
	wants(checkup.Broken, "warehouse does not open")
	wants(checkup.Broken, "The node does not run")
	if err := os.WriteFile(filepath.Join(f.path(dirLog), "log.jsonl"), []byte("x\ny\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wants(checkup.Broken, "log is damaged")
	if r := Doctor(t.Context(), t.TempDir(), false, time.Now()); !checkuptest.Says(t, r, checkup.Broken, "holds no node") {
		t.Error(r)
	}
}

func TestPendingBatches(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "epoch-1", "pending-0000000000000001.age")
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if r := pendingBatches(dir, time.Now()); len(r) > 0 {
		t.Error(r)
	}
	if r := pendingBatches(dir, time.Now().Add(30*time.Hour)); !checkuptest.Says(t, r, checkup.Danger, "for 30 hours") && !checkuptest.Says(t, r, checkup.Danger, "for 29 hours") {
		t.Error(r)
	}
}
