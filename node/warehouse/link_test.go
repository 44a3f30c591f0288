package warehouse

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func minute(n int) time.Time { return noon.Add(time.Duration(n) * time.Minute) }

func said(visitor byte, at int, purpose string, granted bool) Consent {
	return Consent{Visitor: browser(visitor), At: minute(at), Purpose: purpose, Granted: granted, Proof: "call"}
}

func declares(visitor byte, at int, address string) Link {
	return Link{Visitor: browser(visitor), At: minute(at), Kind: "email", Value: address}
}

// linked is who a visitor is now, and since and until when who it was.
const linked = `
	SELECT ltrim(left(v.visitor::VARCHAR, 2), '0'), i.value, date_diff('minute', TIMESTAMP '2026-01-01 12:00', v.linked_at),
	       coalesce(date_diff('minute', TIMESTAMP '2026-01-01 12:00', v.ended_at)::VARCHAR, 'now')
	FROM visitors v JOIN identities i ON i.person = v.person AND i.principal ORDER BY v.visitor, v.linked_at`

// pooled are the addresses whose people stand for being pooled.
const pooled = `
	SELECT i.value FROM standing s JOIN identities i ON i.person = s.person AND i.principal
	WHERE s.purpose = 'pooling' AND s.granted_at > s.withdrawn_at ORDER BY i.value`

func TestLink(t *testing.T) {
	w := fresh(t)
	mustTake(t, w, "a", nil, ticket(email(t, "claire@example.org"), "1", "Icare", 1))
	empty(t, w, "standing", "consents")
	mustBatch(t, w, Batch{
		Consents: []Consent{said(1, 0, "analytics", true), said(1, 0, "pooling", true)},
		Links:    []Link{declares(1, 5, "claire@example.org"), declares(2, 5, "new@example.org")},
		Upto:     then(1),
	})
	wantRows(t, w, linked, "1 claire@example.org 5 now", "2 new@example.org 5 now")
	wantRows(t, w, pooled, "claire@example.org")
	wantRows(t, w, `SELECT import FROM people ORDER BY person`, "a", "tag")
	// Told again, nothing is new.
	mustBatch(t, w, Batch{Consents: []Consent{said(1, 0, "pooling", true)}, Links: []Link{declares(1, 5, "claire@example.org")}, Upto: then(2)})
	wantRows(t, w, `SELECT (SELECT count(*) FROM visitors), (SELECT count(*) FROM visitor_consents), (SELECT count(*) FROM consents)`, "2 2 1")
	// Without analytics the link ends, and what is granted later is nobody's.
	mustBatch(t, w, Batch{Consents: []Consent{said(1, 9, "analytics", false), said(2, 9, "analytics", false), said(2, 10, "pooling", true)}, Upto: then(3)})
	wantRows(t, w, linked, "1 claire@example.org 5 9", "2 new@example.org 5 9")
	wantRows(t, w, pooled, "claire@example.org")
	// A withdrawal is Claire's word still; what she declares anew holds.
	mustBatch(t, w, Batch{Consents: []Consent{said(1, 12, "pooling", false)}, Links: []Link{declares(2, 11, "new@example.org")}, Upto: then(4)})
	wantRows(t, w, linked, "1 claire@example.org 5 9", "2 new@example.org 5 9", "2 new@example.org 11 now")
	wantRows(t, w, pooled, "new@example.org")
	// Once it is withdrawn, a declaration from before leaves no trace.
	mustBatch(t, w, Batch{Links: []Link{declares(1, 8, "late@example.org")}, Upto: then(5)})
	wantRows(t, w, `SELECT count(*) FROM identities WHERE value = 'late@example.org'`, "0")
	// The history stays.
	wantRows(t, w, `SELECT granted, import FROM consents JOIN identities i USING (person) WHERE i.value = 'claire@example.org' ORDER BY said_at`, "true tag", "false tag")
}

