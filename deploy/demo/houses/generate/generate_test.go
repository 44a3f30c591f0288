package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"coulisse/deploy/demo/houses"
	"coulisse/node/identity"
	"coulisse/node/taxonomy"
)

// What is committed is what the generator writes: the golden figures and
// everything the documentation says of this public depend on it.
func TestCommittedExportsAreTheGenerated(t *testing.T) {
	folder := t.TempDir()
	if err := rewrite(folder); err != nil {
		t.Fatal(err)
	}
	for _, house := range houses.All() {
		generated, err := os.ReadFile(filepath.Join(folder, house.File))
		if err != nil {
			t.Fatal(err)
		}
		file, err := house.Open()
		if err != nil {
			t.Fatal(err)
		}
		committed, err := io.ReadAll(file)
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(generated, committed) {
			t.Errorf("%s is not what the generator writes; run: go run ./deploy/demo/houses/generate", house.File)
		}
	}
}

// Every identifier is given to one person only; without this the simple
// counting of package oracle would not be the truth.
func TestPeopleAreDistinct(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range inventPeople() {
		id := p.email
		if id == "" {
			id = p.phone
		}
		if id == "" || seen[id] || len(p.members) == 0 {
			t.Fatal("a person lacks an identifier or a member, or shares an identifier")
		}
		seen[id] = true
		if p.email != "" && p.phone != "" {
			if seen[p.phone] {
				t.Fatal("a telephone number has two owners")
			}
			seen[p.phone] = true
		}
	}
}

// Package oracle takes an address in lower case and ten digits for the person.
// The profile of the nodes must agree, or the comparison compares nothing.
func TestProfileTakesPeopleAsTheyAre(t *testing.T) {
	for _, p := range inventPeople() {
		if p.email != "" {
			if id, err := identity.Email(p.email); err != nil || id.Reveal() != p.email {
				t.Errorf("an invented address is not its own normal form: %v", err)
			}
		}
		if p.phone != "" {
			if id, err := identity.Phone(p.phone, "CA"); err != nil || id.Reveal() != "+1"+p.phone {
				t.Errorf("an invented telephone number is not accepted: %v", err)
			}
		}
	}
	for _, address := range append(roleAddresses, brokenAddresses...) {
		if _, err := identity.Email(address); err == nil {
			t.Errorf("%q is meant to be nobody, and is accepted", address)
		}
	}
}

func TestTaxonomyKnowsTheWords(t *testing.T) {
	codes := [disciplineCount]taxonomy.Code{
		contemporaryDance: "dance.contemporary", ballet: "dance.ballet", theatre: "theatre",
		classical: "music.classical", circus: "circus", comedy: "humour", song: "music.song",
		young: "theatre.young", jazz: "music.jazz",
	}
	for discipline, code := range codes {
		for _, word := range []string{french[discipline], english[discipline]} {
			if got, _ := taxonomy.Lookup(word); got != code {
				t.Errorf("%s: got %q, want %s", word, got, code)
			}
		}
	}
	for _, word := range unfiled {
		if code, ok := taxonomy.Lookup(word); ok {
			t.Errorf("%q is meant to be no discipline, and is %s", word, code)
		}
	}
}
