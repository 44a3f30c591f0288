//go:build unix

package importer

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// generated is a file of n rows that is never whole in memory.
type generated struct {
	head string
	row  func(i int64) string
	n    int64
	at   int64 // next row, -1 for the headings
	rest string
}

func (g *generated) Read(p []byte) (int, error) {
	if g.rest == "" {
		switch {
		case g.at < 0:
			g.rest = g.head
		case g.at == g.n:
			return 0, io.EOF
		default:
			g.rest = g.row(g.at)
		}
		g.at++
	}
	n := copy(p, g.rest)
	g.rest = g.rest[n:]
	return n, nil
}

func (g *generated) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekStart && offset == 0 {
		g.at, g.rest = -1, ""
	}
	return 0, nil
}

func generate(n int64, phones bool) *generated {
	return &generated{
		head: "Courriel;Téléphone;Commande;Événement;Discipline;Salle;Date;Quantité;Montant;Code postal;Consentement mise en commun\r\n",
		n:    n, at: -1,
		row: func(i int64) string {
			phone := ""
			if phones {
				phone = fmt.Sprintf("(514) 555-%04d", i%10000)
			}
			return fmt.Sprintf("personne.%d@example.com;%s;A-%d;Spectacle %d;Danse contemporaine;Grande salle;%02d/%02d/2026 19:30;%d;%d,50 $;H2X 1Y4;oui\r\n",
				i, phone, i, i%40, 1+i%28, 1+i%12, 1+i%4, 20+i%60)
		},
	}
}

func BenchmarkImport(b *testing.B) {
	const n = 100_000
	for _, c := range []struct {
		name   string
		phones bool
		encode func(string) (string, error)
	}{
		{"addresses", false, nil},
		{"addresses and phones", true, nil},
		{"windows-1252", false, charmap.Windows1252.NewEncoder().String},
		{"utf-16", false, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String},
	} {
		b.Run(c.name, func(b *testing.B) {
			text, err := io.ReadAll(generate(n, c.phones))
			if err != nil {
				b.Fatal(err)
			}
			file := text
			if c.encode != nil {
				file = encoded(b, string(text), c.encode)
			}
			b.SetBytes(int64(len(file)))
			before := processorTime(b)
			for b.Loop() {
				sink := &discard{}
				if _, err := Import(b.Context(), bytes.NewReader(file), options(Tickets), sink); err != nil || sink.rows != n {
					b.Fatal(err, sink.rows)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(n)*float64(b.N)/(processorTime(b)-before).Seconds(), "rows/cpu-s")
		})
	}
}

// processorTime is what the process has used of all processors: unlike the
// clock it means something on a machine that is shared.
func processorTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func BenchmarkTable(b *testing.B) {
	file := sales + strings.Repeat(generate(1, true).row(7), 100_000)
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		if _, _, err := countRows(newTable(strings.NewReader(file), ';')); err != nil {
			b.Fatal(err)
		}
	}
}

func countRows(t *table) (rows, cells int, err error) {
	for {
		r, err := t.next()
		if err == io.EOF {
			return rows, cells, nil
		}
		if err != nil {
			return rows, cells, err
		}
		rows, cells = rows+1, cells+len(r.cells)
	}
}

// TestMemoryIsConstant: ten times the rows take no more memory at once.
func TestMemoryIsConstant(t *testing.T) {
	if testing.Short() {
		t.Skip("reads a quarter of a million rows")
	}
	peak := func(n int64) uint64 {
		var most uint64
		o := options(Tickets)
		o.Progress = func(p Progress) {
			if p.Stage != StageReading {
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
		}
		if _, err := Import(t.Context(), generate(n, false), o, &discard{}); err != nil {
			t.Fatal(err)
		}
		t.Logf("%d rows: %d KiB at most", n, most>>10)
		return most
	}
	small, large := peak(25_000), peak(250_000)
	if large > small+2<<20 {
		t.Errorf("memory grew from %d to %d bytes", small, large)
	}
}
