package collect

import (
	"testing"

	"coulisse/node/collect/channel"
	"coulisse/node/warehouse"
)

// What one request costs, part by part.
func BenchmarkParts(b *testing.B) {
	raw := []byte(benchBody(draw(), at.UnixMilli(), 1))
	c := &Collector{sites: newSites([]string{"www.theatre.example"})}
	v := visit{at: at, agent: readAgent(firefox)}
	read, err := decode(raw)
	if err != nil {
		b.Fatal(err)
	}
	kept, err := c.accept(read, v)
	if err != nil {
		b.Fatal(err)
	}
	kept.Consents = nil
	record := encodeRecord(kept)
	for name, part := range map[string]func(){
		"decode":  func() { _, _ = decode(raw) },
		"accept":  func() { _, _ = c.accept(read, v) },
		"channel": func() { channel.Visit{Source: "infolettre", Medium: "email", Campaign: "automne"}.Of() },
		"encode":  func() { encodeRecord(warehouse.Batch{Events: kept.Events}) },
		"load":    func() { _, _ = decodeRecord(record) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				part()
			}
		})
	}
}
