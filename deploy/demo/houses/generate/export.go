package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// style is how a member's system writes its export.
type style struct {
	encoding  encoding.Encoding
	separator rune
	lineEnd   string
	speak     words
	columns   []column
	above     string // lines over the headings
	totals    bool   // the last line adds up the others
}

type column struct {
	heading string
	cell    func(row) string
}

// The ends of lines that systems write. The last is that of spreadsheets on
// the Macintosh before 2016, which go with the encoding named after it.
const (
	unix    = "\n"
	windows = "\r\n"
	oldMac  = "\r"
)

// styles are the seven, in the order of houses.All.
var styles = [memberCount]style{
	confluent: {encoding: unicode.UTF8, separator: ',', lineEnd: unix, speak: english, columns: []column{
		{"Order number", prefixed("GC-")}, {"Email", email}, {"Phone", phone("%s-%s-%s")}, {"Postal code", postal},
		{"Event", title}, {"Discipline", disciplineOf}, {"Venue", venue}, {"Date", date("2006-01-02")},
		{"Quantity", quantity}, {"Amount", amount("%d.%02d")},
		{"Pooling consent", pooling("yes", "no")}, {"Activation consent", activation("yes", "no")},
	}},
	anseGrise: {encoding: charmap.Windows1252, separator: ';', lineEnd: windows, speak: french, columns: []column{
		{"Courriel", email}, {"Téléphone", phone("(%s) %s-%s")}, {"Code postal", postal},
		{"Spectacle", title}, {"Discipline", disciplineOf}, {"Salle", venue}, {"Date", date("02/01/2006")},
		{"Billets", quantity}, {"Montant", amount("%d,%02d")}, {"Infolettre", newsletter("oui", "non")},
		{"Consentement mutualisation", pooling("oui", "non")}, {"Consentement activation", activation("oui", "non")},
	}},
	agora: {encoding: unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), separator: '\t', lineEnd: windows, speak: french, columns: []column{
		{"Commande", prefixed("")}, {"Adresse courriel", email}, {"Spectacle", title}, {"Discipline", disciplineOf},
		{"Date", date("2006-01-02 15:04")}, {"Quantité", quantity}, {"Total", amount("%d,%02d $")},
		{"Consentement mise en commun", pooling("1", "0")}, {"Consentement activation", activation("1", "0")},
	}},
	moulin: {encoding: unicode.UTF8BOM, separator: ';', lineEnd: windows, speak: french, totals: true,
		above: "Diffusion du Moulin-Vert – Rapport des ventes\nExporté le 22-11-2026\n\n", columns: []column{
			{"Nom", fullName}, {"Courriel", email}, {"Tél.", phone("%s.%s.%s")}, {"Code postal", compactPostal},
			{"Événement", title}, {"Genre", disciplineOf}, {"Lieu", venue}, {"Date de représentation", date("02-01-2006")},
			{"Nombre de billets", quantity}, {"Prix total", amount("%d,%02d")},
			{"Consentement à la mutualisation", pooling("O", "N")}, {"Consentement à l’activation", activation("O", "N")},
		}},
	chapiteau: {encoding: charmap.Macintosh, separator: ',', lineEnd: oldMac, speak: french, columns: []column{
		{"No de commande", prefixed("CL")}, {"COURRIEL", shouted(email)}, {"CODE POSTAL", district},
		{"SPECTACLE", title}, {"DISCIPLINE", shouted(disciplineOf)}, {"DATE", date("2006/01/02")},
		{"QTÉ", quantity}, {"MONTANT", amount("%d,%02d")},
		{"CONSENTEMENT MUTUALISATION", pooling("OUI", "NON")}, {"CONSENTEMENT ACTIVATION", activation("OUI", "NON")},
	}},
	briseNuit: {encoding: unicode.UTF8, separator: '|', lineEnd: unix, speak: english, columns: []column{
		{"order_id", prefixed("BN-2")}, {"customer_email", email}, {"customer_phone", phone("+1%s%s%s")}, {"postal_code", compactPostal},
		{"event_name", title}, {"category", disciplineOf}, {"venue", venue}, {"event_date", date("2006-01-02T15:04:05")},
		{"tickets", quantity}, {"amount", amount("%d.%02d")},
		{"consent_pooling", pooling("true", "false")}, {"consent_activation", activation("true", "false")},
	}},
	echo: {encoding: unicode.UTF8, separator: ';', lineEnd: unix, speak: french, columns: []column{
		{"Prénom", firstName}, {"Nom", lastName}, {"Courriel", email}, {"Code postal", postal},
		{"Abonné depuis", date("2006-01-02")}, {"Infolettre", newsletter("oui", "non")},
		{"Consentement à la mise en commun", pooling("oui", "non")}, {"Consentement à l’activation", activation("oui", "non")},
		{"Date du consentement", consentDay},
	}},
}

