package checkpoint

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"coulisse/crypto/key"
	"coulisse/protocol"
	. "coulisse/protocol/federation/federationtest"

	"golang.org/x/mod/sumdb/note"
)

var noon = time.Unix(1_763_900_000, 0)

// signed is a checkpoint of a town's log, and the same with a member's
// cosignature.
func signed(t testing.TB, town *Town) (plain, cosigned []byte) {
	t.Helper()
	o := OriginOf(town.View())
	plain, err := Sign(o, town.Head(), town.Replica)
	town.Must(err)
	c, err := Open(plain, town.View())
	town.Must(err)
	cosigned, err = c.Cosign(o, town.Members[1].ID, town.Members[1].Node, noon)
	town.Must(err)
	return plain, cosigned
}

// The library that others use verifies what we sign, with the key that we
// print.
func TestOthersVerifyIt(t *testing.T) {
	town := Found(t, 3)
	_, raw := signed(t, town)
	v, err := note.NewVerifier(ReplicaKeys(town.View())[0].VKey)
	town.Must(err)
	n, err := note.Open(raw, note.VerifierList(v))
	if err != nil || len(n.Sigs) != 1 || len(n.UnverifiedSigs) != 1 {
		t.Fatal(err)
	}
	root := town.Head().Root
	want := fmt.Sprintf("coulisse/ville/%s\n1\n%s\n", town.Federation, base64.StdEncoding.EncodeToString(root[:]))
	if n.Text != want {
		t.Errorf("the text is %q", n.Text)
	}
}

// A cosignature, taken apart as tlog-cosignature says.
func TestCosignatureByTheBook(t *testing.T) {
	town := Found(t, 3)
	_, raw := signed(t, town)
	text, lines, _ := strings.Cut(string(raw), "\n\n")
	line := strings.Split(lines, "\n")[1]
	fields := strings.Fields(line)
	name := fmt.Sprintf("coulisse/ville/%s/membre-02", town.Federation)
	if fields[0] != "—" || fields[1] != name {
		t.Fatalf("the line is %q", line)
	}
	sig, err := base64.StdEncoding.DecodeString(fields[2])
	town.Must(err)
	vkey := strings.Split(CosignerKeys(town.View())[1].VKey, "+")
	public, err := base64.StdEncoding.DecodeString(strings.Join(vkey[2:], "+"))
	town.Must(err)
	if len(sig) != 4+8+64 || vkey[0] != name || fmt.Sprintf("%x", sig[:4]) != vkey[1] || public[0] != 4 {
		t.Fatal("the signature or the key has another form")
	}
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s\n", binary.BigEndian.Uint64(sig[4:]), text)
	if !ed25519.Verify(public[1:], []byte(message), sig[12:]) {
		t.Error("it does not verify")
	}
	c, err := Open(raw, town.View())
	if s, ok := c.Cosigner("membre-02"); err != nil || !ok || s.At.Time().Unix() != noon.Unix() {
		t.Error(err, c.Cosigned)
	}
	if _, ok := c.Cosigner("membre-01"); ok || c.Replicas[0] != ReplicaID || c.Head != town.Head() {
		t.Errorf("%+v", c)
	}
}

