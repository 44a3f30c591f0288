package cli

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coulisse/node"
	"coulisse/node/api"
	"coulisse/node/tokens"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/federation/federationtest"
	"coulisse/protocol/record"
)

var update = flag.Bool("update", false, "write the golden screens again")

func hash(c string) protocol.Hash { return protocol.HashOf([]byte(c)) }

// assembly is a page with all that an assembly may show: colleges, a proxy, an
// earlier version, and what the change would have refused.
func assembly() node.ProposalPage {
	at := func(day, hour int) protocol.Millis {
		return protocol.At(time.Date(2026, 12, day, hour, 0, 0, 0, time.UTC))
	}
	count := func(f, a, n int) protocol.Count { return protocol.Count{For: f, Against: a, Abstain: n} }
	return node.ProposalPage{
		ProposalLine: node.ProposalLine{
			ID: hash("p"), Title: text("Ne désigner personne", "Single nobody out"),
			Effect: text("Adopter la politique «\u00a0no-singling-out\u00a0»", "Adopt the policy “no-singling-out”"),
			By:     "theatre-du-fleuve", State: federation.ProposalOpen, Closes: at(18, 23),
			Tally: protocol.Tally{Members: 5, Count: count(2, 1, 0)}, Voted: protocol.For, Carries: []protocol.MemberID{"le-phare"},
		},
		Reason: text("Nos publics nous confient leurs soirées. Une étiquette ne doit pas dire où quelqu'un était tel soir, même à une maison amie.",
			"Our publics entrust their evenings to us. A label must not tell where somebody was on a given evening, not even to a house that is a friend."),
		Cosigners: []protocol.MemberID{"agora", "echo-du-nord"}, CosignersNeeded: 2, OpenedAt: at(4, 9), Amends: hash("old"), CanVote: true,
		VersionChanges: []protocol.Text{text("La règle few-rounds disparaît.", "The rule few-rounds goes.")},
		Changes:        []protocol.Text{text("La règle no-single-evening s'ajoute.", "The rule no-single-evening is added.")},
		Rule: text("quorum de 50\u00a0%, plus de voix pour que contre, et dans chaque collège, agora tranche en cas d'égalité, ouvert 7 jours à 30 jours",
			"quorum of 50%, more for than against, and so in each college, agora settles a tie, open for 7 days to 30 days"),
		Needed: 3, Missing: []protocol.MemberID{"le-phare", "moulin"},
		Ballots: []node.Ballot{
			{Member: "agora", Choice: protocol.For}, {Member: "echo-du-nord", Choice: protocol.Against},
			{Member: "theatre-du-fleuve", Choice: protocol.For, Proxy: "agora"},
		},
		Colleges: []node.College{{Name: text("Maisons", "Houses"), Count: count(2, 0, 0)}, {Name: text("Médias", "Media"), Count: count(0, 1, 0)}},
		Simulation: &node.Simulation{
			Since: at(1, 0) - protocol.Millis(node.SimulateSince.Milliseconds()), Asked: 12, Allowed: 11, Permitted: []node.SimulatedRound{},
			Refused: []node.SimulatedRound{{
				Round: "0123456789abcdef0123456789abcdef", Title: text("Le public du 7 novembre", "The public of 7 November"), At: at(1, 15), By: "agora",
				Participants: []protocol.MemberID{"agora", "echo-du-nord", "moulin"},
				Why: []protocol.Text{text("Une étiquette ne dit pas où était quelqu'un tel soir. La période la plus courte de cette demande, en jours, est de 1.",
					"A label does not tell where somebody was on a given evening. The shortest period of this request, in days, is 1.")},
			}},
		},
	}
}

