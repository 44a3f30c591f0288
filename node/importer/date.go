package importer

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"coulisse/protocol"
)

// DateOrder says how "03/04/2026" is read. A year that comes first is always
// followed by the month.
type DateOrder string

// The orders.
const (
	DayFirst   DateOrder = "dmy"
	MonthFirst DateOrder = "mdy"
)

// moment is a date as a cell writes it. If slashed, first and second are the
// day and the month in an order that the cell alone does not tell.
type moment struct {
	year          int
	month, day    int
	first, second int
	slashed       bool
	clock         time.Duration // since midnight
	timed         bool
	offset        *time.Location // nil if the cell has none
}

// The years that a spreadsheet of a house's sales can be about.
const minYear, maxYear = 1900, 2199

// parseMoment reads the dates that spreadsheets and ticketing systems write:
// ISO 8601, day and month in figures with a year of four, names of months in
// French and English, serial days of Excel; each with or without a time.
func parseMoment(cell string, since1904 bool) (moment, bool) {
	if m, ok := serial(cell, since1904); ok {
		return m, true
	}
	s := &scanner{rest: cell}
	m, ok := s.date()
	if !ok || !s.clock(&m) || s.rest != "" {
		return moment{}, false
	}
	if m.slashed {
		return m, m.first >= 1 && m.first <= 31 && m.second >= 1 && m.second <= 31 &&
			(m.first <= 12 || m.second <= 12)
	}
	return m, exists(m.year, m.month, m.day)
}

func exists(year, month, day int) bool {
	if year < minYear || year > maxYear || month < 1 || month > 12 || day < 1 || day > 31 {
		return false
	}
	return time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).Day() == day
}

// settled returns the moment with its figures read in the given order, if that
// day exists.
func (m moment) settled(order DateOrder) (moment, bool) {
	if m.slashed {
		m.slashed, m.day, m.month = false, m.first, m.second
		if order == MonthFirst {
			m.day, m.month = m.second, m.first
		}
	}
	return m, exists(m.year, m.month, m.day)
}

// in returns a settled moment as an instant. Without an offset of its own it
// is read in the zone.
func (m moment) in(zone *time.Location) time.Time {
	if m.offset != nil {
		zone = m.offset
	}
	hours, rest := int(m.clock/time.Hour), m.clock%time.Hour
	return time.Date(m.year, time.Month(m.month), m.day, hours, 0, 0, 0, zone).Add(rest)
}

// date returns the day of a settled moment: the one written, unless an offset
// says that it was another day in the zone.
func (m moment) date(zone *time.Location) protocol.Date {
	if m.offset != nil && m.timed {
		return protocol.Date(m.in(zone).In(zone).Format(time.DateOnly))
	}
	return protocol.Date(fmt.Sprintf("%04d-%02d-%02d", m.year, m.month, m.day))
}

// Serial days of Excel: day 1 was 1 January 1900 in a calendar that has a 29
// February 1900, hence the epoch. The bounds are in 1954 and 2119; below are
// quantities and years.
const minSerial, maxSerial = 20000, 80000

// serial reads "46349" or "46349.8125", with either decimal sign.
func serial(cell string, since1904 bool) (moment, bool) {
	whole, fraction, _ := strings.Cut(strings.Replace(cell, ",", ".", 1), ".")
	if len(whole) != 5 || len(fraction) > 17 {
		return moment{}, false
	}
	days, ok := figures(whole)
	if !ok || days < minSerial || days > maxSerial {
		return moment{}, false
	}
	seconds, scale := 0.0, 86400.0
	for i := range len(fraction) {
		if fraction[i] < '0' || fraction[i] > '9' {
			return moment{}, false
		}
		scale /= 10
		seconds += float64(fraction[i]-'0') * scale
	}
	epoch := time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)
	if since1904 {
		epoch = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	day := epoch.AddDate(0, 0, days)
	clock := time.Duration(seconds+0.5) * time.Second // serials carry rounding errors
	if clock >= 24*time.Hour {
		clock = 24*time.Hour - time.Second
	}
	return moment{year: day.Year(), month: int(day.Month()), day: day.Day(), clock: clock, timed: fraction != ""}, true
}

func figures(s string) (n int, ok bool) {
	if s == "" || len(s) > 9 {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}

// scanner reads a date from left to right.
type scanner struct{ rest string }

// number takes a run of figures.
func (s *scanner) number() (n, digits int) {
	for digits < len(s.rest) && s.rest[digits] >= '0' && s.rest[digits] <= '9' {
		digits++
	}
	n, _ = figures(s.rest[:digits])
	s.rest = s.rest[digits:]
	return n, digits
}

// word takes a run of letters, folded.
func (s *scanner) word() string {
	end := strings.IndexFunc(s.rest, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.Is(unicode.Mn, r) })
	if end < 0 {
		end = len(s.rest)
	}
	word := fold(s.rest[:end])
	s.rest = s.rest[end:]
	return word
}

