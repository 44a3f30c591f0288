package match

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
)

// sized makes an upload of count records, a part of them shared by all uploads of
// the benchmark, without any token: what a merge costs does not depend on whose
// pseudonyms they are.
func sized(b *testing.B, source int, count uint32, shared float64) []byte {
	b.Helper()
	common, own := rand.New(rand.NewPCG(1, 1)), rand.New(rand.NewPCG(2, uint64(source)))
	records := make([]record, count)
	for i := range records {
		from := own
		if float64(i) < shared*float64(count) {
			from = common
		}
		records[i] = record{from.Uint64(), from.Uint64(), 0}
	}
	slices.SortFunc(records, record.compare)
	h := Header{Round: roundID, Manifest: manifestHash, Source: sourceName(source), Count: count}
	buf := bytes.NewBuffer(make([]byte, 0, h.UploadSize()))
	out, err := newOutput(h, buf, nil)
	if err != nil {
		b.Fatal(err)
	}
	for _, r := range records {
		if err := out.put(r); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := out.end(); err != nil {
		b.Fatal(err)
	}
	return buf.Bytes()
}

// BenchmarkMerge is the matcher's work, checks and digests included, on one core.
func BenchmarkMerge(b *testing.B) {
	for _, c := range []struct {
		sources int
		records uint32
		naive   bool
	}{
		{2, 1 << 20, true},
		{150, 1 << 15, false},
		{150, 207937, false}, // 31 million in all
	} {
		uploads := make([][]byte, c.sources)
		every := make([]int, c.sources)
		for i := range uploads {
			if c.records = PaddedCount(c.records); testing.Short() {
				c.records = MinRecords
			}
			uploads[i], every[i] = sized(b, i, c.records, 0.1), i
		}
		w := newWorld(make([]map[person]bool, c.sources)...)
		p, err := Compile(atLeast(2, every...), w.sources)
		if err != nil {
			b.Fatal(err)
		}
		records := float64(c.records) * float64(c.sources)
		name := fmt.Sprintf("%dx%d", c.sources, c.records)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				mergeOnce(b, p, uploads)
			}
			report(b, records)
		})
		if c.naive {
			b.Run(name+"/naive-map", func(b *testing.B) {
				for b.Loop() {
					naive(uploads[0], uploads[1])
				}
				report(b, records)
			})
		}
	}
}

func mergeOnce(b *testing.B, p *Program, uploads [][]byte) {
	inputs := make([]Input, len(uploads))
	for i, u := range uploads {
		inputs[i] = Input{Upload: reader(b, u), Labels: io.Discard}
	}
	if _, err := Merge(context.Background(), p, inputs); err != nil {
		b.Fatal(err)
	}
}

// naive is the intersection that one writes first, over the same bytes, and
// without any check of them.
func naive(a, b []byte) (n int) {
	known := map[Pseudonym]struct{}{}
	records := func(upload []byte) []byte { return upload[headerLength : len(upload)-32] }
	for r := records(a); len(r) > 0; r = r[recordSize:] {
		known[Pseudonym(r[:recordSize])] = struct{}{}
	}
	for r := records(b); len(r) > 0; r = r[recordSize:] {
		if _, ok := known[Pseudonym(r[:recordSize])]; ok {
			n++
		}
	}
	return n
}

func report(b *testing.B, records float64) {
	perSecond := records * float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(perSecond, "records/s")
	b.ReportMetric(perSecond*float64(recordSize), "B/s")
}

// BenchmarkUpload is a member's work for a round, from cached tokens.
func BenchmarkUpload(b *testing.B) {
	const people = 1_000_000
	key := Derive(NewRoundKey(), manifestHash).Token
	for name, memory := range map[string]int{"memory": 0, "spilled": 16 << 20} {
		b.Run(fmt.Sprintf("%d/%s", people, name), func(b *testing.B) {
			var token [64]byte
			for b.Loop() {
				w := NewWriter(WriterConfig{Key: key, Folder: b.TempDir(), Memory: memory})
				for i := range people {
					binary.BigEndian.PutUint64(token[:], uint64(i))
					if err := w.Add(&token, Row(i)); err != nil {
						b.Fatal(err)
					}
				}
				if _, err := w.Finish(context.Background(), newWorld(nil).header(0), io.Discard, io.Discard); err != nil {
					b.Fatal(err)
				}
				w.Close()
			}
			report(b, people)
		})
	}
}

// BenchmarkDerive is the part of it that cannot be had for less.
func BenchmarkDerive(b *testing.B) {
	d := newDeriver(Derive(NewRoundKey(), manifestHash).Token)
	var token [64]byte
	for b.Loop() {
		p := d.pseudonym(&token)
		token[0] = p[0]
	}
	report(b, 1)
}
