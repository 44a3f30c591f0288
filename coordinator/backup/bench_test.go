package backup

import (
	"bytes"
	"testing"

	"coulisse/coordinator/state"
	"coulisse/protocol"
	"coulisse/protocol/checkpoint"
	"coulisse/protocol/federation/federationtest"
)

// BenchmarkRead is what a verification of a backup costs, and most of what a
// restoration does: every entry is replayed.
func BenchmarkRead(b *testing.B) {
	town := federationtest.Found(b, 20)
	for range 100 {
		town.Decide(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}})
	}
	note, err := checkpoint.Sign(checkpoint.OriginOf(town.View()), town.Head(), town.Replica)
	town.Must(err)
	c, err := checkpoint.Open(note, town.View())
	town.Must(err)
	made, err := Make(Manifest{Replica: "r1", Federation: town.Federation, At: 1}, nil, &town.Log)
	town.Must(err)
	var raw bytes.Buffer
	town.Must(made.Write(&raw, c))
	b.Run("read", func(b *testing.B) {
		b.SetBytes(int64(raw.Len()))
		for b.Loop() {
			if _, err := Read(bytes.NewReader(raw.Bytes()), ""); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(town.Head().Size)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
	})
	b.Run("rebuild", func(b *testing.B) {
		for b.Loop() {
			s, err := state.Rebuild(&town.Log)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := s.Snapshot(); err != nil {
				b.Fatal(err)
			}
			s.Close()
		}
		b.ReportMetric(float64(town.Head().Size)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
	})
}
