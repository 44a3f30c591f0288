package houses_test

import (
	"bytes"
	"io"
	"regexp"
	"testing"

	"coulisse/deploy/demo/houses"
)

func read(t *testing.T, house houses.House) []byte {
	t.Helper()
	file, err := house.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	content, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// The package is read by a federation that refuses malformed names.
func TestMembersAreWellFormed(t *testing.T) {
	seen := map[string]bool{}
	for _, house := range houses.All() {
		for _, err := range []error{house.ID.Check(), house.Name.Check(), house.Kind.Check()} {
			if err != nil {
				t.Errorf("%s: %v", house.ID, err)
			}
		}
		if house.City == "" || seen[string(house.ID)] || seen[house.File] {
			t.Errorf("%s: a member needs a city, and an identifier and a file of its own", house.ID)
		}
		seen[string(house.ID)], seen[house.File] = true, true
	}
}

// A repository and a binary carry these files: they stay small.
func TestExportsStaySmall(t *testing.T) {
	const most = 6_000_000
	total := 0
	for _, house := range houses.All() {
		total += len(read(t, house))
	}
	if total > most {
		t.Errorf("the exports take %d bytes, more than %d: drop columns, not people", total, most)
	}
}

var (
	domain   = regexp.MustCompile(`@([A-Za-z0-9.-]+)`)
	reserved = regexp.MustCompile(`(?i)^(example\.(com|net|org)|([a-z0-9-]+\.)+(example|test))$`)
	phone    = regexp.MustCompile(`(?:^|[^0-9])(?:\+1|\()?[2-9][0-9]{2}[-.) ]{0,2}([0-9]{3})[-. ]?([0-9]{4})(?:[^0-9]|$)`)
	fiction  = regexp.MustCompile(`^01[0-9]{2}$`)
)

// Nobody's real address or telephone may ever be in here: RFC 2606 and RFC 6761
// reserve the domains, and the numbering plan keeps 555-0100 to 555-0199.
// The bytes are searched without decoding, so that no decoder hides anything.
func TestEverybodyIsFictional(t *testing.T) {
	domains, phones := 0, 0
	for _, house := range houses.All() {
		content := bytes.ReplaceAll(read(t, house), []byte{0}, nil) // UTF-16 as ASCII
		for _, match := range domain.FindAllSubmatch(content, -1) {
			domains++
			if !reserved.Match(match[1]) && !bytes.Equal(match[1], nil) {
				t.Errorf("%s: an address is under a domain that is not reserved", house.ID)
			}
		}
		for _, match := range phone.FindAllSubmatch(content, -1) {
			phones++
			if string(match[1]) != "555" || !fiction.Match(match[2]) {
				t.Errorf("%s: a telephone number is outside 555-0100 to 555-0199", house.ID)
			}
		}
	}
	if domains < 40_000 || phones < 500 {
		t.Errorf("found %d addresses and %d telephone numbers: the search no longer sees them", domains, phones)
	}
}
