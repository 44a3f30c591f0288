package warehouse

import (
	"os"
	"syscall"
	"testing"
	"time"
)

// cpu is what this process has used of the processor.
func cpu() time.Duration {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkErasing erases one person of a million, who have three tickets each,
// with the file rewritten. A bare copy of the file's bytes is beside it.
func BenchmarkErasing(b *testing.B) {
	w := fresh(b)
	for _, statement := range []string{
		`INSERT INTO people SELECT nextval('person_numbers'), 'H2X' || (range % 9), 'a' FROM range(1000000)`,
		`INSERT INTO identities SELECT person, 'email', 'personne.' || hash(person) || '@example.org', true FROM people`,
		`INSERT INTO consents SELECT person, 'pooling', true, '2026-01-01'::TIMESTAMP + to_seconds(person), 'a' FROM people`,
		`INSERT INTO standing SELECT person, purpose, said_at, '-infinity' FROM consents`,
		`INSERT INTO tickets SELECT person, hash(person, range)::VARCHAR, 'Spectacle ' || (person * 7 + range) % 300, 'dance.contemporary', 'Salle', 'salle',
			'2025-09-01'::DATE + ((person + range) % 200)::INTEGER, 2, 4000 + person % 3000, 'a' FROM people, range(3) ORDER BY person`,
		`CHECKPOINT`,
	} {
		if _, err := w.db.Exec(statement); err != nil {
			b.Fatal(err)
		}
	}
	path := w.path(b)
	person := PersonID(0)
	b.Run("rows", func(b *testing.B) {
		for b.Loop() {
			person++
			if _, err := w.Erase(b.Context(), person); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("file", func(b *testing.B) {
		begun := cpu()
		for b.Loop() {
			if err := w.Rewrite(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric((cpu()-begun).Seconds()/float64(b.N), "cpu-s/op")
		if info, err := os.Stat(path); err == nil {
			b.SetBytes(info.Size())
			b.ReportMetric(float64(info.Size())/1e6, "MB")
		}
	})
	b.Run("bytes", func(b *testing.B) {
		content, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if err := os.WriteFile(path+".bytes", content, 0o600); err != nil {
				b.Fatal(err)
			}
		}
	})
}