// write gives the rows the member's form.
func (s style) write(rows []row) ([]byte, error) {
	if s.totals {
		rows = append(rows, addUp(rows))
	}
	var text bytes.Buffer
	text.WriteString(s.above)
	table := csv.NewWriter(&text)
	table.Comma = s.separator
	record := make([]string, len(s.columns))
	for i, c := range s.columns {
		record[i] = c.heading
	}
	table.Write(record)
	for _, r := range rows {
		for i, c := range s.columns {
			record[i] = c.cell(r)
		}
		table.Write(record)
	}
	table.Flush()
	if err := table.Error(); err != nil {
		return nil, err
	}
	lines := bytes.ReplaceAll(text.Bytes(), []byte(unix), []byte(s.lineEnd))
	return s.encoding.NewEncoder().Bytes(lines)
}

// addUp is the line that some reports end with. It is about nobody.
func addUp(rows []row) row {
	total := row{first: "Total"}
	for _, r := range rows {
		total.quantity += r.quantity
		total.cents += r.cents
	}
	return total
}

func firstName(r row) string    { return r.first }
func lastName(r row) string     { return r.last }
func email(r row) string        { return r.email }
func title(r row) string        { return r.title }
func disciplineOf(r row) string { return r.discipline }
func venue(r row) string        { return r.venue }
func quantity(r row) string     { return strconv.Itoa(r.quantity) }
func postal(r row) string       { return r.postal }
func fullName(r row) string     { return strings.TrimSpace(r.first + " " + r.last) }

// compactPostal is the code as it is typed on a telephone.
func compactPostal(r row) string { return strings.ToLower(strings.ReplaceAll(r.postal, " ", "")) }

// district is the first half, all that some counters ask.
func district(r row) string {
	half, _, _ := strings.Cut(r.postal, " ")
	return half
}

func shouted(cell func(row) string) func(row) string {
	return func(r row) string { return strings.ToUpper(cell(r)) }
}

func prefixed(prefix string) func(row) string {
	return func(r row) string { return prefix + strconv.Itoa(r.order) }
}

func phone(form string) func(row) string {
	return func(r row) string {
		if r.phone == "" {
			return ""
		}
		return fmt.Sprintf(form, r.phone[:3], r.phone[3:6], r.phone[6:])
	}
}

func date(layout string) func(row) string {
	return func(r row) string {
		if r.dayText != "" || r.day.IsZero() {
			return r.dayText
		}
		return r.day.Format(layout)
	}
}

// consentDay is when the question was answered, if it was.
func consentDay(r row) string {
	if r.consent.pooling == notAsked {
		return ""
	}
	return r.day.AddDate(0, 0, 7).Format("2006-01-02")
}

func amount(form string) func(row) string {
	return func(r row) string {
		if r.cents < 0 {
			return "-" + fmt.Sprintf(form, -r.cents/100, -r.cents%100)
		}
		return fmt.Sprintf(form, r.cents/100, r.cents%100)
	}
}

func newsletter(in, out string) func(row) string {
	return func(r row) string {
		if r.newsletter {
			return in
		}
		return out
	}
}

func pooling(in, out string) func(row) string {
	return func(r row) string { return r.consent.pooling.said(in, out) }
}

func activation(in, out string) func(row) string {
	return func(r row) string { return r.consent.activation.said(in, out) }
}

func (a answer) said(in, out string) string {
	switch a {
	case yes:
		return in
	case no:
		return out
	}
	return ""
}
