package record_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"coulisse/crypto/dp"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	. "coulisse/protocol/federation/federationtest"
	"coulisse/protocol/governance"
	"coulisse/protocol/record"
)

// exported is the files of a round whose second part is under the floor, and
// whose titles are made to trouble a spreadsheet.
func exported(t *testing.T) (*Town, record.Statement, record.Files) {
	t.Helper()
	town := Found(t, 3).Keyed()
	m := town.Manifest(town.Members[0], town.Members[1])
	m.Title = protocol.Text{FR: "=1+1; «\u00a0Été\u00a0»", EN: "@SUM(A1), \"quoted\"\nsecond line"}
	m.Sources[0].Definition.Title = protocol.Text{FR: "+danse", EN: "-dance"}
	r := town.Begin(m)
	r = town.Advance(r.ID, federation.Opened)
	result := town.Result(r)
	result.Sources[1].Figure = protocol.Figure{Variance: m.Noise.Sources, Suppressed: protocol.BelowFloor}
	town.Must(State(town, result))
	rec, err := record.Build(&town.Log, r.ID)
	town.Must(err)
	rec.Heading = SignReplica(town, protocol.Heading{Head: town.Head(), At: town.Now})
	s, err := rec.Verify(town.Federation)
	town.Must(err)
	f, err := rec.Files(s)
	town.Must(err)
	return town, s, f
}

// TestCSV reads the figures back as a stranger's program would.
func TestCSV(t *testing.T) {
	_, s, f := exported(t)
	rows, err := csv.NewReader(bytes.NewReader(f.CSV.Content)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	header := "round,figure,source,member,value,low_95,high_95,noise_variance,suppressed,reason_fr,reason_en,title_fr,title_en"
	if got := strings.Join(rows[0], ","); got != header {
		t.Errorf("header %s", got)
	}
	if len(rows) != 2+len(s.Manifest.Sources) {
		t.Fatalf("%d rows", len(rows))
	}
	size := rows[1]
	for i, want := range map[int]int64{4: s.Result.Size.Value, 5: s.Result.Size.Low, 6: s.Result.Size.High, 7: int64(s.Manifest.Noise.Total)} {
		if got, err := strconv.ParseInt(size[i], 10, 64); err != nil || got != want {
			t.Errorf("%s is %q, not %d", rows[0][i], size[i], want)
		}
	}
	hidden := rows[3]
	if hidden[1] != "part" || hidden[4]+hidden[5]+hidden[6] != "" || hidden[8] != "below-floor" ||
		!strings.Contains(hidden[9], "plancher") || !strings.Contains(hidden[10], "floor") {
		t.Errorf("a suppressed figure: %q", hidden)
	}
	for _, row := range rows[1:] {
		for i, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
				t.Errorf("%s would be a formula: %q", rows[0][i], cell)
			}
		}
	}
	if size[11] != "'=1+1; «\u00a0Été\u00a0»" || rows[2][11] != "'+danse" {
		t.Errorf("titles %q and %q", size[11], rows[2][11])
	}
}

func TestFiguresJSON(t *testing.T) {
	town, s, f := exported(t)
	var got struct {
		Format, Round, Federation string
		Size                      struct{ Value, Low, High int64 }
		Parts                     []struct {
			Source, Suppressed string
			Value              *int64
			Reason             struct{ FR, EN string }
		}
		Cost int64 `json:"cost_nano_rho"`
	}
	if err := json.Unmarshal(f.JSON.Content, &got); err != nil {
		t.Fatal(err)
	}
	if got.Format != record.FiguresFormat || got.Round != string(s.Manifest.Round) || got.Federation != town.Federation.String() ||
		got.Size.Value != s.Result.Size.Value || got.Size.Low != s.Result.Size.Low || got.Cost != int64(s.Reserve.Cost) {
		t.Errorf("%+v", got)
	}
	if hidden := got.Parts[1]; hidden.Value != nil || hidden.Suppressed != "below-floor" || hidden.Reason.FR == "" || hidden.Reason.EN == "" {
		t.Errorf("a suppressed figure: %+v", hidden)
	}
}

