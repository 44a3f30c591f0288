package coordinator

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coulisse/protocol"
)

// The office keeps a head and no log, and finds out two histories all the same.
func TestTheOfficeDemandsGrowth(t *testing.T) {
	c := found(t, 3)
	check := func(all []ReplicaStatus) []protocol.Text {
		t.Helper()
		problems, err := c.office.CheckGrowth(t.Context(), all, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return problems
	}
	c.settle()
	first := c.office.Status(t.Context())
	if problems := check(first); len(problems) != 0 {
		t.Fatal(problems)
	}
	early, err := c.office.lastSeen()
	if err != nil || early.Head.Size != first[0].LogSize || early.At == 0 {
		t.Fatalf("%+v, %v", early, err)
	}
	c.enrolAll()
	c.settle()
	all := c.office.Status(t.Context())
	behind := (c.leader() + 1) % len(all)
	all[behind].LogSize, all[behind].LogRoot = first[behind].LogSize, first[behind].LogRoot
	if problems := check(all); len(problems) != 0 {
		t.Fatal(problems)
	}
	if late, err := c.office.lastSeen(); err != nil || late.Head.Size != all[c.leader()].LogSize {
		t.Fatalf("%+v, %v", late, err)
	}

	says := func(what, want string, problems []protocol.Text) {
		t.Helper()
		if len(problems) == 0 || !strings.Contains(problems[0].EN, want) || problems[0].FR == problems[0].EN {
			t.Errorf("%s: %v", what, problems)
		}
	}
	other := protocol.HashOf([]byte("another log")).String()
	bad := append([]ReplicaStatus{}, all...)
	bad[behind].LogRoot = other
	says("a replica that is behind has another log", "is not the beginning of that of", check(bad))
	if err := c.office.keepSeen(seen{Head: protocol.Head{Size: early.Head.Size, Root: protocol.HashOf([]byte("x"))}, At: 1}); err != nil {
		t.Fatal(err)
	}
	says("none grew out of what was seen", "It is another history", check(all))
	if last, err := c.office.lastSeen(); err != nil || last.At != 1 {
		t.Error("what was seen was forgotten:", last, err)
	}
	if err := c.office.keepSeen(seen{Head: protocol.Head{Size: 1000, Root: protocol.HashOf([]byte("x"))}, At: 1}); err != nil {
		t.Fatal(err)
	}
	says("fewer than were seen", "entries less than the office saw", check(all))
	if err := os.Remove(filepath.Join(c.office.dir, fileHead)); err != nil {
		t.Fatal(err)
	}
	bad = append([]ReplicaStatus{}, all...)
	bad[c.leader()].LogSize += 5 // claims more than it has
	says("a replica that proves nothing", "has not proven", check(bad))
}
