package load

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"strconv"
)

// Files are written in the one plain style that every import understands: UTF-8,
// commas, headings in English. The demonstration's files are the ugly ones.
const (
	peopleHeadings  = "email,postal code,consent pooling,consent activation,consent date\n"
	ticketsHeadings = "order,email,event,discipline,venue,date,quantity,amount,consent pooling,consent activation,consent date\n"
	consents        = ",yes,yes,2026-01-15\n"
)

// WritePeople writes a file of people to import: everybody consents to pooling
// and to activation.
func WritePeople(w io.Writer, seed uint64, people iter.Seq[Person]) error {
	out := bufio.NewWriterSize(w, 1<<18)
	out.WriteString(peopleHeadings) // Flush returns its error
	for id := range people {
		b := appendAddress(out.AvailableBuffer(), id)
		b = append(b, ',')
		b = appendPostalCode(b, mix(seed+uint64(id)*golden))
		out.Write(append(b, consents...))
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write invented people: %w", err)
	}
	return nil
}

// appendAddress writes the address of a person. It names nobody.
func appendAddress(b []byte, id Person) []byte {
	b = append(b, "spectatrice."...)
	b = strconv.AppendUint(b, uint64(id), 10)
	return append(b, "@courriel.example"...)
}

// appendPostalCode writes one in the person's region.
func appendPostalCode(b []byte, self uint64) []byte {
	const letters = "ABCEGHJKLMNPRSTVWXYZ"
	at := mix(self)
	letter := func() byte { l := letters[at%uint64(len(letters))]; at /= uint64(len(letters)); return l }
	digit := func() byte { d := '0' + byte(at%10); at /= 10; return d }
	b = append(b, regions[regionOf[byte(self>>8)]].name...)
	return append(b, digit(), letter(), ' ', digit(), letter(), digit())
}

// WriteTickets writes sales of a member to import: one to three orders for each
// of these people, in the member's own discipline.
func (p *Population) WriteTickets(w io.Writer, number int, people iter.Seq[Person]) error {
	out := bufio.NewWriterSize(w, 1<<18)
	out.WriteString(ticketsHeadings) // Flush returns its error
	m, order := &p.members[number], int64(0)
	for id := range people {
		self := mix(p.self(id) + m.salt)
		for range 1 + self%3 {
			self = mix(self)
			order++
			out.Write(m.appendSale(out.AvailableBuffer(), order, id, self))
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write invented sales: %w", err)
	}
	return nil
}

func (m *member) appendSale(b []byte, order int64, id Person, drawn uint64) []byte {
	evening, quantity := drawn%300, 1+drawn>>16%4
	b = strconv.AppendInt(b, order, 10)
	b = append(b, ',')
	b = appendAddress(b, id)
	b = append(b, ",Soir "...)
	b = strconv.AppendUint(b, evening, 10)
	b = append(b, ',')
	b = append(b, tastes[m.taste].name...)
	b = append(b, ",Salle "...)
	b = strconv.AppendUint(b, evening%3+1, 10)
	b = fmt.Appendf(b, ",2025-%02d-%02d,%d,%d.00", evening%12+1, evening%28+1, quantity, quantity*(20+evening%40))
	return append(b, consents...)
}
