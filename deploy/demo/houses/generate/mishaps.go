package main

import "strings"

// What goes wrong in real exports, in about one row in sixty. Nothing here
// depends on the reader: an address either is one once trimmed and in lower
// case, or is unusable for any reader.

// roleAddresses stand for a counter or an office, not for a person. They buy
// at every house, so a reader that lets them through finds a larger audience.
var roleAddresses = []string{"info@example.org", "billetterie@example.com", "noreply@reseau.test",
	"reservations@example.net", "admin@poste.example"}

// brokenAddresses are no address at all.
var brokenAddresses = []string{"", "n/a", "aucun", "@example.com", "claire.dumont@", "marc.viau.example.org",
	"julie roy@example.net", "lea@@example.com", "zoé.côté@example.com"}

// unfiled is what stands where a discipline should.
var unfiled = []string{"", "À classer", "Divers"}

// mishaps adds refunds and spoils a few rows. Refunds follow their sale.
func mishaps(d dice, rows []row) []row {
	out := make([]row, 0, len(rows)+len(rows)/50)
	for _, r := range rows {
		r.email = restyle(d, r.email)
		out = append(out, r)
		switch {
		case d.chance(9):
			out = append(out, refund(d, r))
		case d.chance(4):
			out = append(out, counterSale(r, pick(d, brokenAddresses)))
		case d.chance(4):
			out = append(out, counterSale(r, pick(d, roleAddresses)))
		case d.chance(2):
			out = append(out, unclassified(d, r))
		}
	}
	return out
}

// restyle writes an address as some people and some systems do.
func restyle(d dice, email string) string {
	if email == "" {
		return ""
	}
	switch d.weighted([]int{970, 10, 10, 5, 5}) {
	case 1:
		return strings.ToUpper(email)
	case 2:
		return capitalise(email)
	case 3:
		return " " + email
	case 4:
		return email + "  "
	}
	return email
}

// capitalise does what a telephone's keyboard does to a first letter.
func capitalise(email string) string {
	return strings.ToUpper(email[:1]) + email[1:]
}

// refund takes back some of a sale, most often all of it.
func refund(d dice, r row) row {
	price := r.cents / int64(r.quantity)
	back := r.quantity
	if d.chance(300) {
		back = 1 + d.below(r.quantity)
	}
	r.quantity, r.cents = -back, -int64(back)*price
	return r
}

// counterSale is a sale like another, to nobody in particular.
func counterSale(r row, email string) row {
	r.first, r.last, r.phone, r.postal, r.email = "", "", "", "", email
	r.consent = consent{yes, yes}
	return r
}

// unclassified is one more sale to the same person, of a show that nobody
// filed, or on a day that does not exist.
func unclassified(d dice, r row) row {
	r.title, r.discipline = "Soirée-bénéfice", pick(d, unfiled)
	if d.chance(300) {
		r.dayText = pick(d, []string{"00/00/0000", "à venir", "2026-02-30"})
	}
	return r
}

// untidyList spoils a few rows of a list of people.
func untidyList(d dice, rows []row) []row {
	out := make([]row, 0, len(rows)+len(rows)/50)
	for _, r := range rows {
		r.email = restyle(d, r.email)
		out = append(out, r)
		switch {
		case d.chance(6):
			again := r
			again.email = capitalise(strings.TrimSpace(strings.ToLower(r.email)))
			out = append(out, again)
		case d.chance(4):
			out = append(out, counterSale(r, pick(d, brokenAddresses)))
		case d.chance(2):
			out = append(out, counterSale(r, pick(d, roleAddresses)))
		}
	}
	return out
}
