package oracle

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"coulisse/deploy/demo/houses"
	"coulisse/protocol"
)

// layout says how one export is written. Columns count from 1, zero is none.
type layout struct {
	encoding   encoding.Encoding
	separator  rune
	headings   int // which line has them, empty lines aside
	email      int
	phone      int
	discipline int
	quantity   int
	pooling    int
	activation int
	yes        string
}

var layouts = map[protocol.MemberID]layout{
	"grand-confluent":     {unicode.UTF8, ',', 1, 2, 3, 6, 9, 11, 12, "yes"},
	"theatre-anse-grise":  {charmap.Windows1252, ';', 1, 1, 2, 5, 8, 11, 12, "oui"},
	"agora-mouvante":      {unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM), '\t', 1, 2, 0, 4, 6, 8, 9, "1"},
	"moulin-vert":         {unicode.UTF8BOM, ';', 3, 2, 3, 6, 9, 11, 12, "O"},
	"chapiteau-lucioles":  {charmap.Macintosh, ',', 1, 2, 0, 5, 7, 9, 10, "OUI"},
	"festival-brise-nuit": {unicode.UTF8, '|', 1, 2, 3, 6, 9, 11, 12, "true"},
	"echo-estran":         {unicode.UTF8, ';', 1, 3, 0, 0, 0, 7, 8, "oui"},
}

func readExport(house houses.House) (member, error) {
	m := member{id: house.ID, people: map[string]*facts{}}
	l, known := layouts[house.ID]
	if !known {
		return m, errors.New("no layout describes this export: add one to layouts")
	}
	file, err := house.Open()
	if err != nil {
		return m, err
	}
	defer file.Close()
	text, err := io.ReadAll(l.encoding.NewDecoder().Reader(file))
	if err != nil {
		return m, err
	}
	// encoding/csv knows no lone carriage return, which ends the lines of one
	// export; no cell holds any.
	table := csv.NewReader(bytes.NewReader(bytes.ReplaceAll(text, []byte("\r"), []byte("\n"))))
	table.Comma, table.FieldsPerRecord = l.separator, -1
	for range l.headings {
		if _, err := table.Read(); err != nil {
			return m, fmt.Errorf("headings: %w", err)
		}
	}
	for {
		cells, err := table.Read()
		if err == io.EOF {
			return m, nil
		}
		if err != nil {
			return m, err
		}
		if err := m.take(l, cells); err != nil {
			return m, fmt.Errorf("row %d: %w", m.rows, err)
		}
	}
}

func (m *member) take(l layout, cells []string) error {
	cell := func(column int) string {
		if column == 0 {
			return ""
		}
		return cells[column-1]
	}
	m.rows++
	person := identify(cell(l.email), cell(l.phone))
	if person == "" {
		m.unusable++
		return nil
	}
	pooling, activation := cell(l.pooling) == l.yes, cell(l.activation) == l.yes
	f := m.people[person]
	if f == nil {
		f = &facts{pooling: pooling, activation: activation}
		m.people[person] = f
	}
	if f.pooling != pooling || f.activation != activation {
		return errors.New("a person answers otherwise than before: this package does not know which answer holds")
	}
	if !contemporaryDance(cell(l.discipline)) {
		return nil
	}
	tickets, err := strconv.Atoi(cell(l.quantity))
	if err != nil {
		return errors.New("the quantity is not a number")
	}
	f.danceTickets += tickets
	return nil
}

func contemporaryDance(discipline string) bool {
	d := strings.ToLower(discipline)
	return d == "danse contemporaine" || d == "contemporary dance"
}

var (
	address  = regexp.MustCompile(`^[a-z0-9._-]+@[a-z0-9-]+(\.[a-z0-9-]+)+$`)
	roles    = regexp.MustCompile(`^(info|billetterie|noreply|reservations|admin)@`)
	notDigit = regexp.MustCompile(`[^0-9]+`)
)

// identify is the person of a row: an address, else ten digits, else "".
func identify(email, phone string) string {
	email = strings.ToLower(strings.TrimSpace(email))
	if address.MatchString(email) && !roles.MatchString(email) {
		return email
	}
	digits := notDigit.ReplaceAllString(phone, "")
	if len(digits) == 11 {
		digits = digits[1:]
	}
	return digits
}
