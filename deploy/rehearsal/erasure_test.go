package rehearsal_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"coulisse/crypto/oprf"
	"coulisse/crypto/seal"
	"coulisse/deploy/rehearsal"
	"coulisse/node"
	"coulisse/node/api"
	norm "coulisse/node/identity"
	"coulisse/node/importer"
	"coulisse/node/tokens"
	"coulisse/node/warehouse"
	"coulisse/protocol"
	"coulisse/protocol/federation"
)

const (
	erasedAddress = "claire.oubliee@courriel.example.org"
	erasedPhone   = "+15145550187"
	erasedPost    = "J7Z0Q9"
)

// TestErasure: somebody who bought at houses and reads the paper is in its
// warehouse, its tokens and the labels that it received. Once the paper has
// erased this person, no file of its node has the identifier, a hash of it, the
// token, or the number under a seal, and an old file does not bring it back.
func TestErasure(t *testing.T) {
	people := invent(1500, houses...)
	f := rehearsal.Found(t, append(slices.Clone(houses), "journal")...)
	paper := f.Members[len(f.Members)-1]
	for _, m := range f.Members[:len(f.Members)-1] {
		f.Import(m, importer.Tickets, people.tickets(m.ID)+erasedAddress+",77,Soir,Danse contemporaine,Salle,2026-03-05,2,40.00,yes,yes\n")
	}
	readers := "email,phone,postal_code,pooling,activation\n"
	for _, person := range people.reads {
		readers += address(person) + ",,,yes,yes\n"
	}
	readers += strings.ToUpper(erasedAddress) + ",514-555-0187," + erasedPost + ",yes,yes\n"
	f.Import(paper, importer.People, readers)
	prepare(f)
	id, end := run(t, f, audience())
	if end.Stage != federation.Closed {
		t.Fatalf("the round ended %s: %s", end.Stage, end.Reason.EN)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	page := shown(t, ctx, paper, id)
	// The engine's log has text as it is; its file compresses text, and what it
	// leaves in there is the matter of a test of package warehouse.
	logged := search(t, paper.Folder.Dir, identifiers())
	wanted := traces(t, f, paper, page)
	for name, found := range search(t, paper.Folder.Dir, wanted) {
		if !found && !logged[name] && !strings.Contains(name, "hash") {
			t.Errorf("before the erasure no file has %s: this test would find nothing", name)
		}
	}

	c := serve(t, paper)
	done, err := c.ErasePerson(ctx, page.Number)
	if err != nil || done.Stage != node.ErasureDone {
		t.Fatalf("the erasure is %s: %v", done.Stage, err)
	}
	checkReceipt(t, f, paper, done, id)
	gone(t, paper, wanted)
	checkOthers(t, ctx, paper, id)

	// A later export still has the person.
	f.Import(paper, importer.People, readers+"nouvelle@example.org,,,yes,yes\n")
	found, err := c.FindPeople(ctx, api.Search{Words: erasedAddress})
	if err != nil || len(found.People) != 0 || found.Erased == nil || found.Erased.Erasure != done.ID {
		t.Errorf("after another import: %+v, %v", found, err)
	}
	imports, err := c.Imports(ctx)
	if err != nil || !strings.Contains(string(imports[0].Report), `"erased"`) {
		t.Errorf("the report does not count the row that was left out: %v", err)
	}
	gone(t, paper, wanted)
	f.StopNode(paper) // the engine's last words to its file
	gone(t, paper, wanted)
}

// shown finds the person and everything that is held.
func shown(t *testing.T, ctx context.Context, m *rehearsal.Member, id protocol.RoundID) node.PersonPage {
	t.Helper()
	for _, words := range []string{erasedAddress, strings.ToUpper(erasedAddress), "514 555 0187"} {
		found, err := m.Node.FindPeople(ctx, words, "CA")
		if err != nil || len(found.People) != 1 || found.People[0].PostalCode != erasedPost {
			t.Fatalf("%d people were found: %v", len(found.People), err)
		}
	}
	found, _ := m.Node.FindPeople(ctx, erasedAddress, "")
	page, err := m.Node.Person(ctx, found.People[0].Number)
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Tokens) != 1 || len(page.Audiences) != 1 || page.Audiences[0].Round != id || len(page.Imports) != 1 {
		t.Fatalf("%d tokens, %d audiences, %d imports", len(page.Tokens), len(page.Audiences), len(page.Imports))
	}
	return page
}

