package main

import (
	"fmt"
	"strings"
)

// peopleCount is how many distinct people there are, over all members.
const peopleCount = 23_000

// member numbers the organisations, in the order of houses.All.
type member int

const (
	confluent member = iota
	anseGrise
	agora
	moulin
	chapiteau
	briseNuit
	echo
	memberCount
)

// person is somebody invented.
type person struct {
	first, last string
	email       string // in lower case; "" for someone known by telephone only
	phone       string // ten digits, or ""
	postal      string // "H2X 1Y4"
	taste       taste
	members     []member // that know the person
	reserved    bool     // refuses to be pooled anywhere
}

// community is a public with the same taste. Its people pick their houses by
// affinity and distance, which is what makes real audiences overlap: not
// evenly, and most of all where the same art is shown.
type community struct {
	share    int // of a thousand people
	spread   []int
	affinity [memberCount]int
	taste    taste
}

var communities = []community{
	// Contemporary dance.
	{105, []int{46, 26, 15, 8, 4, 1}, [memberCount]int{30, 8, 85, 8, 6, 30, 12},
		taste{70, 8, 6, 2, 5, 1, 3, 1, 4}},
	// Theatre.
	{235, []int{67, 22, 8, 3}, [memberCount]int{25, 60, 7, 8, 2, 10, 20},
		taste{4, 1, 75, 4, 2, 6, 4, 2, 2}},
	// Families.
	{190, []int{70, 21, 7, 2}, [memberCount]int{25, 8, 2, 14, 48, 10, 14},
		taste{2, 3, 6, 1, 30, 3, 3, 50, 1}},
	// Classical music.
	{115, []int{72, 20, 6, 2}, [memberCount]int{60, 6, 2, 8, 1, 10, 20},
		taste{3, 8, 5, 70, 1, 1, 4, 2, 6}},
	// Song and comedy.
	{240, []int{75, 18, 5, 2}, [memberCount]int{40, 15, 1, 22, 6, 25, 20},
		taste{1, 1, 6, 2, 6, 38, 38, 4, 4}},
	// Those who see everything.
	{60, []int{15, 22, 25, 20, 11, 5, 2}, [memberCount]int{35, 30, 25, 12, 14, 25, 18},
		taste{18, 5, 20, 12, 12, 8, 12, 3, 10}},
	// Readers of the newspaper above all.
	{55, []int{90, 9, 1}, [memberCount]int{3, 3, 0, 2, 1, 2, 90},
		taste{2, 2, 20, 10, 8, 20, 25, 5, 8}},
}

// region is where people live and how near the members are to it, in percent.
type region struct {
	share     int
	prefixes  []string
	areaCodes []string
	nearness  [memberCount]int
}

var regions = []region{
	{430, strings.Fields("H1W H1X H2G H2H H2J H2L H2R H2S H2T H2X H3A H3K H3N H4C H4E"),
		[]string{"514", "438", "263"}, [memberCount]int{100, 60, 100, 6, 90, 60, 30}},
	{270, strings.Fields("J4G J4H J4J J4K J4L J4M J4N J4P J4R J4V J4Y"),
		[]string{"450", "579", "354"}, [memberCount]int{70, 100, 50, 50, 60, 50, 140}},
	{140, strings.Fields("J2R J2S J2T J3G J3L"),
		[]string{"450", "579", "354"}, [memberCount]int{35, 45, 25, 330, 30, 45, 100}},
	{90, strings.Fields("H7A H7C H7G H7L H7N H7T H7V J7G"),
		[]string{"450", "579", "354"}, [memberCount]int{80, 40, 50, 5, 70, 35, 10}},
	{70, strings.Fields("J1E J1G J1H J1J J1K J1L J1M"),
		[]string{"819", "873", "468"}, [memberCount]int{25, 15, 20, 30, 15, 220, 15}},
}

// inventPeople draws the whole public.
func inventPeople() []person {
	d := newDice("people")
	names := newAddressBook()
	people := make([]person, peopleCount)
	for i := range people {
		people[i] = inventPerson(d, names)
	}
	return people
}

func inventPerson(d dice, names *addressBook) person {
	c := communities[d.weighted(shares(communities, func(c community) int { return c.share }))]
	r := regions[d.weighted(shares(regions, func(r region) int { return r.share }))]
	p := person{
		first:    pick(d, firstNames),
		last:     surname(d),
		postal:   inventPostal(d, r),
		taste:    c.taste,
		members:  pickMembers(d, c, r),
		reserved: d.chance(60),
	}
	p.email = names.address(d, p.first, p.last)
	if d.chance(45) {
		p.phone = names.phone(d, r)
	}
	// Some people only ever left a telephone number, where one is asked.
	if p.phone != "" && d.chance(350) && askForPhone(p.members) {
		p.email = ""
	}
	return p
}

// askForPhone reports whether all the members' exports have a telephone column.
func askForPhone(members []member) bool {
	for _, m := range members {
		if m == agora || m == chapiteau || m == echo {
			return false
		}
	}
	return true
}

func shares[T any](all []T, share func(T) int) []int {
	out := make([]int, len(all))
	for i, one := range all {
		out[i] = share(one)
	}
	return out
}

// surname prefers a few names to many, as everywhere.
func surname(d dice) string { return lastNames[min(d.below(len(lastNames)), d.below(len(lastNames)))] }

func pickMembers(d dice, c community, r region) []member {
	weights := make([]int, memberCount)
	for m := range weights {
		weights[m] = c.affinity[m] * r.nearness[m]
	}
	var members []member
	for range d.weighted(c.spread) + 1 {
		m := d.weighted(weights)
		if m < 0 {
			break
		}
		weights[m] = 0
		members = append(members, member(m))
	}
	return members
}

func inventPostal(d dice, r region) string {
	const letters = "ABCEGHJKLMNPRSTVWXYZ" // the letters that Canada Post uses
	return fmt.Sprintf("%s %d%c%d", pick(d, r.prefixes), d.below(10), letters[d.below(len(letters))], d.below(10))
}

// addressBook keeps addresses and telephone numbers from being given twice.
type addressBook struct {
	addresses map[string]bool
	phones    map[string]int // by area code, how many are given
}

func newAddressBook() *addressBook {
	return &addressBook{addresses: map[string]bool{}, phones: map[string]int{}}
}

func (b *addressBook) address(d dice, first, last string) string {
	f, l := ascii(first), ascii(last)
	local := []string{f + "." + l, f + l, f[:1] + l, f + "_" + l, l + "." + f, f + "-" + l}[d.weighted([]int{50, 14, 14, 8, 8, 6})]
	domain := domains[d.weighted(domainWeights)]
	if d.chance(120) {
		local = fmt.Sprintf("%s%02d", local, 50+d.below(50))
	}
	address := local + "@" + domain
	for n := 2; b.addresses[address]; n++ {
		address = fmt.Sprintf("%s%d@%s", local, n, domain)
	}
	b.addresses[address] = true
	return address
}

// phone is the next free number from 555-0100 to 555-0199 of the region, or ""
// when there is none left.
func (b *addressBook) phone(d dice, r region) string {
	code := pick(d, r.areaCodes)
	n := b.phones[code]
	if n == 100 {
		return ""
	}
	b.phones[code] = n + 1
	return fmt.Sprintf("%s5550%d", code, 100+n)
}
