package importer

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"coulisse/protocol"
)

// Render writes the report for people, in French if lang is "fr", else in
// English.
func (r Report) Render(w io.Writer, lang string) error {
	p := &page{lang: lang}
	p.summary(r)
	p.file(r)
	p.tallies(text("Lignes refusées", "Rows refused"), r.RefusedBy)
	p.tallies(text("Identifiants laissés de côté (la ligne est gardée pour l'autre)",
		"Identifiers left out (the row is kept for the other one)"), r.Discarded)
	p.tallies(text("Avertissements (les lignes sont gardées)", "Warnings (the rows are kept)"), r.Warnings)
	if len(r.UnknownDisciplines) > 0 {
		p.line("%s: %s", text("Disciplines inconnues", "Unknown disciplines"), strings.Join(r.UnknownDisciplines, ", "))
	}
	if len(r.Ignored) > 0 {
		p.line("%s: %s", text("Colonnes ignorées", "Columns ignored"), strings.Join(r.Ignored, ", "))
	}
	_, err := io.WriteString(w, p.String())
	return err
}

func text(fr, en string) protocol.Text { return protocol.Text{FR: fr, EN: en} }

// page is a report being written in one language.
type page struct {
	strings.Builder
	lang string
}

// line writes a line, each text among its values in the page's language. French
// has a no-break space before a colon.
func (p *page) line(format string, values ...any) {
	for i, value := range values {
		switch v := value.(type) {
		case protocol.Text:
			values[i] = v.In(p.lang)
		case int64:
			values[i] = p.number(v)
		}
	}
	if p.lang == "fr" {
		format = strings.ReplaceAll(format, ":", "\u00a0:")
	}
	fmt.Fprintf(p, format+"\n", values...)
}

// number groups figures by three, with a no-break space or a comma.
func (p *page) number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + text("\u00a0", ",").In(p.lang) + digits[i:]
	}
	return sign + digits
}

func (p *page) dollars(cents int64) string {
	sign := ""
	if cents < 0 {
		sign, cents = "-", -cents
	}
	if p.lang == "fr" {
		return fmt.Sprintf("%s%s,%02d\u00a0$", sign, p.number(cents/100), cents%100)
	}
	return fmt.Sprintf("%s$%s.%02d", sign, p.number(cents/100), cents%100)
}

func (p *page) summary(r Report) {
	p.line("%s: %s", text("Lignes lues", "Rows read"), r.Rows)
	p.line("  %s: %s", text("gardées", "kept"), r.Kept)
	p.line("  %s: %s", text("refusées", "refused"), r.Refused)
	if r.Blank > 0 {
		p.line("  %s: %s", text("vides ou en-têtes répétés, non comptées", "blank or headings again, not counted"), r.Blank)
	}
	if r.Kind == Tickets {
		p.line("%s: %s (%s)", text("Billets", "Tickets"), r.Tickets, p.dollars(r.Cents))
	} else {
		p.line("%s: %s", text("Personnes", "People"), r.People)
	}
}

func (p *page) file(r Report) {
	if r.File != "" {
		p.line("%s: %s", text("Fichier", "File"), printable(r.File))
	}
	p.line("%s: %s, %s", text("Lu", "Read"), p.bytes(r.Bytes), p.seconds(r.Duration))
	p.manner(r)
	switch {
	case len(r.Columns) == 0:
	case r.HeaderLine == 0: // each row of such a file names its columns
		p.line("%s:", text("Colonnes", "Columns"))
	default:
		p.line("%s %s:", text("En-têtes, ligne", "Headings, line"), r.HeaderLine)
	}
	for _, field := range r.Kind.fields() {
		heading, ok := r.Columns[field]
		if !ok {
			continue
		}
		how := ""
		switch {
		case r.DateOrder[field] == DayFirst:
			how = text(" (jour d'abord)", " (day first)").In(p.lang)
		case r.DateOrder[field] == MonthFirst:
			how = text(" (mois d'abord)", " (month first)").In(p.lang)
		case r.Decimal[field] == Comma:
			how = text(" (virgule décimale)", " (decimal comma)").In(p.lang)
		case r.Decimal[field] == Point:
			how = text(" (point décimal)", " (decimal point)").In(p.lang)
		}
		p.line("  %s: %s%s", names.title[field], heading, how)
	}
}

// manner says how the file is written.
func (p *page) manner(r Report) {
	switch r.Format {
	case Workbook:
		p.line("%s: %s", text("Classeur Excel, feuille", "Excel workbook, sheet"), r.Sheet)
		if len(r.Sheets) > 0 {
			p.line("%s: %s", text("Feuilles laissées de côté", "Sheets left out"), strings.Join(r.Sheets, ", "))
		}
	case JSON, Parquet:
		p.line("%s: %s", text("Format", "Format"), formatNames[r.Format])
	}
	if r.Encoding != "" {
		p.line("%s: %s", text("Encodage", "Encoding"), string(r.Encoding))
	}
	if r.Delimiter != "" {
		p.line("%s: %s", text("Séparateur", "Delimiter"), delimiterName(r.Delimiter))
	}
}

var formatNames = map[Format]protocol.Text{JSON: text("JSON", "JSON"), Parquet: text("Parquet", "Parquet")}

func (p *page) bytes(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%s %s", p.number((n+1023)>>10), text("Kio", "KiB").In(p.lang))
	}
	return fmt.Sprintf("%s %s", p.number((n+1<<19)>>20), text("Mio", "MiB").In(p.lang))
}

func (p *page) seconds(d time.Duration) string {
	s := fmt.Sprintf("%.1f s", d.Seconds())
	if p.lang == "fr" {
		s = strings.Replace(s, ".", ",", 1)
	}
	return s
}

func delimiterName(delimiter string) protocol.Text {
	switch delimiter {
	case "\t":
		return text("tabulation", "tab")
	case ",":
		return text("virgule", "comma")
	case ";":
		return text("point-virgule", "semicolon")
	case "|":
		return text("barre verticale", "vertical bar")
	}
	return text(delimiter, delimiter)
}

func (p *page) tallies(title protocol.Text, tallies []Tally) {
	if len(tallies) == 0 {
		return
	}
	p.line("%s:", title)
	for _, t := range tallies {
		lines := make([]string, 0, len(t.Lines)+1)
		for _, line := range t.Lines {
			lines = append(lines, p.number(line))
		}
		if t.Count > int64(len(t.Lines)) {
			lines = append(lines, "…")
		}
		p.line("  %s × %s", t.Count, t.Reason.Text())
		noun := text("ligne", "line")
		if len(lines) > 1 {
			noun = text("lignes", "lines")
		}
		p.line("      %s %s", noun, strings.Join(slices.Clip(lines), ", "))
	}
}