func identifiers() map[string][]byte {
	return map[string][]byte{
		"the address": []byte(erasedAddress), "the telephone": []byte(erasedPhone), "the postal code": []byte(erasedPost),
	}
}

// traces are what must not be anywhere afterwards, by name. What lies under a
// seal is looked for under it.
func traces(t *testing.T, f *rehearsal.Federation, m *rehearsal.Member, page node.PersonPage) map[string][]byte {
	t.Helper()
	wanted := map[string][]byte{
		"the token":                       tokenOf(t, f, m, page),
		"the number, as it is sealed":     binary.BigEndian.AppendUint64(nil, uint64(page.Number)),
		"the hash: address in upper case": []byte(strings.ToUpper(erasedAddress)),
		"the hash: local part":            []byte(strings.Split(erasedAddress, "@")[0]),
	}
	maps.Copy(wanted, identifiers())
	email, err := norm.Email(erasedAddress)
	if err != nil {
		t.Fatal(err)
	}
	for of, text := range map[string]string{
		"address": erasedAddress, "ADDRESS": strings.ToUpper(erasedAddress), "telephone": erasedPhone, "digits": erasedPhone[1:],
		"input": string(norm.OPRFInput(rehearsal.Charter().Namespace, page.Tokens[0], email)),
	} {
		md, s1, s2, s5 := md5.Sum([]byte(text)), sha1.Sum([]byte(text)), sha256.Sum256([]byte(text)), sha512.Sum512([]byte(text))
		for kind, sum := range map[string][]byte{"md5": md[:], "sha1": s1[:], "sha256": s2[:], "sha512": s5[:]} {
			wanted[fmt.Sprintf("the hash %s of %s", kind, of)] = sum
			wanted[fmt.Sprintf("the hash %s of %s, in hexadecimal", kind, of)] = []byte(hex.EncodeToString(sum))
		}
	}
	return wanted
}

// tokenOf reads the person's token where the node keeps it.
func tokenOf(t *testing.T, f *rehearsal.Federation, m *rehearsal.Member, page node.PersonPage) (token []byte) {
	t.Helper()
	f.StopNode(m)
	defer f.StartNode(m)
	own, err := seal.LoadIdentity(filepath.Join(m.Folder.Dir, "identity.agekey"))
	if err != nil {
		t.Fatal(err)
	}
	cache, err := tokens.OpenCache(filepath.Join(m.Folder.Dir, "tokens"), own, page.Tokens[0])
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	only := func(yield func(warehouse.PersonID, error) bool) { yield(page.Number, nil) }
	err = cache.Select(t.Context(), only, func(_ warehouse.PersonID, found *oprf.Token) error {
		token = bytes.Clone(found[:])
		return nil
	})
	if err != nil || token == nil {
		t.Fatalf("no token: %v", err)
	}
	return token
}