// take takes one of the characters, if it comes next.
func (s *scanner) take(characters string) byte {
	if s.rest != "" && s.rest[0] < utf8.RuneSelf && strings.IndexByte(characters, s.rest[0]) >= 0 {
		c := s.rest[0]
		s.rest = s.rest[1:]
		return c
	}
	return 0
}

func (s *scanner) blanks() {
	for s.take(" ") != 0 {
	}
}

// date reads the date itself.
func (s *scanner) date() (moment, bool) {
	if s.rest != "" && (s.rest[0] < '0' || s.rest[0] > '9') {
		return s.named()
	}
	n, digits := s.number()
	switch separator := s.take("-/."); {
	case digits == 8 && separator == 0:
		return moment{year: n / 10000, month: n / 100 % 100, day: n % 100}, true
	case digits == 4 && separator != 0:
		month, width := s.number()
		if width == 0 || width > 2 || s.take(string(separator)) == 0 {
			return moment{}, false
		}
		day, width := s.number()
		return moment{year: n, month: month, day: day}, width == 1 || width == 2
	case digits != 1 && digits != 2:
		return moment{}, false
	case separator != 0 && s.rest != "" && s.rest[0] >= '0' && s.rest[0] <= '9':
		second, width := s.number()
		if width > 2 || s.take(string(separator)) == 0 {
			return moment{}, false
		}
		year, width := s.number()
		return moment{year: year, first: n, second: second, slashed: true}, width == 4 && year >= minYear && year <= maxYear
	}
	return s.monthAfter(n)
}

// monthAfter reads "23 novembre 2026", "1er nov. 2026", "23-Nov-2026" behind
// the day.
func (s *scanner) monthAfter(day int) (moment, bool) {
	s.blanks()
	word := s.word()
	if word == "er" || word == "st" || word == "nd" || word == "rd" || word == "th" {
		s.blanks()
		word = s.word()
	}
	if word == "of" || word == "de" {
		s.blanks()
		word = s.word()
	}
	month, ok := months[word]
	if !ok {
		return moment{}, false
	}
	for s.take(" -./,") != 0 {
	}
	year, digits := s.number()
	return moment{year: year, month: month, day: day}, digits == 4
}

// named reads a date that starts with a word: a day of the week, which is not
// checked, or the month of "November 23, 2026".
func (s *scanner) named() (moment, bool) {
	word := s.word()
	if weekdays[word] {
		for s.take(" ,.") != 0 {
		}
		if s.rest == "" || s.rest[0] >= '0' && s.rest[0] <= '9' {
			if s.rest == "" {
				return moment{}, false
			}
			return s.date()
		}
		if word = s.word(); word == "le" {
			s.blanks()
			return s.date()
		}
	}
	month, ok := months[word]
	if !ok {
		return moment{}, false
	}
	for s.take(" -./") != 0 {
	}
	day, digits := s.number()
	if digits == 0 || digits > 2 {
		return moment{}, false
	}
	if s.rest != "" && unicode.IsLetter(rune(s.rest[0])) {
		s.word() // 23rd
	}
	for s.take(" -./,") != 0 {
	}
	year, digits := s.number()
	return moment{year: year, month: month, day: day}, digits == 4
}

var months = wordNumbers(map[int]string{
	1: "janvier janv jan january", 2: "fevrier fevr fev feb february", 3: "mars mar march",
	4: "avril avr april apr", 5: "mai may", 6: "juin jun june", 7: "juillet juil jul july",
	8: "aout aou august aug", 9: "septembre september sept sep", 10: "octobre october oct",
	11: "novembre november nov", 12: "decembre december dec",
})

func wordNumbers(lists map[int]string) map[string]int {
	numbers := make(map[string]int)
	for n, words := range lists {
		for word := range strings.FieldsSeq(words) {
			numbers[word] = n
		}
	}
	return numbers
}

var weekdays = func() map[string]bool {
	set := make(map[string]bool)
	for word := range strings.FieldsSeq(`lundi mardi mercredi jeudi vendredi samedi dimanche
		lun mar mer jeu ven sam dim monday tuesday wednesday thursday friday saturday sunday
		mon tue tues wed thu thur thurs fri sat sun`) {
		set[word] = true
	}
	return set
}()
