package federation_test

import (
	"fmt"
	"testing"

	"coulisse/protocol"
	"coulisse/protocol/federation"
	. "coulisse/protocol/federation/federationtest"

	"pgregory.net/rapid"
)

// TestAssemblyAgainstAModel holds an assembly against a second, naive account
// of its rules: which document is accepted, and what each vote comes to.
func TestAssemblyAgainstAModel(t *testing.T) {
	reached := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel(t, rt, reached)
		for range rapid.IntRange(40, 120).Draw(rt, "steps") {
			m.step()
		}
		replayed(t, m.town)
	})
	t.Log(reached)
}

type voter = protocol.MemberID

// voice is a ballot in the model: who cast it, and what it says.
type voice struct {
	by     voter
	choice protocol.Choice
}

type motion struct {
	id      protocol.Hash
	author  voter
	effect  string
	opens   protocol.Millis
	closes  protocol.Millis
	opened  protocol.Millis
	support map[voter]bool
	over    bool
	ballots map[voter]voice
	from    int // charters so far when it was written
}

type lent struct {
	id          protocol.Hash
	by, to      voter
	from, until protocol.Millis
	at          protocol.Millis // when it was given
	gone        bool
}

type assembly struct {
	t         *rapid.T
	town      *Town
	reached   map[string]int
	motions   []*motion
	lent      []*lent
	out       map[voter]string // "left" or "suspended"
	rekeyed   map[voter]protocol.Millis
	changes   map[voter]int
	proxies   int
	cosigners int
	charters  int
}

func newModel(t *testing.T, rt *rapid.T, reached map[string]int) *assembly {
	town := Found(t, 6, func(c *protocol.Charter) {
		c.Chair = "membre-02"
		c.Ordinary.CastingVote, c.Ordinary.EachCollege = rapid.Bool().Draw(rt, "casting"), rapid.Bool().Draw(rt, "each")
		c.Ordinary.ExpressedQuorum = rapid.Bool().Draw(rt, "expressed")
		c.Colleges = []protocol.College{{Name: protocol.Text{FR: "L", EN: "V"}, Kinds: []protocol.MemberKind{protocol.KindHouse}}}
	})
	return &assembly{t: rt, town: town, reached: reached, out: map[voter]string{}, rekeyed: map[voter]protocol.Millis{},
		changes: map[voter]int{}, proxies: 2, cosigners: 1}
}

func (a *assembly) any(what string) *Member { return rapid.SampledFrom(a.town.Members).Draw(a.t, what) }

func (a *assembly) active(id voter) bool { return a.out[id] == "" }

func (a *assembly) roster() (n int) {
	for _, m := range a.town.Members {
		if a.active(m.ID) {
			n++
		}
	}
	return n
}

// expect holds what the log did against what the model says.
func (a *assembly) expect(what string, want bool, err error) bool {
	if (err == nil) != want {
		a.t.Fatalf("%s: the model says %v, the log %v", what, want, err)
	}
	a.reached[fmt.Sprint(what, " ", want)]++
	if err == nil && rapid.IntRange(0, 2).Draw(a.t, "same instant") == 0 {
		a.town.Now -= Second
	}
	return err == nil
}

func (a *assembly) step() {
	if rapid.IntRange(0, 9).Draw(a.t, "wait") == 0 {
		a.town.Now += rapid.SampledFrom([]protocol.Millis{Second, Hour, 12 * Hour, Day}).Draw(a.t, "a while")
	}
	kind := rapid.SampledFrom([]string{"propose", "cosign", "cosign", "ballot", "ballot", "ballot", "agenda", "agenda", "proxy", "proxy",
		"delegate", "delegate", "revoke", "withdraw", "close", "keys", "leave", "rush", "rush"}).Draw(a.t, "kind")
	switch kind {
	case "propose":
		a.propose()
	case "delegate":
		a.delegate()
	case "revoke":
		a.revoke()
	case "keys":
		m := a.any("member")
		if rapid.IntRange(0, 3).Draw(a.t, "really") == 0 && a.changes[m.ID] < 5 && a.expect("keys", a.out[m.ID] != "left", a.town.ChangeKeys(m)) {
			a.changes[m.ID]++
			at := a.town.Entries[len(a.town.Entries)-1].At
			a.rekeyed[m.ID] = at
		}
	case "leave":
		if rapid.IntRange(0, 14).Draw(a.t, "really") == 0 {
			a.leave(a.any("member"))
		}
	default:
		if len(a.motions) > 0 {
			a.about(kind, a.motion())
		}
	}
}

// motion is one of all, most often one that ballots are taken on.
func (a *assembly) motion() *motion {
	live := []*motion{}
	for _, q := range a.motions {
		if !q.over && a.town.Now <= q.closes {
			live = append(live, q)
		}
	}
	if len(live) > 0 && rapid.IntRange(0, 3).Draw(a.t, "live") > 0 {
		return rapid.SampledFrom(live).Draw(a.t, "motion")
	}
	return rapid.SampledFrom(a.motions).Draw(a.t, "motion")
}

