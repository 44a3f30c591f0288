package importer

import (
	"strings"

	"coulisse/protocol"
)

// Decimal is the sign before the cents.
type Decimal string

// The decimal signs.
const (
	Comma Decimal = "comma"
	Point Decimal = "point"
)

// figure is a number as a cell writes it, without currency, blanks and sign.
type figure struct {
	negative bool
	text     string // digits, commas and points
	// decimal is what the cell alone tells, "" if it has no cents or could
	// mean thousands: "1,234".
	decimal   Decimal
	ambiguous bool
	exact     bool // a number of the file's own: its column says nothing of it
}

// currency removes what stands around a sum in Canadian dollars. Other
// currencies stay, and make the cell unreadable.
var currency = strings.NewReplacer("CA$", "", "C$", "", "$CA", "", "$ CA", "", "CAD", "", "cad", "", "$", "")

// parseFigure reads "1 234,50 $", "-$1,234.50", "(12.00)", "12.50-".
func parseFigure(cell string) (figure, bool) {
	var f figure
	s := strings.TrimSpace(currency.Replace(cell))
	if inner, ok := strings.CutPrefix(s, "("); ok {
		if s, ok = strings.CutSuffix(inner, ")"); !ok {
			return f, false
		}
		f.negative = true
		s = strings.TrimSpace(s)
	}
	for _, minus := range []string{"-", "−", "–"} {
		before, found := strings.CutPrefix(s, minus)
		if !found {
			before, found = strings.CutSuffix(s, minus)
		}
		if found {
			if f.negative {
				return f, false
			}
			f.negative, s = true, strings.TrimSpace(before)
			break
		}
	}
	s = strings.TrimSpace(strings.TrimPrefix(s, "+"))
	text, ok := ungroup(s)
	if !ok || len(text) > 40 {
		return f, false
	}
	f.text = text
	f.decimal, f.ambiguous, ok = decimalOf(text)
	return f, ok
}

// ungroup drops blanks and apostrophes between groups of three figures.
func ungroup(s string) (string, bool) {
	out := make([]byte, 0, len(s))
	group := -1 // figures since the last blank
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			out = append(out, byte(r))
			if group >= 0 {
				group++
			}
		case r == ' ' || r == '\'' || r == '’':
			if len(out) == 0 || group >= 0 && group != 3 {
				return "", false
			}
			group = 0
		case r == ',' || r == '.':
			if group >= 0 && group != 3 {
				return "", false
			}
			group = -1
			out = append(out, byte(r))
		default:
			return "", false
		}
	}
	return string(out), len(out) > 0 && (group < 0 || group == 3)
}

// decimalOf tells which sign a number uses for its cents.
func decimalOf(text string) (decimal Decimal, ambiguous, ok bool) {
	commas, points := strings.Count(text, ","), strings.Count(text, ".")
	sign, other := Comma, Point
	if strings.LastIndexByte(text, '.') > strings.LastIndexByte(text, ',') {
		sign, other = Point, Comma
	}
	switch last := strings.LastIndexAny(text, ",."); {
	case commas+points == 0:
		return "", false, true
	case commas > 0 && points > 0:
		return sign, false, (sign == Comma && commas == 1 || sign == Point && points == 1) && grouped(text[:last])
	case commas+points > 1:
		return other, false, grouped(text)
	case len(text)-last-1 == 3 && last >= 1 && last <= 3 && text[0] != '0':
		return "", true, true
	default:
		return sign, false, len(text) > 1
	}
}

// grouped reports groups of three behind a first of one to three.
func grouped(text string) bool {
	for i, group := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '.' }) {
		if i == 0 && (len(group) == 0 || len(group) > 3) || i > 0 && len(group) != 3 {
			return false
		}
	}
	return true
}

// cents returns the number times 100, rounded, reading an ambiguous one with
// the sign that its column uses.
func (f figure) cents(column Decimal) (int64, bool) {
	decimal := column
	if f.decimal != "" {
		if !f.exact && column != "" && column != f.decimal {
			return 0, false
		}
		decimal = f.decimal
	} else if f.ambiguous && column == "" {
		return 0, false
	}
	mark := ","
	if decimal != Comma {
		mark = "."
	}
	whole, fraction, _ := strings.Cut(f.text, mark)
	var n int64
	for i := range len(whole) {
		if whole[i] == ',' || whole[i] == '.' {
			continue
		}
		if n = n*10 + int64(whole[i]-'0'); n > protocol.MaxCents/100 {
			return 0, false
		}
	}
	n = n*100 + hundredths(fraction)
	if n > protocol.MaxCents {
		return 0, false
	}
	if f.negative {
		n = -n
	}
	return n, true
}

// hundredths rounds the figures behind the decimal sign: spreadsheets write
// 17.249999999999996.
func hundredths(fraction string) int64 {
	padded := fraction + "000"
	n := int64(padded[0]-'0')*10 + int64(padded[1]-'0')
	if padded[2] >= '5' {
		n++
	}
	return n
}

// whole returns the number if it has no fraction but zeros.
func (f figure) whole(column Decimal) (int64, bool) {
	if f.ambiguous && column == "" {
		column = Comma // "1,000" tickets, and "1.000" as well
		if strings.Contains(f.text, ",") {
			column = Point
		}
	}
	n, ok := f.cents(column)
	if !ok || n%100 != 0 || n/100 > protocol.MaxCount || n/100 < -protocol.MaxCount {
		return 0, false
	}
	return n / 100, true
}
