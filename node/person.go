package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"coulisse/node/identity"
	"coulisse/node/warehouse"
	"coulisse/protocol"
)

// What a person may ask of the member: to see everything, to have it corrected,
// taken along or erased. Nothing here leaves the node, and no error holds an
// identifier.

// ErrNobody: the words of a search are no identifier, order or number that the
// store has.
var ErrNobody = errors.New("nobody was found")

// Identity is how a person is reached, for the member.
type Identity struct {
	Kind      identity.Kind `json:"kind"`
	Value     string        `json:"value"`
	Principal bool          `json:"principal"`
}

// PersonLine is somebody whom a search found.
type PersonLine struct {
	Number     warehouse.PersonID `json:"number"`
	Identities []Identity         `json:"identities"`
	PostalCode string             `json:"postal_code,omitempty"`
}

// FoundPeople is what a search found.
type FoundPeople struct {
	People []PersonLine `json:"people"`
	// Erased is set when the words are an identifier that was erased here.
	Erased *ErasedNote `json:"erased,omitempty"`
}

// FindPeople looks for people by an address, a telephone, the code of an order
// or an account, or "#" and a number. Telephones without a country code are
// read as of the region.
func (h *House) FindPeople(ctx context.Context, words, region string) (FoundPeople, error) {
	t := traitsOf(words, region)
	found := FoundPeople{People: []PersonLine{}, Erased: h.erased.find(namesOf(t)...)}
	ids, err := h.warehouse.Find(ctx, t)
	if err != nil {
		return found, err
	}
	for _, id := range ids {
		held, err := h.warehouse.Held(ctx, id)
		if errors.Is(err, warehouse.ErrNoPerson) {
			continue // erased meanwhile
		}
		if err != nil {
			return found, err
		}
		line, err := personLine(id, held)
		if err != nil {
			return found, err
		}
		found.People = append(found.People, line)
	}
	if len(found.People) == 0 && found.Erased == nil {
		return found, ErrNobody
	}
	return found, nil
}

// traitsOf reads the words of a search in every way that they can be read.
func traitsOf(words, region string) (t warehouse.Traits) {
	words = strings.TrimSpace(words)
	if digits, only := strings.CutPrefix(words, "#"); only {
		t.Number = numberOf(digits)
		return t
	}
	t.Number, t.Text = numberOf(words), words
	t.Email, _ = identity.Email(words) // the zero value names nobody
	t.Phone, _ = identity.Phone(words, region)
	return t
}

// namesOf are the names that the words of a search may be.
func namesOf(t warehouse.Traits) (names []name) {
	if !t.Email.IsZero() {
		names = append(names, nameOf(t.Email))
	}
	if !t.Phone.IsZero() {
		names = append(names, nameOf(t.Phone))
	}
	if t.Text != "" {
		names = append(names, name{kindAccount, t.Text})
	}
	return names
}

// kindAccount is the kind of an identity that is no identifier of norm/1: the
// number of an account at the member.
const kindAccount = "account"

func numberOf(digits string) warehouse.PersonID {
	number, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || number < 1 {
		return 0 // nobody's
	}
	return warehouse.PersonID(number)
}

func personLine(id warehouse.PersonID, held []warehouse.Held) (PersonLine, error) {
	line := PersonLine{Number: id, Identities: []Identity{}}
	for _, t := range held {
		for _, row := range t.Rows {
			var err error
			switch t.Table {
			case "identities":
				var i Identity
				err = json.Unmarshal(row, &i)
				line.Identities = append(line.Identities, i)
			case "people":
				var p struct {
					PostalCode string `json:"postal_code"`
				}
				err = json.Unmarshal(row, &p)
				line.PostalCode = p.PostalCode
			}
			if err != nil {
				return line, fmt.Errorf("read a row of %s", t.Table) // the row is not shown
			}
		}
	}
	slices.SortFunc(line.Identities, func(a, b Identity) int {
		if a.Principal != b.Principal {
			return map[bool]int{true: -1, false: 1}[a.Principal]
		}
		return strings.Compare(a.Value, b.Value)
	})
	return line, nil
}

// PersonPage is everything that the node holds of a person.
type PersonPage struct {
	PersonLine
	// Held is the rows, table by table, as the schema of the warehouse
	// documents them.
	Held    []warehouse.Held   `json:"held"`
	Imports []warehouse.Import `json:"imports"` // from which the rows came
	// Segments are those of the member's own that the person is in now.
	Segments []string `json:"segments"`
	// Tokens are the key epochs under which the person has a token, which
	// nobody outside the node has.
	Tokens []protocol.Epoch `json:"tokens"`
	// Audiences are the pooled audiences whose labels, kept here, name the person.
	Audiences []PersonAudience `json:"audiences"`
}

