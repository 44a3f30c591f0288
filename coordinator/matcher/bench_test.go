package matcher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"coulisse/protocol"
	"coulisse/protocol/match"
)

// BenchmarkAccept compares the sealed spool with a plain file of the same checked
// bytes, synced alike.
func BenchmarkAccept(b *testing.B) {
	h := match.Header{Round: roundID, Manifest: signedHash, Source: "danse"}
	u := send(b, match.Derive(match.NewRoundKey(), signedHash), h, 0, 1_000_000)
	s := newStage(b, 1<<30)
	b.Run("sealed", func(b *testing.B) {
		b.SetBytes(int64(len(u.bytes)))
		for b.Loop() {
			a := Announcement{Round: roundID, Manifest: signedHash, Source: "danse", Digest: u.digest}
			if _, err := s.Accept(context.Background(), a, whole(bytes.NewReader(u.bytes))); err != nil {
				b.Fatal(err)
			}
			if err := s.Close(roundID); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("plain", func(b *testing.B) {
		b.SetBytes(int64(len(u.bytes)))
		for b.Loop() {
			f, err := os.CreateTemp(b.TempDir(), "")
			if err != nil {
				b.Fatal(err)
			}
			r, err := match.NewReader(io.TeeReader(bytes.NewReader(u.bytes), f), match.MaxRecords)
			if err != nil {
				b.Fatal(err)
			}
			if err := errors.Join(r.Drain(), f.Sync(), f.Close(), os.Remove(f.Name())); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRun is a whole round at the matcher, from sealed spools to sealed
// labels, every source a recipient.
func BenchmarkRun(b *testing.B) {
	for _, c := range []struct{ sources, people int }{{2, 1_000_000}, {150, 27_554}} {
		if testing.Short() {
			c.people = 1000
		}
		m, err := Open(Config{Folder: b.TempDir(), Quota: 16 << 30})
		if err != nil {
			b.Fatal(err)
		}
		manifest, records := acceptMany(b, m, c.sources, c.people)
		b.Run(fmt.Sprintf("%dx%d", c.sources, c.people), func(b *testing.B) {
			for b.Loop() {
				if _, err := m.Run(context.Background(), roundID, manifest); err != nil {
					b.Fatal(err)
				}
				m.rounds[roundID].outcome = nil // run it again
			}
			perSecond := float64(records) * float64(b.N) / b.Elapsed().Seconds()
			b.ReportMetric(perSecond, "records/s")
			b.ReportMetric(perSecond*16, "B/s")
		})
		if err := m.Close(roundID); err != nil {
			b.Fatal(err)
		}
	}
}

// acceptMany accepts the uploads of equal sources, each of which shares a tenth of
// its people with the next one.
func acceptMany(b *testing.B, m *Matcher, sources, people int) (manifest protocol.Manifest, records int) {
	manifest = protocol.Manifest{Round: roundID, Rule: protocol.Rule{AtLeast: &protocol.AtLeast{T: 2}}}
	for i := range sources {
		name := protocol.SourceName(fmt.Sprintf("source-%03d", i))
		manifest.Sources = append(manifest.Sources, protocol.Source{Name: name, Member: protocol.MemberID(name)})
		manifest.Rule.AtLeast.Of = append(manifest.Rule.AtLeast.Of, name)
		manifest.Recipients = append(manifest.Recipients, name)
	}
	keys := match.Derive(match.NewRoundKey(), signedHash)
	for i, name := range manifest.Recipients {
		from := i * people * 9 / 10
		u := send(b, keys, match.Header{Round: roundID, Manifest: signedHash, Source: name}, from, from+people)
		a := Announcement{Round: roundID, Manifest: signedHash, Source: name, Digest: u.digest}
		if _, err := m.Accept(context.Background(), a, whole(bytes.NewReader(u.bytes))); err != nil {
			b.Fatal(err)
		}
		records += int(match.PaddedCount(uint32(people)))
	}
	return manifest, records
}
