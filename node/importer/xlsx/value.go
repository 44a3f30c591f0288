package xlsx

import (
	"bytes"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// number appends a number as its format means it, and reports whether it is
// one: a sum in euros is not, for who counts dollars.
func (b *Book) number(to, raw []byte, f format) ([]byte, bool) {
	raw = bytes.TrimSpace(raw)
	if integral(raw) && !f.date && f.currency == "" {
		for n := len(raw); n < f.digits; n++ {
			to = append(to, '0')
		}
		return append(to, raw...), true
	}
	value, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || math.IsInf(value, 0) || math.IsNaN(value) || math.Abs(value) >= 1e21 {
		return append(to, raw...), false
	}
	if f.date {
		if out, ok := b.day(to, value); ok {
			return out, true
		}
	}
	to = strconv.AppendFloat(to, value, 'f', -1, 64)
	if f.currency != "" {
		return append(append(to, ' '), f.currency...), false
	}
	return to, true
}

// integral reports a whole number in figures, of a length that a cell holds
// exactly.
func integral(raw []byte) bool {
	for _, c := range raw {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(raw) > 0 && len(raw) <= 15
}

// maxDay is the serial day of 31 December 9999.
const maxDay = 2958465

// day appends a serial day as a date of ISO 8601, with a time if it has one,
// and what is less than a day as a time. Day 60 of the calendar from 1900 is
// the 29 February that 1900 did not have; what is before it is a day off, and
// nothing that a house sells.
func (b *Book) day(to []byte, serial float64) ([]byte, bool) {
	if serial < 0 || serial >= maxDay+1 {
		return to, false
	}
	days, fraction := math.Modf(serial)
	seconds := math.Round(fraction * 86400)
	epoch := time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)
	if b.since1904 {
		epoch = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	at := epoch.AddDate(0, 0, int(days)).Add(time.Duration(seconds) * time.Second)
	switch {
	case days == 0 && !b.since1904:
		return at.AppendFormat(to, time.TimeOnly), true
	case seconds == 0:
		return at.AppendFormat(to, time.DateOnly), true
	}
	return at.AppendFormat(to, "2006-01-02T15:04:05"), true
}

// plain resolves the escapes of ST_Xstring (section 22.9.2.19), in place:
// _x000D_ is a carriage return.
func plain(text []byte) []byte {
	at := bytes.Index(text, []byte("_x"))
	if at < 0 {
		return text
	}
	out := text[:at]
	for i := at; i < len(text); {
		if r, ok := escape(text[i:]); ok {
			out = utf8.AppendRune(out, r)
			i += len("_x000D_")
			continue
		}
		out = append(out, text[i])
		i++
	}
	return out
}

func escape(text []byte) (rune, bool) {
	if len(text) < 7 || text[0] != '_' || text[1] != 'x' || text[6] != '_' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	return rune(n), err == nil && utf8.ValidRune(rune(n))
}
