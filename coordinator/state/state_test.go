package state

import (
	"bytes"
	"errors"
	"go/parser"
	gotoken "go/token"
	"os"
	"strings"
	"testing"

	"coulisse/crypto/key"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/federation/federationtest"
)

// founded is a state with a genesis, and the town whose it is.
func founded(t *testing.T) (*State, *federationtest.Town) {
	t.Helper()
	town := federationtest.New(t, 3)
	s := empty(t)
	document, err := protocol.Canonical(town.Founding)
	if err != nil {
		t.Fatal(err)
	}
	if o := do(t, s, 1, Command{At: town.Now, Append: []Append{{Label: protocol.LabelGenesis, Document: document}}}); o.Err != nil {
		t.Fatal(o.Err)
	}
	return s, town
}

func empty(t *testing.T) *State {
	t.Helper()
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func do(t *testing.T, s *State, index uint64, c Command) Outcome {
	t.Helper()
	raw, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return s.Apply(index, raw).([]Outcome)[0]
}

func hashOf(t *testing.T, s *State) protocol.Hash {
	t.Helper()
	h, err := s.Hash()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func enrolment(t *testing.T, s *State, town *federationtest.Town, certificate string) []byte {
	t.Helper()
	var head protocol.Head
	if err := s.View(func(tx federation.Tx) (err error) { head, err = federation.Head(tx); return err }); err != nil {
		t.Fatal(err)
	}
	signed, err := protocol.Sign(protocol.Signer[key.Replica]{
		Federation: town.Federation, By: protocol.PartyID(federationtest.ReplicaID), Key: town.Replica,
	}, head, protocol.Enrolment{Member: "membre-01", Certificate: protocol.HashOf([]byte(certificate)), Until: town.Now + 1000})
	if err != nil {
		t.Fatal(err)
	}
	document, err := protocol.Canonical(signed)
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func TestTokens(t *testing.T) {
	s, town := founded(t)
	secret, request, other := protocol.HashOf([]byte("secret")), protocol.HashOf([]byte("a")), protocol.HashOf([]byte("b"))
	now := town.Now
	o := do(t, s, 2, Command{At: now, AddToken: &AddToken{Secret: secret, Member: "stranger", Until: now + 10}})
	var worded protocol.Refusal
	if !errors.Is(o.Err, federation.ErrRefused) || !errors.As(o.Err, &worded) || worded.Words().FR == worded.Words().EN {
		t.Fatal("a token for a stranger:", o.Err)
	}
	if o := do(t, s, 3, Command{At: now, AddToken: &AddToken{Secret: secret, Member: "membre-01", Until: now + 10}}); o.Err != nil {
		t.Fatal(o.Err)
	}
	enrol := func(index uint64, at protocol.Millis, secret, request protocol.Hash, certificate string) error {
		t.Helper()
		return do(t, s, index, Command{At: at, Enroll: &Enroll{Secret: secret, Request: request, Enrolment: enrolment(t, s, town, certificate)}}).Err
	}
	for i, step := range []struct {
		what            string
		at              protocol.Millis
		secret, request protocol.Hash
		want            error
	}{
		{"another secret", now, request, request, ErrToken},
		{"the first request", now + 1, secret, request, nil},
		{"another request", now + 2, secret, other, ErrToken},
		{"the same request again", now + 3, secret, request, nil},
		{"the same request too late", now + 11, secret, request, ErrToken},
	} {
		before := hashOf(t, s)
		if err := enrol(uint64(4+i), step.at, step.secret, step.request, step.what); !errors.Is(err, step.want) {
			t.Errorf("%s: %v", step.what, err)
		}
		if changed := hashOf(t, s) != before; changed == (step.want != nil) {
			t.Errorf("%s: the state changed: %v", step.what, changed)
		}
	}
	// A refused enrolment does not use a token up.
	second := protocol.HashOf([]byte("second"))
	do(t, s, 10, Command{At: now, AddToken: &AddToken{Secret: second, Member: "membre-01", Until: now + 10}})
	if o := do(t, s, 11, Command{At: now, Enroll: &Enroll{Secret: second, Request: request, Enrolment: []byte(`{}`)}}); o.Err == nil {
		t.Fatal("an enrolment that nobody signed")
	}
	if err := enrol(12, now, second, other, "after a refusal"); err != nil {
		t.Error("a token was used up by a refusal:", err)
	}
}

func TestSnapshotsRestoreTheSameState(t *testing.T) {
	s, town := founded(t)
	do(t, s, 2, Command{At: town.Now, AddToken: &AddToken{Secret: protocol.HashOf([]byte("x")), Member: "membre-02", Until: town.Now + 10}})
	image, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	other := empty(t)
	grown := other.Grown()
	if err := other.Restore(bytes.NewReader(image)); err != nil {
		t.Fatal(err)
	}
	<-grown
	if hashOf(t, s) != hashOf(t, other) {
		t.Fatal("the restored state is another one")
	}
	next := Command{At: town.Now, AddToken: &AddToken{Secret: protocol.HashOf([]byte("y")), Member: "membre-03", Until: town.Now + 10}}
	do(t, s, 3, next)
	if hashOf(t, s) == hashOf(t, other) {
		t.Fatal("a command changed nothing")
	}
	do(t, other, 3, next)
	if hashOf(t, s) != hashOf(t, other) {
		t.Fatal("the states part after a restore")
	}
	if err := other.Restore(brokenReader{}); err == nil || hashOf(t, s) != hashOf(t, other) {
		t.Fatal("a broken snapshot changed the state:", err)
	}
}

// An older version that finds a newer one's snapshot must not take it up.
func TestASnapshotOfNewerRulesStopsTheReplica(t *testing.T) {
	s, _ := founded(t)
	image, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	newer := bytes.ReplaceAll(image, []byte(`"rules":1`), []byte(`"rules":9`))
	if bytes.Equal(newer, image) {
		t.Fatal("no rules are in force")
	}
	defer func() {
		if words, _ := recover().(string); !strings.Contains(words, "upgrade") {
			t.Errorf("it goes on: %q", words)
		}
	}()
	err = empty(t).Restore(bytes.NewReader(newer))
	t.Error("it goes on:", err)
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("broken") }

func TestUnknownCommandsStopTheReplica(t *testing.T) {
	s := empty(t)
	for _, raw := range []string{``, `{}`, `{"at":1}`, `{"at":1,"song":{}}`, `{"at":1,"append":[{}],"add_token":{}}`, `{"at":1,"append":[]}`, `[]`} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q was applied", raw)
				}
			}()
			s.Apply(1, []byte(raw))
		}()
	}
}

// Replicas part if the state depends on anything but the commands.
func TestTheStateReadsNothingOfItsMachine(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(gotoken.NewFileSet(), e.Name(), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range file.Imports {
			switch path := strings.Trim(i.Path.Value, `"`); path {
			case "time", "os", "math/rand", "math/rand/v2", "crypto/rand", "maps", "runtime", "net":
				t.Errorf("%s imports %s", e.Name(), path)
			}
		}
	}
}

func FuzzDecodeCommand(f *testing.F) {
	for _, raw := range []string{`{"at":1,"append":[{"label":"ballot","document":{}}]}`, `{"at":1,"add_token":{}}`, `{}`} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := decodeCommand(raw)
		if err != nil {
			return
		}
		again, err := c.Encode()
		if err != nil {
			t.Skip() // a document that is not JSON cannot be written either
		}
		if _, err := decodeCommand(again); err != nil {
			t.Errorf("what was written does not read: %v", err)
		}
	})
}
