package main

import (
	"sort"
	"time"
)

// row is one line of an export, before the member's system gives it a form.
type row struct {
	order      int
	first      string
	last       string
	email      string
	phone      string
	postal     string
	title      string
	discipline string
	venue      string
	day        time.Time
	dayText    string // replaces the day, when the system wrote nonsense
	quantity   int
	cents      int64
	newsletter bool
	consent    consent
}

// answer is what a person said to a question, if it was put.
type answer int

const (
	notAsked answer = iota
	no
	yes
)

// consent is a person's answers at one member: the same on all its rows.
type consent struct{ pooling, activation answer }

// inventConsent draws them. Of those not reserved, nearly all accept to be
// counted and three in four to be addressed.
func inventConsent(d dice, p person) consent {
	switch {
	case d.chance(15):
		return consent{} // bought before the question existed
	case p.reserved || d.chance(45):
		return consent{no, no}
	case d.chance(760):
		return consent{yes, yes}
	default:
		return consent{yes, no}
	}
}

// performance is a show on one day.
type performance struct {
	title string
	day   time.Time
}

// sell draws what each of the member's people bought, in the order of sale.
func sell(d dice, m member, people []person, speak words) []row {
	shows := programme(d, plans[m])
	var rows []row
	for _, p := range people {
		if !p.knows(m) {
			continue
		}
		consent, newsletter := inventConsent(d, p), d.chance(600)
		been := map[performance]bool{}
		for range purchases(d) {
			bought := buy(d, p, shows, speak)
			evening := performance{bought.title, bought.day}
			if been[evening] {
				continue // nobody comes back for more seats of the same evening
			}
			been[evening] = true
			bought.consent, bought.newsletter = consent, newsletter
			rows = append(rows, bought)
		}
	}
	sort.SliceStable(rows, func(i, j int) bool { return rows[i].day.Before(rows[j].day) })
	rows = mishaps(d, rows)
	return number(d, rows)
}

func (p person) knows(m member) bool {
	for _, known := range p.members {
		if known == m {
			return true
		}
	}
	return false
}

// purchases: most people come once in two seasons, a few come all the time.
func purchases(d dice) int {
	return 1 + d.weighted([]int{770, 140, 45, 20, 10, 6, 4, 3, 1, 1})
}

func buy(d dice, p person, shows []show, speak words) row {
	weights := make([]int, len(shows))
	for i, s := range shows {
		weights[i] = s.draw * p.taste[s.discipline]
	}
	s := shows[d.weighted(weights)]
	quantity := 1 + d.weighted([]int{250, 550, 70, 110, 10, 10})
	return row{
		first: p.first, last: p.last, email: p.email, phone: p.phone, postal: p.postal,
		title: s.title, discipline: speak[s.discipline], venue: s.venue, day: pick(d, s.days),
		quantity: quantity, cents: int64(quantity) * s.cents,
	}
}

// number gives each sale its order number; a refund keeps that of its sale.
func number(d dice, rows []row) []row {
	order := 10_000 + d.below(50_000)
	for i := range rows {
		if rows[i].quantity > 0 {
			order += 1 + d.below(2)
		}
		rows[i].order = order
	}
	return rows
}

// subscribe makes the newspaper's list of accounts.
func subscribe(d dice, people []person) []row {
	var rows []row
	for _, p := range people {
		if !p.knows(echo) {
			continue
		}
		since := firstDay.AddDate(0, 0, d.below(seasonDays)-2000)
		rows = append(rows, row{first: p.first, last: p.last, email: p.email, postal: p.postal, day: since,
			newsletter: d.chance(600), consent: inventConsent(d, p)})
	}
	shuffle(d, rows)
	return untidyList(d, rows)
}