func TestOpenRefuses(t *testing.T) {
	town, other := Found(t, 3), Found(t, 3)
	plain, raw := signed(t, town)
	foreign, _ := signed(t, other)
	o := OriginOf(town.View())
	as := func(text string) []byte {
		signed, err := note.Sign(&note.Note{Text: text}, signer[key.Replica]{replicaKey(o, town.Replica.Public()), town.Replica.Sign})
		town.Must(err)
		return signed
	}
	text, _, _ := strings.Cut(string(plain), "\n\n")
	root := strings.Split(text, "\n")[2]
	_, byReplica, _ := strings.Cut(string(raw), "\n\n")
	cosignature := strings.SplitAfter(byReplica, "\n")[1]
	for name, bad := range map[string][]byte{
		"nothing":              nil,
		"another federation's": foreign,
		"another size":         bytes.Replace(plain, []byte("\n1\n"), []byte("\n2\n"), 1),
		"a cosignature alone":  []byte(text + "\n\n" + cosignature),
		"a bad cosignature":    bytes.Replace(raw, []byte(cosignature[len(cosignature)-12:]), []byte("AAAAAAAAAA==\n")[1:], 1),
		"an extension":         as(text + "\nmore\n"),
		"a leading zero":       as(fmt.Sprintf("%s\n01\n%s\n", o, root)),
		"an empty log":         as(fmt.Sprintf("%s\n0\n%s\n", o, root)),
		"a negative size":      as(fmt.Sprintf("%s\n-1\n%s\n", o, root)),
		"an enormous size":     as(fmt.Sprintf("%s\n9007199254740992\n%s\n", o, root)),
		"a number and more":    as(fmt.Sprintf("%s\n1x\n%s\n", o, root)),
		"half a root":          as(fmt.Sprintf("%s\n1\n%s\n", o, root[:20])),
		"another origin":       as("example.org/log\n1\n" + root + "\n"),
		"two lines":            as(string(o) + "\n1\n"),
		"far too much":         bytes.Repeat([]byte{'x'}, MaxNote+1),
	} {
		if _, err := Open(bad, town.View()); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Sign(o, protocol.Head{}, town.Replica); !errors.Is(err, protocol.ErrMalformed) {
		t.Error("an empty log is stated:", err)
	}
}

// Whoever left cosigns no more, and strangers' lines are left out.
func TestWhoseSignaturesCount(t *testing.T) {
	town := Found(t, 4)
	_, raw := signed(t, town)
	stranger, err := key.Generate[key.Node]()
	town.Must(err)
	c, err := Open(raw, town.View())
	town.Must(err)
	raw, err = c.Cosign(OriginOf(town.View()), "inconnu", stranger, noon)
	town.Must(err)
	c, err = Open(raw, town.View())
	if err != nil || len(c.Cosigned) != 1 {
		t.Fatal(err, c.Cosigned)
	}
	if strings.Contains(c.With(c.Cosigned).String(), "inconnu") {
		t.Error("a stranger's line was passed on")
	}
}

// All cosign, however many; others are given as many as their tools read.
func TestManyCosigners(t *testing.T) {
	town := Found(t, 150)
	o := OriginOf(town.View())
	plain, _ := signed(t, town)
	c, err := Open(plain, town.View())
	town.Must(err)
	var all []Cosignature
	for i, m := range town.Members {
		raw, err := c.Cosign(o, m.ID, m.Node, noon.Add(-time.Duration(i)*time.Second))
		town.Must(err)
		one, err := Open(raw, town.View())
		town.Must(err)
		all = append(all, one.Cosigned...)
	}
	raw := c.With(all).String()
	full, err := Open([]byte(raw), town.View())
	if err != nil || len(full.Cosigned) != 150 || full.String() != raw || len(raw) > MaxNote {
		t.Fatal(err, len(full.Cosigned), len(raw))
	}
	if _, err := note.Open([]byte(raw), keysOf(town.View())); err == nil {
		t.Error("tools read more than a hundred: Short is not needed any more")
	}
	short, err := note.Open([]byte(full.Short()), keysOf(town.View()))
	if err != nil || len(short.Sigs) != maxSignatures || short.Sigs[0].Name != string(o) {
		t.Fatal(err)
	}
	again, err := Open([]byte(full.Short()), town.View())
	if err != nil || len(again.Cosigned) != 99 {
		t.Fatal(err)
	}
	for _, s := range again.Cosigned { // the earliest
		if s.At <= protocol.At(noon.Add(-51*time.Second)) {
			continue
		}
		t.Error("a later one was taken:", s.Member)
	}
	manyByTheBook(t, town, full, all)
}

// manyByTheBook looks at what is beyond the first hundred.
func manyByTheBook(t *testing.T, town *Town, full Checkpoint, all []Cosignature) {
	t.Helper()
	raw, o := full.String(), OriginOf(town.View())
	// The hundred-and-first is verified like the first.
	last := all[149].line.Base64
	if _, err := Open([]byte(strings.Replace(raw, last[20:40], last[24:44], 1)), town.View()); !errors.Is(err, ErrCheckpoint) {
		t.Error("a wrong cosignature at the end:", err)
	}
	if one, err := Open(full.Only("membre-150"), town.View()); err != nil || len(one.Cosigned) != 1 || one.Cosigned[0].Member != "membre-150" {
		t.Error(err)
	}
	// A member cosigns again, beside all the others.
	raw2, err := full.Cosign(o, "membre-150", town.Members[149].Node, noon)
	town.Must(err)
	if c, err := Open(raw2, town.View()); err != nil || len(c.Cosigned) != 150 {
		t.Error(err)
	}
}

func FuzzOpen(f *testing.F) {
	town := Found(f, 3)
	plain, raw := signed(f, town)
	f.Add(plain)
	f.Add(raw)
	f.Add([]byte("a\n1\nb\n\n— c AAAAAAA=\n"))
	view, head := town.View(), town.Head()
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := Open(raw, view)
		if err != nil {
			return
		}
		if c.Head != head {
			t.Fatal("a head that was never signed")
		}
		for _, again := range []string{c.String(), c.With(c.Cosigned).String(), c.Short()} {
			if _, err := Open([]byte(again), view); err != nil {
				t.Fatal(err)
			}
		}
	})
}
