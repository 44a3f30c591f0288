package archive

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/checkpoint"
	"coulisse/protocol/federation"
	. "coulisse/protocol/federation/federationtest"
)

// stated is a checkpoint of a town's log with one member's cosignature.
func stated(t testing.TB, town *Town) checkpoint.Checkpoint {
	t.Helper()
	o := checkpoint.OriginOf(town.View())
	note, err := checkpoint.Sign(o, town.Head(), town.Replica)
	town.Must(err)
	c, err := checkpoint.Open(note, town.View())
	town.Must(err)
	note, err = c.Cosign(o, town.Members[0].ID, town.Members[0].Node, time.Unix(1_763_900_000, 0))
	town.Must(err)
	c, err = checkpoint.Open(note, town.View())
	town.Must(err)
	return c
}

func copied(t testing.TB, town *Town, c checkpoint.Checkpoint) []byte {
	t.Helper()
	var b bytes.Buffer
	town.Must(Write(&b, c, func(fn func(federation.Tx) error) error { return fn(&town.Log) }))
	return b.Bytes()
}

func voted(t testing.TB) *Town {
	t.Helper()
	town := Found(t, 3)
	town.Decide(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 5}})
	return town
}

func TestACopyVerifies(t *testing.T) {
	town := voted(t)
	c := stated(t, town)
	for _, later := range []bool{false, true} {
		if later { // what came after the checkpoint is in it as well
			town.Open(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 6}})
		}
		s, log, err := Read(bytes.NewReader(copied(t, town, c)), town.Federation)
		if err != nil || s.Checkpoint.Head != c.Head || s.View.Decisions != 1 || len(s.Checkpoint.Cosigned) != 1 || s.At == 0 {
			t.Fatalf("%+v, %v", s, err)
		}
		if head, err := federation.Head(log); err != nil || head != town.Head() || head != s.Head {
			t.Fatalf("the log's head is %+v: %v", head, err)
		}
	}
}

func TestAlteredCopies(t *testing.T) {
	town := voted(t)
	c := stated(t, town)
	good := string(copied(t, town, c))
	lines := strings.SplitAfter(strings.TrimSuffix(good, "\n"), "\n")
	other := Found(t, 3)
	for name, bad := range map[string]string{
		"nothing":                "",
		"a checkpoint alone":     lines[0],
		"an entry left out":      strings.Join(append(append([]string{}, lines[:3]...), lines[4:]...), ""),
		"the last one left out":  strings.Join(lines[:len(lines)-1], ""),
		"cut within a line":      good[:len(good)-10],
		"a line too many":        good + "\n",
		"a ballot turned":        strings.Replace(good, `"choice":"for"`, `"choice":"against"`, 1),
		"spelled otherwise":      strings.Replace(good, `"at":`, ` "at":`, 1),
		"another form":           strings.Replace(good, Format, "coulisse-log/2", 1),
		"no signature":           strings.Replace(good, "\u2014 coulisse/ville", "\u2014 example.org", 1),
		"another's":              string(copied(t, other, stated(t, other))),
		"another checkpoint":     string(bytes.Replace(copied(t, town, c), []byte(lines[0]), firstLine(t, other), 1)),
		"an endless first line":  strings.Repeat("x", maxHeader+2),
		"another extent":         strings.Replace(good, `"covered":`, `"covered":1`, 1),
		"an endless second line": lines[0] + strings.Repeat("x", maxGenesis+2),
	} {
		if _, err := Verify(strings.NewReader(bad), town.Federation); !errors.Is(err, ErrArchive) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func firstLine(t *testing.T, town *Town) []byte {
	t.Helper()
	line, _, _ := bytes.Cut(copied(t, town, stated(t, town)), []byte("\n"))
	return append(line, '\n')
}

func TestProofs(t *testing.T) {
	town := voted(t)
	c := stated(t, town)
	for seq := range c.Head.Size {
		p, err := Prove(&town.Log, seq, c)
		town.Must(err)
		s, err := p.Verify(town.Federation)
		if err != nil || s.Checkpoint.Head != c.Head || s.At != town.Entries[seq].At {
			t.Fatal(seq, err)
		}
	}
	for _, seq := range []int64{-1, c.Head.Size} {
		if _, err := Prove(&town.Log, seq, c); !errors.Is(err, federation.ErrNotFound) {
			t.Error(seq, err)
		}
	}
	p, err := Prove(&town.Log, 3, c)
	town.Must(err)
	other := Found(t, 3)
	for name, alter := range map[string]func(*Proof){
		"another form":       func(p *Proof) { p.Format = "x" },
		"another place":      func(p *Proof) { p.Entry.Entry.Seq = 2 },
		"another time":       func(p *Proof) { p.Entry.Entry.At++ },
		"another entry":      func(p *Proof) { p.Entry.Entry = town.Entries[2] },
		"no path":            func(p *Proof) { p.Entry.Path = nil },
		"another genesis":    func(p *Proof) { p.Genesis.Entry = other.Entries[0] },
		"no genesis":         func(p *Proof) { p.Genesis.Entry = town.Entries[1] },
		"genesis not proven": func(p *Proof) { p.Genesis.Path = nil },
		"another checkpoint": func(p *Proof) { p.Checkpoint = stated(t, other).String() },
	} {
		bad := p
		alter(&bad)
		if _, err := bad.Verify(town.Federation); !errors.Is(err, ErrArchive) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := p.Verify(other.Federation); !errors.Is(err, ErrArchive) {
		t.Error("another federation:", err)
	}
}

func FuzzVerify(f *testing.F) {
	town := Found(f, 3)
	c := stated(f, town)
	f.Add(copied(f, town, c))
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := Verify(bytes.NewReader(raw), town.Federation)
		if err == nil && s.Checkpoint.Head != c.Head {
			t.Fatal("a log that was never signed")
		}
	})
}

func FuzzProof(f *testing.F) {
	town := voted(f)
	c := stated(f, town)
	p, err := Prove(&town.Log, 2, c)
	town.Must(err)
	raw, err := protocol.Canonical(p)
	town.Must(err)
	f.Add([]byte(raw))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := protocol.DecodeFile[Proof](raw)
		if err != nil {
			return
		}
		if s, err := p.Verify(town.Federation); err == nil && (s.Checkpoint.Head != c.Head || s.At != town.Entries[p.Entry.Entry.Seq].At) {
			t.Fatal("what was never in the log is proven")
		}
	})
}