func (a *assembly) leave(m *Member) {
	if a.roster() <= 3 {
		return
	}
	if a.expect("leave", a.out[m.ID] != "left", Vote(a.town, m, protocol.Leave{Member: m.ID})) {
		a.out[m.ID] = "left"
		for _, q := range a.motions {
			q.over = q.over || q.author == m.ID && q.opened == 0
		}
	}
}

func (a *assembly) about(kind string, q *motion) {
	switch kind {
	case "cosign":
		a.cosign(a.any("member"), q)
	case "ballot":
		m := a.any("member")
		a.ballot(m, m, q)
	case "agenda":
		motions := a.agenda()
		m := a.any("member")
		if by := a.proxyOf(m.ID, motions[0]); by != nil && rapid.Bool().Draw(a.t, "by proxy") {
			a.ballot(by, m, motions...)
		} else {
			a.ballot(m, m, motions...)
		}
	case "proxy":
		lent := []*lent{}
		for _, l := range a.lent {
			if !l.gone && (q.closes <= l.until || rapid.IntRange(0, 2).Draw(a.t, "out of its span") == 0) {
				lent = append(lent, l)
			}
		}
		if len(lent) > 0 && rapid.IntRange(0, 3).Draw(a.t, "as asked") > 0 {
			l := rapid.SampledFrom(lent).Draw(a.t, "lent")
			a.ballot(a.town.Member(l.to), a.town.Member(l.by), q)
			return
		}
		by, of := a.any("by"), a.any("of")
		if by != of {
			a.ballot(by, of, q)
		}
	case "withdraw":
		m := a.any("member")
		if a.expect("withdraw", a.active(m.ID) && a.mine(q, m.ID), Vote(a.town, m, protocol.Withdrawal{Proposal: q.id})) {
			q.over = true
		}
	case "close":
		a.close(q)
	case "rush": // support, then most vote or are voted for, then time passes
		if q.opened == 0 {
			a.cosign(a.any("support"), q)
			a.cosign(a.any("support"), q)
		}
		if q.opened > a.town.Now && !q.over {
			a.town.Now = q.opened
		}
		for _, m := range a.town.Members {
			motions := []*motion{q}
			if rapid.Bool().Draw(a.t, "all at once") {
				motions = a.open(q)
			}
			if by := a.proxyOf(m.ID, q); by != nil && rapid.Bool().Draw(a.t, "by proxy") {
				a.ballot(by, m, motions...)
			} else if rapid.IntRange(0, 4).Draw(a.t, "votes") > 0 {
				a.ballot(m, m, motions...)
			}
		}
		if rapid.Bool().Draw(a.t, "over") {
			a.town.Now = max(a.town.Now, q.closes+1)
			a.close(q)
		}
	}
}

// mine reports whether a member may still take a motion back.
func (a *assembly) mine(q *motion, by voter) bool {
	if q.over || q.author != by || q.opened == 0 && a.town.Now > q.closes {
		return false
	}
	for _, b := range q.ballots {
		if b.by != by {
			return false
		}
	}
	return true
}

func (a *assembly) effect() (string, protocol.Effect) {
	m := a.town.Members[5]
	switch kind := rapid.SampledFrom([]string{"policy", "policy", "suspend", "reinstate", "charter"}).Draw(a.t, "effect"); kind {
	case "suspend":
		return kind, protocol.Effect{Suspend: m.ID}
	case "reinstate":
		return kind, protocol.Effect{Reinstate: m.ID}
	case "charter":
		present := a.town.View().Charter
		from, err := present.ID()
		a.town.Must(err)
		present.MaxProxies, present.Cosigners = 3-a.proxies, 3-a.cosigners
		return kind, protocol.Effect{SetCharter: &protocol.CharterChange{Charter: present, From: from}}
	}
	return "policy", aPolicy
}

func (a *assembly) applies(effect string, from int) bool {
	switch effect {
	case "suspend":
		return a.out["membre-06"] == ""
	case "reinstate":
		return a.out["membre-06"] == "suspended"
	case "charter":
		// Every second charter is the first one again. It names a chair in good standing.
		return from%2 == a.charters%2 && a.active("membre-02")
	}
	return true
}

