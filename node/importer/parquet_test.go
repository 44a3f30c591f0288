package importer

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
)

// sale is a row of a Parquet file as a data team writes it.
type sale struct {
	Email    string    `parquet:"email"`
	Phone    *int64    `parquet:"phone,optional"`
	Event    string    `parquet:"event,dict,zstd"`
	Day      int32     `parquet:"day,date"`
	At       time.Time `parquet:"at,timestamp(microsecond)"`
	Quantity int64     `parquet:"quantity"`
	Amount   int64     `parquet:"amount,decimal(2:12)"`
	Tags     []string  `parquet:"tags,list"`
	Place    struct {
		Venue string `parquet:"venue"`
	} `parquet:"place"`
}

func parquetFile[T any](t testing.TB, rows []T, options ...parquet.WriterOption) string {
	t.Helper()
	var b bytes.Buffer
	if err := parquet.Write(&b, rows, options...); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestParquet(t *testing.T) {
	phone := int64(5145550123)
	day := int32(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC).Unix() / 86400)
	rows := make([]sale, 0, 1000)
	for range 1000 {
		rows = append(rows,
			sale{Email: "marie@example.com", Phone: &phone, Event: "L'Avare", Day: day, Quantity: 2, Amount: 9150, Tags: []string{"a", "b"}},
			sale{Email: "luc@example.com", Event: "Cid", Day: day + 1, Quantity: -1, Amount: -4500})
	}
	rows[0].Place.Venue = "Grande salle"
	file := parquetFile(t, rows, parquet.MaxRowsPerRowGroup(700))
	o := options(Tickets)
	o.Mapping.Columns = map[Field]string{FieldVenue: "place.venue"}
	report, sink := take(t, file, o)
	if len(sink.sold) != 2000 || report.Format != Parquet || report.Tickets != 1000 || report.HeaderLine != 0 {
		t.Fatalf("%+v", report)
	}
	sink.kept, sink.sold = nil, append(sink.sold[:2], sink.sold[1999])
	wantRows(t, sink,
		"1 marie@example.com +15145550123||L'Avare||Grande salle|2026-11-23|2|9150|",
		"2 luc@example.com -||Cid|||2026-11-24|-1|-4500|",
		"2000 luc@example.com -||Cid|||2026-11-24|-1|-4500|")
}

// TestParquetOfAnotherWriter reads what DuckDB wrote (engine 1.5.6): its types
// of numbers, days and instants.
func TestParquetOfAnotherWriter(t *testing.T) {
	file := string(must(os.ReadFile("testdata/duckdb.parquet")))
	report, sink := take(t, file, options(Tickets))
	wantRows(t, sink,
		"1 marie@example.com +15145550123|A-1|L'Avare||Grande salle|2026-11-23|2|9150| pooling=true@2026-09-01T09:00",
		"2 luc@example.com -|A-2|Cid|||2026-11-24|-1|-4500| pooling=false@2026-09-01T22:00")
	if got := reasons(report.RefusedBy); !maps.Equal(got, map[Reason]int64{"role-address": 1}) {
		t.Errorf("refused %v", got)
	}
	_, sink = take(t, string(must(os.ReadFile("testdata/many.parquet"))), options(Tickets))
	if len(sink.sold) != 3000 {
		t.Fatalf("%d rows", len(sink.sold))
	}
	for i, row := range sink.sold {
		day := time.Date(2026, 1, 1+i%300, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
		if want := fmt.Sprintf("%d p%d@example.com -||Spectacle %d|||%s|1|%d|", i+1, i, i%40, day, i%7*100+25); row.spelled() != want {
			t.Fatalf("%s, not %s", row.spelled(), want)
		}
	}
}

func TestParquetValues(t *testing.T) {
	for _, c := range []struct {
		bytes string
		scale int
		want  string
	}{
		{"\x00", 2, "0.00"}, {"\x7b", 2, "1.23"}, {"\xff", 2, "-0.01"}, {"\xff\x85", 0, "-123"}, {"\x01\x00", 3, "0.256"}, {"", 1, "0.0"},
	} {
		if got := string(decimal(nil, signed([]byte(c.bytes)), c.scale)); got != c.want {
			t.Errorf("%x with %d: %s, not %s", c.bytes, c.scale, got, c.want)
		}
	}
	spark := deprecated.Int96{0, 0, 2440588 + 20780} // at midnight
	for _, c := range []struct {
		value parquet.Value
		kind  parquet.Kind
		want  string
	}{
		{parquet.Int96Value(spark), parquet.Int96, "2026-11-23T00:00:00Z"},
		{parquet.FloatValue(12.3), parquet.Float, "12.3"},
		{parquet.DoubleValue(math.NaN()), parquet.Double, ""},
		{parquet.DoubleValue(5145550123), parquet.Double, "5145550123"},
		{parquet.BooleanValue(true), parquet.Boolean, "true"},
		{parquet.NullValue(), parquet.ByteArray, ""},
	} {
		if got, _ := (reading{kind: c.kind}).append(nil, c.value); string(got) != c.want {
			t.Errorf("%v: %q, not %q", c.value, got, c.want)
		}
	}
}

// FuzzParquet: whatever the bytes, reading them ends with rows or a sentence.
func FuzzParquet(f *testing.F) {
	for _, name := range []string{"duckdb", "many"} {
		f.Add(must(os.ReadFile("testdata/" + name + ".parquet")))
	}
	f.Add([]byte(parquetFile(f, []sale{{Email: "a.b@example.com", Event: "Cid", Day: 20780, Quantity: 1, Amount: 4500}})))
	f.Fuzz(func(t *testing.T, file []byte) {
		_, err := Import(t.Context(), bytes.NewReader(file), options(Tickets), &discard{})
		var found *Problem
		if err != nil && !errors.As(err, &found) {
			t.Fatal(err)
		}
	})
}
