package importer

import (
	"context"
	"errors"
	"io"

	"coulisse/protocol"
)

// conventions are what only a whole column tells: the order of its dates, the
// sign before its cents.
type conventions struct {
	order   map[Field]DateOrder
	decimal map[Field]Decimal
}

// evidence is what a column says for each of two ways to read it, as the first
// line of each, and how often it could be either.
type evidence struct {
	first, second int64
	either        int64 // line
}

func (e *evidence) note(line *int64, at int64) {
	if *line == 0 {
		*line = at
	}
}

// surveyColumns makes the second pass.
func (j *job) surveyColumns(ctx context.Context) error {
	t, err := j.layout.open()
	if err != nil {
		return err
	}
	dates, sums := j.columns(FieldDay, FieldConsentDate), j.columns(FieldAmount, FieldUnitPrice)
	rows := int64(0)
	for {
		r, err := t.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if r.blank() || j.repeatsHeadings(r) {
			continue
		}
		if err := j.anotherTable(r); err != nil {
			return err
		}
		if rows++; rows%MaxBatch == 0 {
			if err := j.tell(ctx, StageChecking, rows); err != nil {
				return err
			}
		}
		for i := range dates {
			dates[i].date(cellAt(r.cells, dates[i].index), r.line, j.layout.since1904)
		}
		for i := range sums {
			sums[i].sum(r)
		}
	}
	if rows == 0 {
		return noRows
	}
	return j.agree(dates, sums)
}

// surveyed is one column under survey.
type surveyed struct {
	field Field
	index int
	evidence
}

func (j *job) columns(fields ...Field) []surveyed {
	var list []surveyed
	for _, field := range fields {
		if i, ok := j.layout.header.column[field]; ok {
			list = append(list, surveyed{field: field, index: i})
		}
	}
	return list
}

func (s *surveyed) date(cell []byte, line int64, since1904 bool) {
	text, reason := phrase(cell, maxShort)
	if reason != "" || text == "" {
		return
	}
	m, ok := parseMoment(text, since1904)
	switch {
	case !ok || !m.slashed:
	case m.first > 12:
		s.note(&s.first, line)
	case m.second > 12:
		s.note(&s.second, line)
	case m.first != m.second:
		s.note(&s.either, line)
	}
}

// sum leaves out a number of the file's own: it tells nothing of how the others
// are written.
func (s *surveyed) sum(r row) {
	line := r.line
	text, reason := phrase(cellAt(r.cells, s.index), maxShort)
	if r.exact(s.index) || reason != "" || text == "" {
		return
	}
	f, ok := parseFigure(text)
	switch {
	case !ok:
	case f.ambiguous:
		s.note(&s.either, line)
	case f.decimal == Comma:
		s.note(&s.first, line)
	case f.decimal == Point:
		s.note(&s.second, line)
	}
}

// agree draws the conventions from the evidence, or says what is missing.
func (j *job) agree(dates, sums []surveyed) error {
	c := conventions{make(map[Field]DateOrder), make(map[Field]Decimal)}
	for _, s := range dates {
		order, err := s.order(j.options.Mapping.DateOrder)
		if err != nil {
			return err
		}
		if order != "" {
			c.order[s.field] = order
		}
	}
	for _, s := range sums {
		decimal, err := s.decimal(j.options.Mapping.Decimal)
		if err != nil {
			return err
		}
		if decimal != "" {
			c.decimal[s.field] = decimal
		}
	}
	j.conventions = c
	j.report.DateOrder, j.report.Decimal = c.order, c.decimal
	return nil
}

func (s surveyed) order(said DateOrder) (DateOrder, error) {
	title := names.title[s.field]
	switch {
	case said != "":
		return said, nil
	case s.first != 0 && s.second != 0:
		return "", mixedDates(title, s.first, s.second)
	case s.first != 0:
		return DayFirst, nil
	case s.second != 0:
		return MonthFirst, nil
	case s.either != 0:
		return "", problem(ProblemDateOrder,
			"Dans la colonne « %[1]s », chaque date se lit de deux façons (ligne %[3]d) : le jour ou le mois d'abord. Indiquez-le avec --date-order dmy ou mdy, ou exportez les dates comme 2026-11-23.",
			"In the column \"%[2]s\" every date reads in two ways (line %[3]d): day or month first. Say which with --date-order dmy or mdy, or export dates as 2026-11-23.",
			title.FR, title.EN, s.either)
	}
	return "", nil
}

func mixedDates(title protocol.Text, day, month int64) error {
	return problem(ProblemDateOrder,
		"La colonne « %[1]s » mélange des dates avec le jour d'abord (ligne %[3]d) et avec le mois d'abord (ligne %[4]d) : souvent, un tableur en a inversé une partie. Exportez les dates comme 2026-11-23, ou indiquez l'ordre avec --date-order dmy ou mdy et les autres lignes seront refusées.",
		"The column \"%[2]s\" mixes dates with the day first (line %[3]d) and with the month first (line %[4]d): often a spreadsheet has swapped some. Export dates as 2026-11-23, or say the order with --date-order dmy or mdy and the other rows will be refused.",
		title.FR, title.EN, day, month)
}

func (s surveyed) decimal(said Decimal) (Decimal, error) {
	title := names.title[s.field]
	switch {
	case said != "":
		return said, nil
	case s.first != 0 && s.second != 0 && s.either != 0:
		return "", problem(ProblemDecimal,
			"La colonne « %[1]s » écrit les cents avec une virgule (ligne %[3]d) et avec un point (ligne %[4]d) : la ligne %[5]d se lit donc de deux façons. Exportez tous les montants avec le même signe, ou indiquez-le avec --decimal comma ou point.",
			"The column \"%[2]s\" writes cents with a comma (line %[3]d) and with a point (line %[4]d), so that line %[5]d reads in two ways. Export all amounts with the same sign, or say which with --decimal comma or point.",
			title.FR, title.EN, s.first, s.second, s.either)
	case s.first != 0 && s.second == 0:
		return Comma, nil
	case s.second != 0 && s.first == 0:
		return Point, nil
	case s.either != 0 && s.first == 0:
		return "", problem(ProblemDecimal,
			"Dans la colonne « %[1]s », un montant comme celui de la ligne %[3]d se lit de deux façons : milliers ou cents. Indiquez-le avec --decimal comma ou point, ou exportez les montants avec deux décimales.",
			"In the column \"%[2]s\" an amount like that of line %[3]d reads in two ways: thousands or cents. Say which with --decimal comma or point, or export amounts with two decimals.",
			title.FR, title.EN, s.either)
	}
	return "", nil // each amount is clear by itself, or there is none
}

func cellAt(cells [][]byte, index int) []byte {
	if index < len(cells) {
		return cells[index]
	}
	return nil
}