// A browser that two people use is one of them at a time, and nobody inherits
// what the other granted.
func TestSharedBrowser(t *testing.T) {
	w := fresh(t)
	mustBatch(t, w, Batch{
		Consents: []Consent{said(1, 0, "pooling", true)},
		Links:    []Link{declares(1, 5, "claire@example.org"), declares(1, 10, "luc@example.org"), declares(1, 12, "luc@example.org")},
		Upto:     then(1),
	})
	wantRows(t, w, linked, "1 claire@example.org 5 10", "1 luc@example.org 10 now", "1 luc@example.org 12 now")
	wantRows(t, w, pooled, "claire@example.org")
	mustBatch(t, w, Batch{Consents: []Consent{said(1, 20, "pooling", true), said(1, 21, "pooling", false)}, Upto: then(2)})
	wantRows(t, w, pooled, "claire@example.org") // Luc's words do not touch her
	wantRows(t, w, `SELECT value, count(*) FROM consents JOIN identities USING (person) GROUP BY value ORDER BY value`, "claire@example.org 1", "luc@example.org 2")
}

// What a tag repeats with each of its requests is one word; what was changed in
// between is not.
func TestRepeatedWords(t *testing.T) {
	w := fresh(t)
	at := func(seconds int, granted bool) Consent {
		c := said(1, 0, "pooling", granted)
		c.At = c.At.Add(time.Duration(seconds) * time.Second)
		return c
	}
	mustBatch(t, w, Batch{Consents: []Consent{at(2, true), at(0, true), at(2, true)}, Upto: then(1)})
	mustBatch(t, w, Batch{Consents: []Consent{at(-1, true), at(5, true), said(2, 0, "pooling", true), said(1, 0, "analytics", true)}, Upto: then(2)})
	wantRows(t, w, `SELECT count(*) FROM visitor_consents WHERE purpose = 'pooling'`, "2")
	mustBatch(t, w, Batch{Consents: []Consent{at(8, false), at(9, false), at(11, true)}, Upto: then(3)})
	mustBatch(t, w, Batch{Consents: []Consent{at(9, false), at(12, true), at(90, true)}, Upto: then(4)})
	wantRows(t, w, `SELECT granted, date_diff('second', TIMESTAMP '2026-01-01 12:00', said_at) FROM visitor_consents
		WHERE purpose = 'pooling' AND visitor::VARCHAR LIKE '01%' ORDER BY said_at`, "true 0", "false 8", "true 11", "true 90")
}

// An account is somebody's once an import says whose it is.
func TestAccount(t *testing.T) {
	w := fresh(t)
	account := Link{Visitor: browser(1), At: minute(5), Kind: "account", Value: "77"}
	mustBatch(t, w, Batch{Consents: []Consent{said(1, 0, "pooling", true)}, Links: []Link{account}, Upto: then(1)})
	wantRows(t, w, `SELECT value, person IS NULL FROM visitors`, "77 true")
	wantRows(t, w, `SELECT count(*) FROM people`, "0")
	mustTake(t, w, "a", nil, ticket(email(t, "claire@example.org"), "1", "Icare", 1))
	empty(t, w, "standing", "consents")
	if _, err := w.db.Exec(`INSERT INTO identities SELECT person, 'account', '77', false FROM people`); err != nil {
		t.Fatal(err)
	}
	mustBatch(t, w, Batch{Links: []Link{account}, Upto: then(2)})
	wantRows(t, w, linked, "1 claire@example.org 5 now")
	wantRows(t, w, pooled, "claire@example.org")
}

// declarations is what becomes of consents and links again, the slow and
// obvious way.
type declarations struct {
	said   []Consent
	links  []Link
	heard  map[string][]Consent
	closed map[string]int // until when each row holds
}

func (m *declarations) take(b Batch) {
	m.said = append(m.said, b.Consents...)
	for _, l := range b.Links {
		if m.withdrawn(l) == 0 && !slices.Contains(m.links, l) {
			m.links = append(m.links, l)
		}
	}
	slices.SortFunc(m.links, func(a, b Link) int { return a.At.Compare(b.At) })
	m.closed = map[string]int{}
	for _, l := range m.links {
		if slices.ContainsFunc(slices.Concat(consentVisitors(b.Consents), linkVisitors(b.Links)), func(v VisitorID) bool { return v == l.Visitor }) {
			m.hear(l)
		}
	}
}

func consentVisitors(said []Consent) (ids []VisitorID) {
	for _, c := range said {
		ids = append(ids, c.Visitor)
	}
	return ids
}

func linkVisitors(links []Link) (ids []VisitorID) {
	for _, l := range links {
		ids = append(ids, l.Visitor)
	}
	return ids
}

func minutes(at time.Time) int { return int(at.Sub(noon).Minutes()) }

const never = 1 << 30

