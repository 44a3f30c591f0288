package gpp

import (
	"fmt"
	"strings"
	"time"
)

// TCFCA is the Canadian section: what a person consented to in so many words
// (express), and what they were told of and did not object to (implied). Purposes
// are numbered as the IAB numbers them, from 1 to 24.
type TCFCA struct {
	Created, Updated   time.Time
	CMP, CMPVersion    int // the consent tool, as registered with the IAB
	Screen             int
	Language           string // "FR"
	VendorList, Policy int    // their versions
	OwnStacks          bool   // the tool grouped the purposes its own way

	SpecialFeatures  IDs // express
	Express, Implied IDs // of purposes

	VendorsExpress, VendorsImplied IDs
	Restrictions                   []Restriction

	Disclosed IDs        // vendors that were shown; nil if the string does not say
	Publisher *Publisher // nil if the string does not say
}

// Restriction is a rule that the site sets for some vendors and one purpose.
type Restriction struct {
	Purpose int
	Kind    int // 0: not at all; 1: express consent only; 2: implied consent
	Vendors IDs
}

// Publisher is what was consented to for the site itself, beside its vendors.
type Publisher struct {
	Express, Implied             IDs
	CustomExpress, CustomImplied IDs
}

// decodeCanada reads a section: the core segment, then optional ones, in any order,
// each of which begins with its kind.
func decodeCanada(s string) (*TCFCA, error) {
	var c *TCFCA
	for i, text := range strings.Split(s, ".") {
		b := bits{text: text}
		kind := b.number(3)
		switch {
		case b.err != nil:
		case i == 0:
			c = core(&b)
		case kind == 1 && c.Disclosed == nil:
			c.Disclosed = disclosed(&b)
		case kind == 3 && c.Publisher == nil:
			c.Publisher = publisher(&b)
		default:
			b.fail("a segment is unknown or there twice")
		}
		if b.err != nil {
			return nil, fmt.Errorf("segment %d: %w", i+1, b.err)
		}
	}
	return c, nil
}

func core(b *bits) *TCFCA {
	c := &TCFCA{}
	b.at = 0 // its version stands where the kind of the others does
	if version := b.number(6); version != 1 {
		b.fail("version %d is not known", version)
	}
	c.Created, c.Updated = b.time(), b.time()
	c.CMP, c.CMPVersion = int(b.number(12)), int(b.number(12))
	c.Screen = int(b.number(6))
	c.Language = string([]byte{'A' + byte(b.number(6)), 'A' + byte(b.number(6))})
	c.VendorList, c.Policy = int(b.number(12)), int(b.number(6))
	c.OwnStacks = b.flag()
	c.SpecialFeatures = b.field(12)
	c.Express, c.Implied = b.field(24), b.field(24)
	b.either(
		func(b *bits) { c.vendors(b, (*bits).usual, (*bits).usual) },
		func(b *bits) { c.vendors(b, (*bits).former, (*bits).integerRange) },
		func(b *bits) { c.vendors(b, (*bits).specified, (*bits).specified) },
	)
	return c
}

func (b *bits) time() time.Time {
	return time.UnixMilli(int64(b.number(36)) * 100).UTC()
}

// either reads the rest of a segment the first way that fits it to its end.
func (b *bits) either(ways ...func(*bits)) {
	if b.err != nil {
		return
	}
	start := *b
	for _, way := range ways {
		*b = start
		way(b)
		b.end()
		if b.err == nil {
			return
		}
	}
}

func (c *TCFCA) vendors(b *bits, set, restricted func(*bits) IDs) {
	c.VendorsExpress, c.VendorsImplied = set(b), set(b)
	c.Restrictions = nil
	for range b.number(12) {
		r := Restriction{Purpose: int(b.number(6)), Kind: int(b.number(2)), Vendors: restricted(b)}
		if b.err != nil {
			return
		}
		c.Restrictions = append(c.Restrictions, r)
	}
}

func disclosed(b *bits) (set IDs) {
	b.either(
		func(b *bits) { set = b.usual() },
		func(b *bits) { set = b.former() },
		func(b *bits) { set = b.specified() },
	)
	if set == nil {
		set = IDs{} // it was said that there were none
	}
	return set
}

func publisher(b *bits) *Publisher {
	p := &Publisher{Express: b.field(24), Implied: b.field(24)}
	custom := int(b.number(6))
	p.CustomExpress, p.CustomImplied = b.field(custom), b.field(custom)
	b.end()
	return p
}