func TestScreens(t *testing.T) {
	zone := time.Local
	time.Local = time.FixedZone("EST", -5*3600)
	t.Cleanup(func() { time.Local = zone })
	page := assembly()
	status := node.Status{
		Member: "agora", Name: text("Agora", "Agora"), FederationName: text("La ville", "The town"), Members: 5, Standing: node.StandingGood,
		Workers: []protocol.MemberID{"moulin", "echo-du-nord"},
		Fees:    []protocol.Fee{{Kind: protocol.KindHouse, Cents: 50_000}, {Kind: protocol.KindMedia, Cents: 25_050}},
		Delegations: []node.Delegation{
			{ID: hash("d1"), By: "agora", To: "moulin", From: page.OpenedAt, Until: page.Closes},
			{ID: hash("d2"), By: "le-phare", To: "agora", From: page.OpenedAt, Until: page.Closes},
		},
		Tokens:    tokens.Progress{Epoch: 2, Done: 120_000, Total: 400_000, Left: 12 * 60 * 1000},
		Migration: &node.Migration{Epoch: 2, Until: page.Closes, Made: true, Moved: 3, Missing: []protocol.MemberID{"agora", "moulin"}},
		Votes:     []node.ProposalLine{page.ProposalLine}, Certificate: page.Closes.Time(),
		Troubles: []node.Trouble{{What: text("Votre organisation est suspendue par un vote.", "Your organisation is suspended by a vote."),
			Do: text("Un autre membre peut proposer de la rétablir.", "Another member may propose to reinstate it.")}},
	}
	for name, write := range map[string]func(*printer){
		"proposal": func(p *printer) { p.proposal(page) }, "status": func(p *printer) { p.status(status) },
		"simulation": func(p *printer) { p.simulation(*page.Simulation) },
	} {
		for _, lang := range []string{"fr", "en"} {
			var b bytes.Buffer
			p := &printer{out: &b, lang: lang}
			if write(p); p.err != nil {
				t.Fatal(p.err)
			}
			checkScreen(t, filepath.Join("testdata", "screens", name+"."+lang+".txt"), b.Bytes())
		}
	}
}

// checkScreen compares a screen with the golden one, and with how wide a
// terminal is.
func checkScreen(t *testing.T, path string, got []byte) {
	t.Helper()
	for line := range strings.Lines(string(got)) {
		if width := len([]rune(strings.TrimRight(line, "\n"))); width > screen {
			t.Errorf("%s: a line of %d columns: %s", path, width, line)
		}
	}
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; if that is meant, run with -update:\n%s", path, got)
	}
}

// A chain lists what was done without a vote among what was voted.
func TestChainWithActs(t *testing.T) {
	town := federationtest.Found(t, 4)
	town.Must(town.ChangeKeys(town.Members[1]))
	town.Must(federationtest.Vote(town, town.Members[3], protocol.Leave{Member: town.Members[3].ID}))
	town.Decide(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}})
	chain, err := record.ChainOf(&town.Log, town.View().Decisions)
	town.Must(err)
	_, err = chain.Verify(town.Federation)
	town.Must(err)
	var b bytes.Buffer
	p := &printer{out: &b, lang: "en"}
	p.chain(chain, town.Federation)
	town.Must(p.err)
	for _, want := range []string{"membre-02 changed its keys", "membre-04 left the federation", "carried"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in the chain:\n%s", want, b.String())
		}
	}
}

// What ends on a day ends with it; what begins on it begins with it.
func TestDates(t *testing.T) {
	zone := time.Local
	var err error
	if time.Local, err = time.LoadLocation("America/Toronto"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { time.Local = zone })
	for _, c := range []struct {
		text  string
		later time.Duration
		want  string
	}{
		{"2026-12-04", 0, "2026-12-04 00:00 EST"}, {"2026-12-04", wholeDay, "2026-12-04 23:59 EST"},
		{"2026-03-08", wholeDay, "2026-03-08 23:59 EDT"}, // a day of 23 hours
		{"2026-12-04 18:00", wholeDay, "2026-12-04 18:00 EST"}, {"2026-07-01T09:30", 0, "2026-07-01 09:30 EDT"},
	} {
		at, err := instantOf("--closes", c.text, c.later)
		if got := (&printer{lang: "en"}).instant(at); err != nil || got != c.want {
			t.Errorf("%s: %s, %v; want %s", c.text, got, err, c.want)
		}
	}
	if _, err := instantOf("--closes", "4/12/2026", 0); err == nil {
		t.Error("4/12/2026 passes for a date")
	}
}

// A title is its author's words, and does not pass for a vote that is not on the
// ballot.
func TestBallotIsALineAVote(t *testing.T) {
	var b bytes.Buffer
	p := &printer{out: &b, lang: "en"}
	lines := []node.ProposalLine{
		{ID: hash("p"), Title: text("Un", "One\n  148de9c5a7a4  for          Another\r\x1b[1A")}, {ID: hash("q"), Title: text("Deux", "Two")},
	}
	ballot := api.Ballot{Votes: []node.Vote{{Choice: protocol.For}, {Choice: protocol.Against}}}
	p.votes(ballot, lines, func(line node.ProposalLine) string { return line.Title.In(p.lang) })
	if got := strings.Split(strings.TrimSpace(b.String()), "\n"); len(got) != 2 || !strings.HasPrefix(got[1], "  "+hash("q").Short()) {
		t.Errorf("%q", got)
	}
}