func TestVerifyFiles(t *testing.T) {
	town, s, f := exported(t)
	got, err := record.Verify(town.Federation, f.Proof.Content, f.CSV, f.JSON)
	if err != nil || got.Manifest.Round != s.Manifest.Round {
		t.Fatal(err)
	}
	if _, err := record.Verify(protocol.HashOf(nil), f.Proof.Content); !errors.Is(err, record.ErrRecord) {
		t.Errorf("another federation: %v", err)
	}
	replaced := func(f record.File, old, new string) record.File {
		content := bytes.Replace(f.Content, []byte(old), []byte(new), 1)
		if bytes.Equal(content, f.Content) {
			t.Fatalf("%s does not hold %s", f.Name, old)
		}
		return record.File{Name: f.Name, Content: content}
	}
	altered := strconv.FormatInt(s.Result.Size.Value+1, 10)
	stated := strconv.FormatInt(s.Result.Size.Value, 10)
	for name, companion := range map[string]record.File{
		"another size in the CSV":  replaced(f.CSV, stated, altered),
		"another size in the JSON": replaced(f.JSON, stated, altered),
		"a byte more":              {Name: f.CSV.Name, Content: append(bytes.Clone(f.CSV.Content), '\n')},
		"another round's name":     {Name: "x" + f.CSV.Name, Content: f.CSV.Content},
		"the one as the other":     {Name: f.CSV.Name, Content: f.JSON.Content},
	} {
		if _, err := record.Verify(town.Federation, f.Proof.Content, companion); !errors.Is(err, record.ErrAltered) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Whoever alters a file and its digest together is caught as well.
	csv := replaced(f.CSV, stated, altered)
	proof := replaced(f.Proof, protocol.HashOf(f.CSV.Content).String(), protocol.HashOf(csv.Content).String())
	if _, err := record.Verify(town.Federation, proof.Content, csv); !errors.Is(err, record.ErrRecord) {
		t.Errorf("a file altered with its digest: %v", err)
	}
}

func TestChain(t *testing.T) {
	town := Found(t, 3)
	town.Decide(protocol.Effect{SetPolicy: &protocol.PolicyText{Name: "une", Text: "x"}})
	town.Decide(protocol.Effect{RemovePolicy: "une"})
	chain, err := record.ChainOf(&town.Log, 2)
	town.Must(err)
	view, err := chain.Verify(town.Federation)
	if err != nil || view.Decisions != 2 || len(view.Policies) != 0 {
		t.Fatalf("%d decisions, %v", view.Decisions, err)
	}
	if _, err := chain.Verify(protocol.HashOf(nil)); !errors.Is(err, record.ErrRecord) {
		t.Errorf("another federation: %v", err)
	}
	chain.Decisions[0], chain.Decisions[1] = chain.Decisions[1], chain.Decisions[0]
	if _, err := chain.Verify(town.Federation); !errors.Is(err, record.ErrRecord) {
		t.Errorf("decisions in another order: %v", err)
	}
}

// A ballot is left out, and all that follows from it set right: the recount of
// the chain finds nothing, the log does.
func TestChainAgainstTheLog(t *testing.T) {
	town := Found(t, 4)
	id := town.Open(protocol.Effect{SetPolicy: &protocol.PolicyText{Name: "une", Text: "x"}})
	for i, m := range town.Members {
		choice := protocol.For
		if i > 1 {
			choice = protocol.Against
		}
		town.Must(Vote(town, m, protocol.NewBallot(protocol.Vote{Proposal: id, Choice: choice})))
	}
	town.Now += 2 * Day
	town.Must(State(town, protocol.Close{Proposal: id}))
	chain, err := record.ChainOf(&town.Log, 1)
	town.Must(err)
	if err := chain.Compare(&town.Log); err != nil || chain.Decisions[0].Carried {
		t.Fatal("an honest chain:", err)
	}
	before, err := governance.Begin(town.Founding)
	town.Must(err)
	forged := chain.Decisions[0]
	forged.Ballots, chain.Ballots = forged.Ballots[:3], chain.Ballots[:3]
	forged, err = before.Decide(forged, town.Ballots())
	town.Must(err)
	chain.Decisions = []protocol.Decision{forged}
	if _, err := chain.Verify(town.Federation); err != nil || !forged.Carried {
		t.Fatal("the forgery is not what this test is about:", err)
	}
	if err := chain.Compare(&town.Log); !errors.Is(err, record.ErrRecord) {
		t.Errorf("a ballot was left out: %v", err)
	}
	if err := (record.Chain{Decisions: append(federation.Decisions(&town.Log, 0), forged)}).Compare(&town.Log); !errors.Is(err, record.ErrRecord) {
		t.Errorf("a log that ends before: %v", err)
	}
}

// TestChainOfAnAgenda: ballots that hold an agenda are in the file once, and count
// on each of its proposals to whoever has the file alone.
func TestChainOfAnAgenda(t *testing.T) {
	town := Found(t, 3)
	var agenda []protocol.Vote
	for i := range 5 {
		id := town.Open(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: dp.NanoRho(i + 1)}})
		agenda = append(agenda, protocol.Vote{Choice: protocol.For, Proposal: id})
	}
	for _, m := range town.Members {
		town.Must(Vote(town, m, protocol.NewBallot(agenda...)))
	}
	for _, v := range agenda {
		town.Must(State(town, protocol.Close{Proposal: v.Proposal}))
	}
	chain, err := record.ChainOf(&town.Log, 5)
	town.Must(err)
	file, err := protocol.Indented(chain)
	town.Must(err)
	read, err := protocol.DecodeFile[record.Chain](file)
	town.Must(err)
	if view, err := read.Verify(town.Federation); err != nil || view.Last != town.View().Last || len(read.Ballots) != 3 {
		t.Fatalf("%d ballots, %v", len(read.Ballots), err)
	}
	for name, ballots := range map[string][]protocol.Signed[protocol.Ballot]{
		"one missing": read.Ballots[1:], "one twice": append(slices.Clone(read.Ballots), read.Ballots[0]),
		"one spare":   append(slices.Clone(read.Ballots), SignVote(town, town.Members[0], protocol.NewBallot(agenda[0]))),
		"one instead": append(slices.Clone(read.Ballots[1:]), SignVote(town, town.Members[0], protocol.NewBallot(agenda...))),
	} {
		bad := read
		bad.Ballots = ballots
		if _, err := bad.Verify(town.Federation); !errors.Is(err, record.ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestChainHoldsNothingTwice: a vote that was taken once is not carried out again
// further down, and an act holds nothing that nobody counts.
func TestChainHoldsNothingTwice(t *testing.T) {
	town := Found(t, 3)
	town.Decide(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1000}})
	town.Must(town.ChangeKeys(town.Members[2]))
	chain, err := record.ChainOf(&town.Log, 2)
	town.Must(err)
	view, err := chain.Verify(town.Federation)
	town.Must(err)
	spare := SignVote(town, town.Members[0], protocol.NewBallot(protocol.Vote{Choice: protocol.For, Proposal: protocol.HashOf(nil)}))
	for name, edit := range map[string]func(*record.Chain){
		"decided twice": func(c *record.Chain) {
			d := c.Decisions[0]
			d.Number, d.Previous = 3, view.Last
			d.Roster, err = view.RosterHash()
			town.Must(err)
			c.Decisions = append(c.Decisions, d)
		},
		"an act that names a ballot": func(c *record.Chain) {
			c.Decisions[1].Ballots = []protocol.Hash{protocol.HashOf(nil)}
			c.Ballots = append(c.Ballots, spare)
		},
		"an act that has an outcome": func(c *record.Chain) { c.Decisions[1].Carried = true },
	} {
		bad := chain
		bad.Decisions, bad.Ballots = slices.Clone(chain.Decisions), slices.Clone(chain.Ballots)
		edit(&bad)
		if _, err := bad.Verify(town.Federation); !errors.Is(err, governance.ErrChain) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzVerify: no file makes the verifier fail otherwise than by refusing.
func FuzzVerify(f *testing.F) {
	f.Add([]byte(`{"files":[],"format":"coulisse-proof/1","record":{}}`))
	f.Add([]byte("{}"))
	f.Add([]byte("round,figure\n"))
	f.Fuzz(func(t *testing.T, proof []byte) {
		if _, err := record.Verify(protocol.HashOf([]byte("f")), proof); !errors.Is(err, record.ErrRecord) {
			t.Fatal(err)
		}
	})
}
