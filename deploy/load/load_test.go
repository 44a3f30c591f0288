package load

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"coulisse/node/identity"
	"coulisse/node/importer"

	_ "github.com/duckdb/duckdb-go/v2"
)

func population(t testing.TB, s Shape) (*Population, Answer) {
	t.Helper()
	p, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := p.Count(context.Background(), 2)
	if err != nil {
		t.Fatal(err)
	}
	return p, answer
}

// TestOracle holds the answer against a database that reads the files: it groups
// text, and knows nothing of numbers, seeds or chances.
func TestOracle(t *testing.T) {
	for _, tickets := range []bool{false, true} {
		for _, members := range []int{7, 150} {
			p, answer := population(t, Shape{Seed: 5, Rows: 20_000, Members: members})
			dir := t.TempDir()
			if err := p.WriteFiles(context.Background(), dir, tickets); err != nil {
				t.Fatal(err)
			}
			got := ask(t, dir, answer)
			if !reflect.DeepEqual(got, answer) {
				t.Errorf("%d members, tickets %v: the files say %d rows and %d people at two members, the answer %d and %d, or some member or the spread differs",
					members, tickets, got.Rows, got.Total, answer.Rows, answer.Total)
			}
		}
	}
}

// ask has the database answer what can be read from the files: all but how many
// people are nowhere.
func ask(t *testing.T, dir string, want Answer) Answer {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // each would be another database
	for _, sql := range []string{
		"CREATE TABLE files AS SELECT DISTINCT email, filename FROM read_csv('" + filepath.Join(dir, "*.csv") + "', filename=true)",
		"CREATE TABLE known AS SELECT email, count(*) AS members FROM files GROUP BY email",
	} {
		if _, err := db.Exec(sql); err != nil {
			t.Fatal(err)
		}
	}
	got := Answer{AtLeast: 2, People: want.People, Spread: make([]int64, len(want.Spread)), Members: make([]MemberAnswer, len(want.Members))}
	got.Spread[0] = want.Spread[0]
	one := func(sql string, arg any, into ...any) {
		if err := db.QueryRow(sql, arg).Scan(into...); err != nil {
			t.Fatal(err)
		}
	}
	one("SELECT sum(members), count(*) FILTER (members >= ?) FROM known", 2, &got.Rows, &got.Total)
	for n := 1; n < len(got.Spread); n++ {
		one("SELECT count(*) FROM known WHERE members = ?", n, &got.Spread[n])
	}
	for i := range got.Members {
		one("SELECT count(*), count(*) FILTER (members >= 2) FROM files JOIN known USING (email) WHERE filename LIKE ?",
			"%"+Name(i)+".csv", &got.Members[i].People, &got.Members[i].Holds)
	}
	return got
}

// TestShape says that the drawn country is the one that DESIGN.md describes.
func TestShape(t *testing.T) {
	p, answer := population(t, Shape{Seed: 1, Rows: 310_000, Members: 150})
	if off := math.Abs(float64(answer.Rows)/310_000 - 1); off > 0.01 {
		t.Errorf("%d rows of 310,000", answer.Rows)
	}
	if largest := answer.Members[0].People; math.Abs(float64(largest)/30_000-1) > 0.05 {
		t.Errorf("the largest member has %d of %d people", largest, p.People())
	}
	for i, m := range answer.Members {
		// Six standard deviations of a sum of independent draws.
		if off := math.Abs(float64(m.People) - p.targets[i]); off > 6*math.Sqrt(p.targets[i])+1 {
			t.Errorf("%s has %d people, was to have %.0f", Name(i), m.People, p.targets[i])
		}
	}
	// With people who do not differ, half as many would be at two members: the
	// communities are what makes them overlap. These bounds are wide on purpose.
	if part := float64(answer.Total) / float64(answer.People); part < 0.3 || part > 0.6 {
		t.Errorf("%.2f of all people are at two members", part)
	}
	if busy := answer.Spread[20:]; len(busy) == 0 || sum(busy) == 0 {
		t.Error("nobody goes to twenty houses")
	}
}