func (a *assembly) propose() {
	m := a.any("author")
	open := 0
	for _, q := range a.motions {
		if q.author == m.ID && !q.over {
			open++
		}
	}
	if open >= federation.MaxPending {
		return
	}
	name, e := a.effect()
	p := a.town.Proposal(e)
	p.Opens = rapid.SampledFrom([]protocol.Millis{0, 0, a.town.Now + Second, a.town.Now + Hour}).Draw(a.t, "opens")
	p.Closes = a.town.Now + rapid.SampledFrom([]protocol.Millis{2 * Hour, Day, 3 * Day}).Draw(a.t, "closes")
	want := a.active(m.ID) && a.applies(name, a.charters)
	var earlier *motion
	if len(a.motions) > 0 && rapid.IntRange(0, 3).Draw(a.t, "amend") == 0 {
		earlier = rapid.SampledFrom(a.motions).Draw(a.t, "amended")
		p.Amends = earlier.id
		want = want && a.mine(earlier, m.ID)
	}
	s := SignVote(a.town, m, p)
	if !a.expect("propose", want, Post(a.town, s)) {
		return
	}
	if earlier != nil {
		earlier.over = true
	}
	a.motions = append(a.motions, &motion{id: protocol.ID(a.town.Federation, s), author: m.ID, effect: name,
		opens: p.Opens, closes: p.Closes, support: map[voter]bool{}, ballots: map[voter]voice{}, from: a.charters})
}

func (a *assembly) cosign(m *Member, q *motion) {
	now := a.town.Now
	want := a.active(m.ID) && a.active(q.author) && m.ID != q.author && !q.support[m.ID] && q.opened == 0 && !q.over && now <= q.closes
	support := 1
	for id := range q.support {
		if a.active(id) {
			support++
		}
	}
	opens := want && support >= min(a.cosigners, a.roster()-1)
	want = want && !(opens && max(now, q.opens) >= q.closes)
	if a.expect("cosign", want, Vote(a.town, m, protocol.Cosign{Proposal: q.id})) {
		q.support[m.ID] = true
		if opens {
			q.opened = max(now, q.opens)
		}
	}
}

func (a *assembly) votable(q *motion) bool {
	return !q.over && q.opened != 0 && a.town.Now >= q.opened
}

func (a *assembly) carries(by, of voter, q *motion) bool {
	n := 0
	for id, b := range q.ballots {
		if b.by == by && id != by {
			n++
		}
	}
	for _, l := range a.lent {
		if !l.gone && l.by == of && l.from <= q.closes && q.closes <= l.until {
			// Given under keys that were replaced before the vote opened, it is void.
			fresh := l.at > a.rekeyed[of] || a.rekeyed[of] == 0 || a.keyed(l, q)
			return l.to == by && n < a.proxies && fresh
		}
	}
	return false
}

// keyed asks the log's own record of keys: a change after the delegation and
// before the opening voids it.
func (a *assembly) keyed(l *lent, q *motion) bool {
	_, err := a.town.View().CheckDelegation(a.signed(l), q.opened, q.closes)
	return err == nil
}

func (a *assembly) signed(l *lent) protocol.Signed[protocol.Delegation] {
	for _, d := range federation.Delegations(&a.town.Log, l.by) {
		if d.ID == l.id {
			return d.Signed
		}
	}
	a.t.Fatal("a delegation that stands is not in the state")
	panic(0)
}

// proxyOf is who may vote for a member, as far as spans go.
func (a *assembly) proxyOf(id voter, q *motion) *Member {
	for _, l := range a.lent {
		if !l.gone && l.by == id && l.from <= q.closes && q.closes <= l.until {
			return a.town.Member(l.to)
		}
	}
	return nil
}

func (a *assembly) delegate() {
	by, to, now := a.any("by"), a.any("to"), a.town.Now
	if rapid.Bool().Draw(a.t, "to one that many trust") {
		to = a.town.Members[0]
	}
	d := protocol.Delegation{To: to.ID, From: now - Hour}
	d.Until = now + rapid.SampledFrom([]protocol.Millis{-Second, Hour, 4 * Day, 9 * Day, 20 * Day}).Draw(a.t, "until")
	want := a.active(by.ID) && a.active(to.ID) && by != to && d.Until >= now
	for _, l := range a.lent {
		if !l.gone && l.by == by.ID && l.until >= now && l.from <= d.Until && d.From <= l.until {
			want = false
		}
	}
	s := SignVote(a.town, by, d)
	if a.expect("delegate", want, Post(a.town, s)) {
		for _, l := range a.lent {
			l.gone = l.gone || l.by == by.ID && l.until < now
		}
		a.lent = append(a.lent, &lent{id: protocol.ID(a.town.Federation, s), by: by.ID, to: to.ID, from: d.From, until: d.Until, at: now})
	}
}

func (a *assembly) revoke() {
	if len(a.lent) == 0 {
		return
	}
	l, m := rapid.SampledFrom(a.lent).Draw(a.t, "lent"), a.any("member")
	if rapid.Bool().Draw(a.t, "its own") {
		m = a.town.Member(l.by)
	}
	if a.expect("revoke", !l.gone && l.by == m.ID && a.active(m.ID), Vote(a.town, m, protocol.Revocation{Delegation: l.id})) {
		l.gone = true
	}
}
