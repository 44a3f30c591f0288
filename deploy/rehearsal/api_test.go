package rehearsal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"coulisse/deploy/rehearsal"
	"coulisse/node"
	"coulisse/node/api"
	"coulisse/node/importer"
	"coulisse/policies"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/record"
	"coulisse/protocol/refusal"
)

// serve answers on a member's socket until the test ends.
func serve(t *testing.T, m *rehearsal.Member) *api.Client {
	t.Helper()
	listener, err := api.Listen(m.Folder.Socket())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- api.Serve(ctx, listener, m.Node, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("the interface did not stop: %v", err)
		}
	})
	return api.NewClient(m.Folder.Socket())
}

// TestInterface does all that a member does through the socket.
func TestInterface(t *testing.T) {
	people := invent(1500, houses[:3]...)
	f := rehearsal.Found(t, houses[:3]...)
	first := f.Members[0]
	c := serve(t, first)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	t.Run("wrong requests", func(t *testing.T) { wrongRequests(t, first.Folder.Socket()) })
	t.Run("import", func(t *testing.T) { importOverSocket(t, ctx, c, people.tickets(first.ID)) })
	for _, m := range f.Members[1:] {
		f.Import(m, importer.Tickets, people.tickets(m.ID))
	}
	t.Run("segments", func(t *testing.T) { segmentsOverSocket(t, ctx, c, len(people.bought[first.ID])) })
	t.Run("votes", func(t *testing.T) { votesOverSocket(t, ctx, f, c) })
	t.Run("a refusal that does not leave", func(t *testing.T) { deniedOverSocket(t, ctx, first, c) })
	t.Run("an audience", func(t *testing.T) { audienceOverSocket(t, ctx, f, c, people) })
	t.Run("a status", func(t *testing.T) {
		s, err := c.Status(ctx)
		if err != nil || s.Member != first.ID || len(s.Troubles) > 0 || s.Budget.Spent == 0 || s.Tokens.Done != s.Tokens.Total || !s.Stewards.Ready {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

func wrongRequests(t *testing.T, socket string) {
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "/v1/nothing", "", 404, ""},
		{"DELETE", "/v1/status", "", 405, ""},
		{"POST", "/v1/proposals", "{", 400, `"reason":"usage"`},
		{"POST", "/v1/proposals", `{"unknown":1}`, 400, `"reason":"usage"`},
		{"POST", "/v1/proposals", `{}`, 422, `"reason":"malformed"`},
		{"POST", "/v1/proposals", strings.Repeat(" ", 2<<20), 413, "trop longue"},
		{"GET", "/v1/proposals/abc", "", 404, `"reason":"not-found"`},
		{"GET", "/v1/audiences/../../etc", "", 404, ""},
		{"POST", "/v1/audiences", `{"round":"zz"}`, 422, `"reason":"malformed"`},
		{"POST", "/v1/audiences/preview", `{}`, 422, `"reason":"malformed"`},
		{"POST", "/v1/audiences/draft", "houses: [", 422, "YAML"},
		{"POST", "/v1/imports?as_of=x", "a,b", 400, `"reason":"usage"`},
		{"POST", "/v1/imports?kind=films", "a,b", 422, `"reason":"file"`},
		{"POST", "/v1/imports?kind=people", "\x00\x01", 200, `"reason":"file"`}, // in its last line
		{"GET", "/v1/audiences/abcdef/people", "", 404, `"reason":"not-found"`},
		{"GET", "/v1/people/claire", "", 400, `"reason":"usage"`},
		{"GET", "/v1/people/999", "", 404, `"reason":"not-found"`},
		{"DELETE", "/v1/people/999", "", 404, `"reason":"not-found"`},
		{"GET", "/v1/people/999/copy", "", 404, `"reason":"not-found"`},
		{"PATCH", "/v1/people/999", `{"email":"info@example.org"}`, 422, `"reason":"malformed"`},
		{"POST", "/v1/people/find", `{"words":"personne@example.org"}`, 404, `"reason":"not-found"`},
		{"GET", "/v1/data?to=age1nobody", "", 422, "age1pq1"},
	} {
		request, err := http.NewRequest(c.method, "http://node"+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		reply, err := client.Do(request)
		if err != nil {
			t.Errorf("%s %s: %v", c.method, c.path, err)
			continue
		}
		said, _ := io.ReadAll(reply.Body)
		reply.Body.Close()
		if reply.StatusCode != c.status || !strings.Contains(string(said), c.says) {
			t.Errorf("%s %s: %d %.200s", c.method, c.path, reply.StatusCode, said)
		}
	}
}

func importOverSocket(t *testing.T, ctx context.Context, c *api.Client, csv string) {
	var report *importer.Report
	o := importer.Options{Kind: importer.Tickets, File: "ventes.csv"}
	tell := func(e node.ImportEvent) error {
		if e.Report != nil {
			report = e.Report
		}
		return nil
	}
	if err := c.Import(ctx, strings.NewReader(csv), o, tell); err != nil {
		t.Fatal(err)
	}
	if report == nil || report.Kept != int64(strings.Count(csv, "\n")-1) || report.File != "ventes.csv" {
		t.Errorf("report %+v", report)
	}
	var fault *api.Fault
	if err := c.Import(ctx, strings.NewReader(csv), o, tell); !errors.As(err, &fault) || fault.Reason != api.ReasonTaken {
		t.Errorf("the same file again: %v", err)
	}
	imports, err := c.Imports(ctx)
	if err != nil || len(imports) != 1 {
		t.Errorf("%d imports, %v", len(imports), err)
	}
}

func segmentsOverSocket(t *testing.T, ctx context.Context, c *api.Client, everybody int) {
	d := protocol.Definition{Name: "danse", Title: protocol.Text{FR: "Danse", EN: "Dance"}, Disciplines: []string{"dance"}}
	if _, err := c.SaveSegment(ctx, d, false); err != nil {
		t.Fatal(err)
	}
	count, err := c.CountSegment(ctx, "danse")
	if err != nil || count.People != int64(everybody) {
		t.Errorf("%+v, want %d, %v", count, everybody, err)
	}
	list, err := c.Segments(ctx)
	if err != nil || len(list) != 1 || !strings.Contains(list[0].Words.FR, "danse") {
		t.Errorf("%+v, %v", list, err)
	}
	// What is not offered to pooled audiences does not enter one.
	file := strings.Replace(string(written(2)), "definition: {disciplines: [dance]}", "segment: danse", 1)
	if _, err := c.Draft(ctx, []byte(file)); err == nil || !strings.Contains(refusal.Words(err).EN, "--pooled") {
		t.Errorf("a segment that is not offered: %v", err)
	}
	if err := c.DeleteSegment(ctx, "autre"); err == nil {
		t.Error("a segment that is not there was deleted")
	}
}

func votesOverSocket(t *testing.T, ctx context.Context, f *rehearsal.Federation, c *api.Client) {
	shipped := policies.Shipped()[0]
	words := protocol.Text{FR: "Compter ensemble", EN: "Count together"}
	id, err := c.Propose(ctx, protocol.Proposal{Title: words, Reason: words, Closes: protocol.At(time.Now().Add(time.Hour)),
		Effect: protocol.Effect{SetPolicy: &protocol.PolicyText{Name: shipped.Name, Text: shipped.Text}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Cosign(ctx, id.Short()); err == nil {
		t.Error("an organisation supported its own proposal")
	}
	second := serve(t, f.Members[1])
	f.Eventually("the proposal at the second member", func() bool { _, err := second.Proposal(ctx, id.Short()); return err == nil })
	if err := second.Cosign(ctx, id.Short()); err != nil {
		t.Fatal(err)
	}
	f.Eventually("the open vote", func() bool {
		page, err := c.Proposal(ctx, id.Short())
		return err == nil && page.State == federation.ProposalOpen
	})
	if err := c.Vote(ctx, api.Ballot{Votes: []node.Vote{{Choice: protocol.For, Proposal: id.Short()}}}); err != nil {
		t.Fatal(err)
	}
	if err := c.Vote(ctx, api.Ballot{Votes: []node.Vote{{Choice: protocol.Against, Proposal: id.Short()}}}); err == nil {
		t.Error("a ballot was changed")
	}
	for _, m := range f.Members[1:] {
		f.Vote(m, id, protocol.For)
	}
	f.Decided(id)
	page, err := c.Proposal(ctx, id.String())
	if err != nil || page.State != federation.ProposalCarried || page.Outcome == nil || !page.Outcome.Recounted || len(page.Lines) == 0 || len(page.Ballots) != 3 {
		t.Errorf("%+v, %v", page, err)
	}
	f.Decide(protocol.Effect{ElectStewards: &protocol.StewardRoll{Members: houses[:2], Threshold: 2}})
	chain, err := c.Decisions(ctx, id.Short())
	if err != nil || len(chain.Decisions) != 1 {
		t.Fatalf("%d decisions, %v", len(chain.Decisions), err)
	}
	if _, err := chain.Verify(f.ID); err != nil {
		t.Errorf("the chain that came over the socket does not verify: %v", err)
	}
	list, err := c.Policies(ctx)
	if err != nil || len(list) != 3 || list[0].Decision != 1 {
		t.Errorf("%+v, %v", list, err)
	}
}

// written is the file that a member writes for an audience.
func written(threshold int) []byte {
	return fmt.Appendf(nil, `title: {fr: Danse, en: Dance}
definition: {disciplines: [dance]}
houses: all
rule: {at_least: %d}
deadline: 2m
`, threshold)
}

func ready(t *testing.T, ctx context.Context, c *api.Client) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) { // between two looks
		s, err := c.Status(ctx)
		if err == nil && s.Stewards.Ready && s.Tokens.Done == s.Tokens.Total {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the key never came: %+v, %v", s, err)
		}
	}
}

func deniedOverSocket(t *testing.T, ctx context.Context, m *rehearsal.Member, c *api.Client) {
	ready(t, ctx, c)
	d, err := c.Draft(ctx, written(1))
	if err != nil || d.Decision.Allowed || len(d.Own) != 1 {
		t.Fatalf("%+v, %v", d, err)
	}
	before, err := m.Node.Rounds()
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Run(ctx, d.Manifest)
	var fault *api.Fault
	if !errors.As(err, &fault) || fault.Reason != api.ReasonDenied {
		t.Fatalf("%v", err)
	}
	words := refusal.Words(err)
	if !strings.Contains(words.FR, "La charte exige 2 ou plus") || !strings.Contains(words.EN, "What would pass") {
		t.Errorf("%+v", words)
	}
	if after, err := m.Node.Rounds(); err != nil || len(after) != len(before) {
		t.Errorf("%d rounds became %d: it left the node", len(before), len(after))
	}
}

func audienceOverSocket(t *testing.T, ctx context.Context, f *rehearsal.Federation, c *api.Client, people public) {
	d, err := c.Draft(ctx, written(2))
	if err != nil || !d.Decision.Allowed {
		t.Fatalf("%+v, %v", d.Decision, err)
	}
	// The members decide something before it is posted: it is drawn up again.
	f.Decide(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}})
	id, err := c.Run(ctx, d.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	if id == d.Manifest.Round {
		t.Error("the round was not drawn up again under the last decision")
	}
	var last node.RoundProgress
	events := 0
	if err := c.Follow(ctx, string(id), func(p node.RoundProgress) error { last, events = p, events+1; return nil }); err != nil {
		t.Fatal(err)
	}
	if last.Stage != federation.Closed || events < 2 {
		t.Fatalf("after %d events the round is %s: %s", events, last.Stage, last.Reason.EN)
	}
	checkSize(t, last, people)
	page, err := c.Audience(ctx, string(id)[:8])
	if err != nil || !page.Spent || page.Decision != 3 || len(page.Answers) != 3 || len(page.Timeline) < 10 || page.People != nil {
		t.Errorf("%+v, %v", page, err)
	}
	if err := c.People(ctx, string(id), func(api.Person) error { return nil }); err == nil {
		t.Error("a house that is no recipient has people")
	}
	files, err := c.Files(ctx, string(id))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := record.Verify(f.ID, files.Proof.Content, files.CSV, files.JSON); err != nil {
		t.Error(err)
	}
	if !bytes.Contains(files.CSV.Content, fmt.Appendf(nil, ",%d,%d,%d,", last.Size.Value, last.Size.Low, last.Size.High)) {
		t.Errorf("the CSV has other figures:\n%s", files.CSV.Content)
	}
}