func sum(counts []int64) (n int64) {
	for _, c := range counts {
		n += c
	}
	return n
}

func TestOnlyTheSeed(t *testing.T) {
	_, one := population(t, Shape{Seed: 9, Rows: 50_000, Members: 20})
	_, again := population(t, Shape{Seed: 9, Rows: 50_000, Members: 20})
	_, other := population(t, Shape{Seed: 10, Rows: 50_000, Members: 20})
	if !reflect.DeepEqual(one, again) {
		t.Error("the same seed drew two publics")
	}
	if reflect.DeepEqual(one, other) {
		t.Error("two seeds drew the same public")
	}
	if a, b := *NewTokens(1).Of(7), *NewTokens(2).Of(7); a == b {
		t.Error("two seeds gave one token")
	}
}

// TestImport: what is written is taken, every row of it.
func TestImport(t *testing.T) {
	p, answer := population(t, Shape{Seed: 3, Rows: 5_000, Members: 3})
	for _, kind := range []importer.Kind{importer.People, importer.Tickets} {
		dir := t.TempDir()
		if err := p.WriteFiles(context.Background(), dir, kind == importer.Tickets); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(filepath.Join(dir, Name(0)+".csv"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		seen := &distinct{people: map[identity.Identifier]bool{}}
		report, err := importer.Import(context.Background(), file, importer.Options{Kind: kind, File: Name(0)}, seen)
		if err != nil {
			t.Fatal(err)
		}
		if int64(len(seen.people)) != answer.Members[0].People {
			t.Errorf("%s: %d people of %d, %+v", kind, len(seen.people), answer.Members[0].People, report)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, s := range []Shape{{}, {Rows: MinRows}, {Rows: MaxRows + 1, Members: 2}, {Rows: MinRows, Members: MaxMembers + 1}} {
		if _, err := New(s); err == nil {
			t.Errorf("%+v was drawn", s)
		}
	}
	p, _ := population(t, Shape{Rows: MinRows, Members: 2})
	for _, atLeast := range []int{0, 3} {
		if _, err := p.Count(context.Background(), atLeast); err == nil {
			t.Errorf("counted people at %d of 2 members", atLeast)
		}
	}
}

func TestCommand(t *testing.T) {
	cmd, out := Command("en"), &strings.Builder{}
	cmd.SetOut(out)
	dir := t.TempDir()
	cmd.SetArgs([]string{"--rows", "1000", "--members", "3", "--out", dir})
	if err := cmd.ExecuteContext(context.Background()); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(filepath.Join(dir, FileAnswer))
	if err != nil || string(written) != out.String() {
		t.Errorf("the answer in the folder is not the one that was printed: %v", err)
	}
}

func BenchmarkCount(b *testing.B) {
	for _, rows := range []int64{310_000, 3_100_000} {
		p, err := New(Shape{Seed: 1, Rows: rows, Members: 150})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			for b.Loop() {
				if _, err := p.Count(context.Background(), 2); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
	b.Run("people", func(b *testing.B) {
		p, err := New(Shape{Seed: 1, Rows: 310_000, Members: 2})
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if err := WritePeople(io.Discard, 1, p.At(0)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// distinct is a warehouse that remembers who came.
type distinct struct{ people map[identity.Identifier]bool }

func (d *distinct) Begin(context.Context, importer.Run) error { return nil }
func (d *distinct) People(_ context.Context, rows []importer.PersonRow) error {
	for _, r := range rows {
		d.people[*r.Email] = true
	}
	return nil
}
func (d *distinct) Tickets(_ context.Context, rows []importer.TicketRow) error {
	for _, r := range rows {
		d.people[*r.Email] = true
	}
	return nil
}
func (d *distinct) Commit(context.Context, importer.Report) error { return nil }
func (d *distinct) Abort(context.Context) error                   { return nil }