// PersonAudience names a pooled audience.
type PersonAudience struct {
	Round protocol.RoundID `json:"round"`
	Title protocol.Text    `json:"title"`
}

// Person is the page of somebody.
func (h *House) Person(ctx context.Context, id warehouse.PersonID) (PersonPage, error) {
	page := PersonPage{Imports: []warehouse.Import{}, Segments: []string{}, Tokens: []protocol.Epoch{}, Audiences: []PersonAudience{}}
	var err error
	if page.Held, err = h.warehouse.Held(ctx, id); err != nil {
		return page, err
	}
	if page.PersonLine, err = personLine(id, page.Held); err != nil {
		return page, err
	}
	if page.Imports, err = h.importsOf(ctx, page.Held); err != nil {
		return page, err
	}
	if page.Segments, err = h.segmentsOf(ctx, id); err != nil {
		return page, err
	}
	if h.pool != nil {
		page.Tokens, page.Audiences, err = h.pool.holds(ctx, id)
	}
	return page, err
}

// importsOf finds the files that rows came from.
func (h *House) importsOf(ctx context.Context, held []warehouse.Held) ([]warehouse.Import, error) {
	named := map[string]bool{}
	for _, t := range held {
		if !slices.Contains(t.Columns, "import") {
			continue
		}
		for _, row := range t.Rows {
			var from struct {
				Import string `json:"import"`
			}
			if json.Unmarshal(row, &from) == nil {
				named[from.Import] = true
			}
		}
	}
	all, err := h.warehouse.Imports(ctx)
	return slices.DeleteFunc(all, func(i warehouse.Import) bool { return !named[string(i.ID)] }), err
}

func (h *House) segmentsOf(ctx context.Context, id warehouse.PersonID) ([]string, error) {
	in := []string{}
	segments, err := h.segments.List(ctx)
	for _, s := range segments {
		fits, err := h.warehouse.Fits(ctx, s.Definition, protocol.PurposePooling, id)
		if err != nil {
			return in, err
		}
		if fits {
			in = append(in, s.Definition.Name)
		}
	}
	return in, err
}

// Correction is what is to be right about a person, as people write it; what is
// empty stays.
type Correction struct {
	PostalCode string `json:"postal_code,omitempty"`
	Email      string `json:"email,omitempty"`
	Phone      string `json:"phone,omitempty"`
	Region     string `json:"region,omitempty"` // of a telephone without a country code
}

// Rectified says what a correction did.
type Rectified struct {
	PersonLine
	// Renamed: the identifier that stands for the person is another, so the old
	// token was deleted, and a new one is made and counts towards the allowance.
	Renamed bool `json:"renamed"`
}

// Rectify corrects what is held of a person. An identifier that was replaced is
// gone from the node's files when it returns.
func (h *House) Rectify(ctx context.Context, id warehouse.PersonID, c Correction) (Rectified, error) {
	var done Rectified
	right, err := c.read()
	if err != nil {
		return done, err
	}
	h.erasing.Lock()
	defer h.erasing.Unlock()
	rename := newErasure(id, erasureOfName)
	if c.Email != "" || c.Phone != "" {
		if err := h.keepErasure(rename); err != nil {
			return done, err
		}
	}
	if done.Renamed, err = h.warehouse.Rectify(ctx, id, right); err != nil {
		return done, errors.Join(err, h.forgetErasure(rename))
	}
	if c.Email != "" || c.Phone != "" {
		if err := h.eraseName(ctx, rename); err != nil && !errors.Is(err, warehouse.ErrBusy) { // then the node goes on by itself
			return done, err
		}
	}
	held, err := h.warehouse.Held(ctx, id)
	if err == nil {
		done.PersonLine, err = personLine(id, held)
	}
	return done, err
}

// read normalises a correction. A refusal is an [identity.Reason].
func (c Correction) read() (right warehouse.Correction, err error) {
	right.PostalCode = c.PostalCode
	if len(c.PostalCode) > maxPostalCode {
		return right, protocol.Refuse(protocol.ErrMalformed, "ce code postal est trop long", "this postal code is too long")
	}
	if c.Email != "" {
		if right.Email, err = identity.Email(c.Email); err != nil {
			return right, refusedIdentifier(err)
		}
	}
	if c.Phone != "" {
		if right.Phone, err = identity.Phone(c.Phone, c.Region); err != nil {
			return right, refusedIdentifier(err)
		}
	}
	return right, nil
}

const maxPostalCode = 32

// refusedIdentifier passes the reason on, which says what to do.
func refusedIdentifier(err error) error {
	var reason identity.Reason
	if errors.As(err, &reason) {
		words := reason.Text()
		return protocol.Refuse(protocol.ErrMalformed, "%[1]s", "%[2]s", strings.TrimSuffix(words.FR, "."), strings.TrimSuffix(words.EN, "."))
	}
	return err
}