// search reads every file of a node, and what is sealed for the node also under
// its seal, and says which traces any of them has. Numbers are looked for under
// seals only: elsewhere eight bytes mean many things.
func search(t *testing.T, dir string, wanted map[string][]byte) map[string]bool {
	t.Helper()
	own, err := seal.LoadIdentity(filepath.Join(dir, "identity.agekey"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for name := range wanted {
		found[name] = false
	}
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		opened := unsealed(content, own)
		for name, trace := range wanted {
			sealed := strings.Contains(name, "sealed")
			if !sealed && bytes.Contains(content, trace) || bytes.Contains(opened, trace) && (!sealed || strings.Contains(path, "labels") || strings.Contains(path, "run-")) {
				found[name] = true
				t.Logf("%s has %s", filepath.Base(path), name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// unsealed is what is under a seal, or nothing.
func unsealed(content []byte, own *seal.Identity) []byte {
	r, err := seal.NewReader(bytes.NewReader(content), own)
	if err != nil {
		return nil
	}
	plain, _ := io.ReadAll(r)
	return plain
}

func gone(t *testing.T, m *rehearsal.Member, wanted map[string][]byte) {
	t.Helper()
	for name, found := range search(t, m.Folder.Dir, wanted) {
		if found {
			t.Errorf("after the erasure a file has %s", name)
		}
	}
}

// checkReceipt: anybody who knows the member's key can tell that it is the
// member's, and that nobody is named in it.
func checkReceipt(t *testing.T, f *rehearsal.Federation, m *rehearsal.Member, done node.Erasure, id protocol.RoundID) {
	t.Helper()
	receipt, err := protocol.Open(f.ID, *done.Receipt, m.Folder.Card.Node)
	if err != nil {
		t.Fatal(err)
	}
	removed := map[string]int64{}
	for _, r := range receipt.Removed {
		removed[r.Place] = r.Count
	}
	if removed["identities"] != 2 || removed["people"] != 1 || removed["consents"] != 2 || removed["tokens"] != 1 || removed["labels"] != 1 {
		t.Errorf("it says that it removed %v", removed)
	}
	if len(receipt.Audiences) != 1 || receipt.Audiences[0].Round != id || !slices.Equal(receipt.Audiences[0].Recipients, []protocol.MemberID{m.ID}) {
		t.Errorf("it names the audiences %v", receipt.Audiences)
	}
}

// checkOthers: everybody else keeps label and token.
func checkOthers(t *testing.T, ctx context.Context, m *rehearsal.Member, id protocol.RoundID) {
	t.Helper()
	page, err := m.Node.Round(ctx, string(id))
	if err != nil || page.People == nil || *page.People == 0 {
		t.Errorf("the other labels: %v", err)
	}
	s, err := m.Node.Status(ctx)
	if err != nil || s.Tokens.Done != s.Tokens.Total || s.Tokens.Total == 0 {
		t.Errorf("%d tokens of %d: %v", s.Tokens.Done, s.Tokens.Total, err)
	}
}

// TestRectification: a corrected address is another token. The old address and
// its token are in no file any more, also if the process ends in between.
func TestRectification(t *testing.T) {
	f := rehearsal.Found(t, houses[:3]...)
	m := f.Members[0]
	f.Import(m, importer.People, "email,phone,postal_code,pooling,activation\n"+
		erasedAddress+",514-555-0187,"+erasedPost+",yes,yes\npaul@example.org,,,yes,yes\n")
	f.Decide(protocol.Effect{ElectStewards: &protocol.StewardRoll{Members: houses[:3], Threshold: 2}})
	complete := func() {
		t.Helper()
		f.Eventually("everybody's token", func() bool {
			s, err := m.Node.Status(t.Context())
			return err == nil && s.Tokens.Total == 2 && s.Tokens.Done == 2
		})
	}
	complete()
	found, err := m.Node.FindPeople(t.Context(), erasedAddress, "")
	if err != nil {
		t.Fatal(err)
	}
	page, err := m.Node.Person(t.Context(), found.People[0].Number)
	if err != nil {
		t.Fatal(err)
	}
	wanted := map[string][]byte{"the address": []byte(erasedAddress), "the token": tokenOf(t, f, m, page)}
	done, err := m.Node.Rectify(t.Context(), page.Number, node.Correction{Email: "claire@courriel.example.com"})
	if err != nil || !done.Renamed || done.Number != page.Number {
		t.Fatalf("renamed: %t, %v", done.Renamed, err)
	}
	gone(t, m, wanted)
	complete()
	gone(t, m, wanted)
	if again := tokenOf(t, f, m, page); bytes.Equal(again, wanted["the token"]) {
		t.Error("another address has the same token")
	}
	complete() // with the node as tokenOf started it
}
