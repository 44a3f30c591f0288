package xlsx

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// format is what the look of a number says of its meaning.
type format struct {
	date     bool   // or a time: the number counts days
	digits   int    // zeros in front fill it to so many, if more than 1
	currency string // of a sum, if the format names one that is no dollar
}

// readStyles reads the number format of each style of cells.
func (b *Book) readStyles(name string) (err error) {
	if name == "" {
		return nil
	}
	m, err := b.part(name)
	if err != nil {
		return err
	}
	defer closing(m, &err)
	custom := make(map[int]string)
	inside := false
	for {
		kind, err := m.next()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case m.is("cellXfs") && kind != words:
			inside = kind == opening
		case kind != opening:
		case m.is("numFmt"):
			id, err := strconv.Atoi(m.attribute("numFmtId"))
			if err == nil && len(m.attributes) < 4096 {
				custom[id] = m.attribute("formatCode")
			}
		case m.is("xf") && inside:
			id, _ := strconv.Atoi(m.attribute("numFmtId")) // 0, General, if it is not there
			b.formats = append(b.formats, formatOf(id, custom))
		}
		if len(custom) > maxFormats || len(b.formats) > maxStyles {
			return fmt.Errorf("%w: too many styles", ErrTooLarge)
		}
	}
}

// formatOf reads a format: of those that are numbered in section 18.8.30, only
// dates matter.
func formatOf(id int, custom map[int]string) format {
	if code, ok := custom[id]; ok {
		return parseFormat(code)
	}
	return format{date: id >= 14 && id <= 22 || id >= 27 && id <= 36 || id >= 45 && id <= 47 || id >= 50 && id <= 58}
}

// parseFormat reads a format's code, which is in English whatever the language
// of the Excel that wrote it.
func parseFormat(code string) (f format) {
	first, _, _ := strings.Cut(code, ";") // the section for positive numbers
	if fold := strings.ToLower(first); strings.Contains(fold, "general") || strings.Contains(fold, "standard") {
		return f
	}
	zeros, figures, plain := false, 0, true
	for i := 0; i < len(first); i++ {
		switch c := first[i]; c {
		case '"':
			end := strings.IndexByte(first[i+1:], '"')
			if end < 0 {
				return f
			}
			f.currency = foreign(f.currency, first[i+1:i+1+end])
			i += end + 1
		case '\\', '_', '*':
			i++ // a character as it is, a gap, a filling
		case '[':
			end := strings.IndexByte(first[i:], ']')
			if end < 0 {
				return f
			}
			f.bracket(first[i+1 : i+end])
			i += end
		case 'y', 'Y', 'd', 'D', 'm', 'M', 'h', 'H', 's', 'S':
			f.date = true
		case '0':
			zeros = zeros || figures == 0
			figures++
		case '#', '?':
			figures++
		case '.', ',', '%', 'E', 'e', '/', '@':
			plain = false
		}
	}
	f.currency = foreign(f.currency, first)
	if zeros && plain && figures > 1 {
		f.digits = figures
	}
	return f
}

// bracket reads [h], a duration, and [$€-40C], a currency with a language; not
// [Red] or [>100].
func (f *format) bracket(inner string) {
	switch strings.Trim(strings.ToLower(inner), "hms") {
	case "":
		f.date = inner != ""
	default:
		if symbol, ok := strings.CutPrefix(inner, "$"); ok {
			symbol, _, _ = strings.Cut(symbol, "-")
			f.currency = foreign(f.currency, symbol)
		}
	}
}

// foreign finds a currency that is certainly no Canadian dollar: a "$" alone
// may stand for several, and a sum with it is taken as it is in a text.
func foreign(known, text string) string {
	for _, sign := range []string{"€", "£", "¥", "USD", "US$", "EUR", "GBP", "CHF"} {
		if strings.Contains(text, sign) {
			return sign
		}
	}
	return known
}
