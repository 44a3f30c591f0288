package importer

import (
	"encoding/hex"
	"errors"
	"io"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// parquetRows reads the columns that are needed, side by side.
type parquetRows struct {
	file    *parquet.File
	columns map[int]*parquet.Column // by the place of their heading
	group   int                     // the next
	left    int64                   // rows of the one at hand
	row     int64
	open    []*parquetColumn

	text  []byte
	cells [][]byte
	typed []bool
}

func newParquetRows(file *parquet.File, columns map[int]*parquet.Column) *parquetRows {
	width := 0
	for i := range columns {
		width = max(width, i+1)
	}
	return &parquetRows{file: file, columns: columns, cells: make([][]byte, width), typed: make([]bool, width)}
}

func (t *parquetRows) next() (r row, err error) {
	defer damagedBy(&err)
	for t.left == 0 {
		t.close()
		if t.group == len(t.file.RowGroups()) {
			return row{}, io.EOF
		}
		t.begin(t.file.RowGroups()[t.group])
		t.group++
	}
	t.left--
	t.row++
	r = row{line: t.row}
	t.text = t.text[:0]
	for _, c := range t.open {
		v, err := c.next()
		if err != nil {
			return row{}, err
		}
		c.from = len(t.text)
		t.text, t.typed[c.heading] = c.append(t.text, v)
		if c.to = len(t.text); c.to-c.from > maxField {
			r.broken, t.text, c.to = ReasonFieldTooLong, t.text[:c.from], c.from
		}
	}
	if !utf8.Valid(t.text) {
		r.broken = ReasonBadEncoding
	}
	if r.broken != "" {
		return r, nil
	}
	for _, c := range t.open {
		t.cells[c.heading] = t.text[c.from:c.to:c.to]
	}
	r.cells, r.typed = t.cells, t.typed
	return r, nil
}

func (t *parquetRows) begin(group parquet.RowGroup) {
	t.left = group.NumRows()
	chunks := group.ColumnChunks()
	for i, column := range t.columns {
		t.open = append(t.open, &parquetColumn{reading: readingOf(column), heading: i,
			pages: chunks[column.Index()].Pages(), buf: make([]parquet.Value, 128)})
	}
}

func (t *parquetRows) close() {
	for _, c := range t.open {
		if c.page != nil {
			parquet.Release(c.page)
		}
		c.pages.Close()
	}
	t.open = nil
}

// parquetColumn reads a column of a group of rows, page by page.
type parquetColumn struct {
	reading
	heading  int
	from, to int // where the row's text has its value
	pages    parquet.Pages
	page     parquet.Page
	values   parquet.ValueReader
	buf      []parquet.Value
	at, n    int
}

// next returns the value of the next row.
func (c *parquetColumn) next() (parquet.Value, error) {
	for c.at == c.n {
		if c.page == nil {
			page, err := c.pages.ReadPage()
			if err != nil { // io.EOF too: there are fewer values than rows
				return parquet.Value{}, damagedParquet
			}
			c.page, c.values = page, page.Values()
		}
		n, err := c.values.ReadValues(c.buf)
		c.at, c.n = 0, n
		switch {
		case n > 0:
		case errors.Is(err, io.EOF):
			parquet.Release(c.page)
			c.page = nil
		default:
			return parquet.Value{}, damagedParquet
		}
	}
	c.at++
	return c.buf[c.at-1], nil
}

// reading is how the values of a column are written as text.
type reading struct {
	kind    parquet.Kind
	meaning format.LogicalTypeValue // nil if there is none
}

func readingOf(c *parquet.Column) reading {
	r := reading{kind: c.Type().Kind()}
	if logical := c.Type().LogicalType(); logical != nil {
		r.meaning = logical.Value
	}
	return r
}

// append appends a value, and reports whether it is a number or a date.
func (r reading) append(to []byte, v parquet.Value) (_ []byte, typed bool) {
	if v.IsNull() {
		return to, false
	}
	switch r.kind {
	case parquet.Boolean:
		return strconv.AppendBool(to, v.Boolean()), false
	case parquet.Int32:
		return r.integer(to, int64(v.Int32())), true
	case parquet.Int64:
		return r.integer(to, v.Int64()), true
	case parquet.Int96: // Spark's instants before there was a type for them
		parts := v.Int96()
		const epoch = 2440588 // the Julian day of 1 January 1970
		at := time.Unix((int64(parts[2])-epoch)*86400, int64(parts[1])<<32|int64(parts[0])).UTC()
		return at.AppendFormat(to, time.RFC3339Nano), true
	case parquet.Float:
		return float(to, float64(v.Float()), 32), true
	case parquet.Double:
		return float(to, v.Double(), 64), true
	}
	switch meaning := r.meaning.(type) {
	case *format.DecimalType:
		return decimal(to, signed(v.ByteArray()), int(meaning.Scale)), true
	case *format.UUIDType:
		return hex.AppendEncode(to, v.ByteArray()), false
	}
	return append(to, v.ByteArray()...), false
}

func (r reading) integer(to []byte, n int64) []byte {
	switch meaning := r.meaning.(type) {
	case *format.DateType:
		return time.Unix(n*86400, 0).UTC().AppendFormat(to, time.DateOnly)
	case *format.TimestampType:
		unit := int64(time.Second / meaning.Unit.Value.Duration())
		at := time.Unix(n/unit, n%unit*int64(meaning.Unit.Value.Duration())).UTC()
		if meaning.IsAdjustedToUTC {
			return at.AppendFormat(to, time.RFC3339Nano)
		}
		return at.AppendFormat(to, "2006-01-02T15:04:05.999999999")
	case *format.DecimalType:
		return decimal(to, big.NewInt(n), int(meaning.Scale))
	case *format.IntType:
		if !meaning.IsSigned && r.kind == parquet.Int32 {
			return strconv.AppendUint(to, uint64(uint32(n)), 10)
		} else if !meaning.IsSigned {
			return strconv.AppendUint(to, uint64(n), 10)
		}
	}
	return strconv.AppendInt(to, n, 10)
}

// float leaves out what is not a number: that is how a table in Python says
// that there is none.
func float(to []byte, f float64, bits int) []byte {
	if math.IsNaN(f) {
		return to
	}
	if math.Abs(f) >= 1e21 {
		return strconv.AppendFloat(to, f, 'g', -1, bits)
	}
	return strconv.AppendFloat(to, f, 'f', -1, bits)
}

// signed reads a whole number in two's complement, its first byte the highest.
func signed(b []byte) *big.Int {
	n := new(big.Int).SetBytes(b[:min(len(b), 64)])
	if len(b) > 0 && b[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*min(len(b), 64))))
	}
	return n
}