// withdrawn is when analytics was withdrawn first, at or after a declaration.
func (m *declarations) withdrawn(l Link) (at int) {
	for _, c := range m.said {
		if c.Visitor == l.Visitor && c.Purpose == "analytics" && !c.Granted && !c.At.Before(l.At) && (at == 0 || minutes(c.At) < at) {
			at = minutes(c.At)
		}
	}
	return at
}

// others are when somebody else was declared last before, and first after.
func (m *declarations) others(l Link) (before, after int) {
	before, after = -never, never
	for _, o := range m.links {
		if o.Visitor == l.Visitor && o.Value != l.Value {
			if o.At.Before(l.At) {
				before = max(before, minutes(o.At))
			} else {
				after = min(after, minutes(o.At))
			}
		}
	}
	return before, after
}

func (m *declarations) until(l Link) int {
	_, end := m.others(l)
	if at := m.withdrawn(l); at != 0 {
		end = min(end, at)
	}
	return end
}

func (m *declarations) hear(l Link) {
	before, after := m.others(l)
	for _, c := range m.said {
		at := minutes(c.At)
		if c.Visitor != l.Visitor || c.Purpose != "pooling" || slices.Contains(m.heard[l.Value], c) {
			continue
		}
		if c.Granted && at > before && at <= m.until(l) || !c.Granted && at <= after {
			m.heard[l.Value] = append(m.heard[l.Value], c)
		}
	}
}

func (m *declarations) linked() (rows []string) {
	for _, l := range m.links {
		end := "now"
		if at := m.until(l); at != never {
			end = strconv.Itoa(at)
		}
		rows = append(rows, fmt.Sprintf("%x %s %d %s", l.Visitor[0], l.Value, minutes(l.At), end))
	}
	slices.Sort(rows)
	return slices.Compact(rows)
}

func (m *declarations) pooled() (rows []string) {
	for name, words := range m.heard {
		granted, withdrawn := -1, -1
		for _, c := range words {
			if c.Granted {
				granted = max(granted, minutes(c.At))
			} else {
				withdrawn = max(withdrawn, minutes(c.At))
			}
		}
		if granted > withdrawn {
			rows = append(rows, name)
		}
	}
	slices.Sort(rows)
	return rows
}

// drawWords draws what is said about few visitors, each at a minute of its own.
func drawWords(t *rapid.T, at int) (b Batch) {
	visitor := byte(rapid.IntRange(1, 2).Draw(t, "visitor"))
	switch rapid.IntRange(0, 2).Draw(t, "what") {
	case 0:
		b.Links = []Link{declares(visitor, at, rapid.SampledFrom(addresses[:3]).Draw(t, "address"))}
	case 1:
		b.Consents = []Consent{said(visitor, at, "analytics", rapid.Bool().Draw(t, "granted"))}
	case 2:
		b.Consents = []Consent{said(visitor, at, "pooling", rapid.Bool().Draw(t, "granted"))}
	}
	return b
}

// TestLinksAgainstModel compares with plain loops who is who, and who stands
// for what, after words that come late, twice, and in batches of any size.
func TestLinksAgainstModel(t *testing.T) {
	w := fresh(t)
	position := int64(0)
	rapid.Check(t, func(rt *rapid.T) {
		empty(t, w, "people", "identities", "consents", "standing", "visitors", "visitor_consents")
		m := declarations{heard: map[string][]Consent{}}
		order := rapid.Permutation([]int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}).Draw(rt, "order")
		for len(order) > 0 {
			n := rapid.IntRange(1, len(order)).Draw(rt, "batch")
			position++
			b := Batch{Upto: then(position)}
			for _, at := range order[:n] {
				words := drawWords(rt, at)
				for range rapid.IntRange(1, 2).Draw(rt, "times") {
					b.Consents, b.Links = append(b.Consents, words.Consents...), append(b.Links, words.Links...)
				}
			}
			order = order[n:]
			mustBatch(t, w, b)
			m.take(b)
			for query, want := range map[string][]string{linked: m.linked(), pooled: m.pooled()} {
				got, err := texts(t.Context(), w.db, `SELECT concat_ws(' ', *COLUMNS(*)) FROM (`+query+`)`)
				slices.Sort(got)
				if err != nil || !slices.Equal(got, want) {
					rt.Fatalf("%s: %v\ngot  %q\nwant %q", query, err, got, want)
				}
			}
		}
	})
}