// maxScale is the most figures behind the point: Parquet's own bound is the 38
// of its precision.
const maxScale = 38

func decimal(to []byte, n *big.Int, scale int) []byte {
	scale = min(max(scale, 0), maxScale)
	digits := new(big.Int).Abs(n).String()
	digits = strings.Repeat("0", max(0, scale+1-len(digits))) + digits
	if n.Sign() < 0 {
		to = append(to, '-')
	}
	to = append(to, digits[:len(digits)-scale]...)
	if scale > 0 {
		to = append(append(to, '.'), digits[len(digits)-scale:]...)
	}
	return to
}

var (
	damagedParquet = problem(ProblemDamaged,
		"Le fichier Parquet est abîmé ou incomplet : exportez-le de nouveau.",
		"The Parquet file is damaged or incomplete: export it again.")
	encryptedParquet = problem(ProblemPassword,
		"Le fichier Parquet est chiffré : exportez-le de nouveau sans chiffrement.",
		"The Parquet file is encrypted: export it again without encryption.")
	pagesTooLarge = problem(ProblemTooLarge,
		"Le fichier Parquet a des pages de plus de 64 Mio : exportez-le de nouveau avec des pages plus petites (un mégaoctet est l'usage).",
		"The Parquet file has pages of more than 64 MiB: export it again with smaller pages (one megabyte is usual).")
)
