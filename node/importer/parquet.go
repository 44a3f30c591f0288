package importer

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// Bounds of a Parquet file: of its footer and of a page, which are read whole.
// Writers aim at pages of a megabyte.
const (
	maxFooter = 16 << 20
	maxPage   = 64 << 20
	maxValues = 4 << 20 // of a page: one that repeats takes few bytes there, and many here
	maxPages  = 1 << 20 // of a column in a group
)

// parquet recognises the columns of a Parquet file: those that have one value
// in each row. DuckDB reads the format too, but it is behind package warehouse,
// and wants a file with a name; ours has none.
func (j *job) parquet() (l layout, err error) {
	defer damagedBy(&err)
	at := j.random()
	if err := boundedFooter(at, j.report.Bytes); err != nil {
		return l, err
	}
	file, err := parquet.OpenFile(at, j.report.Bytes, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return l, damagedParquet
	}
	var columns []*parquet.Column
	var headings []string
	for i, path := range file.Schema().Columns() {
		leaf := leafOf(file.Root(), path)
		if leaf == nil || leaf.MaxRepetitionLevel() > 0 || leaf.Index() != i || len(columns) == maxColumns {
			continue
		}
		columns, headings = append(columns, leaf), append(headings, joined(path))
	}
	h, err := understand(headings, j.options.Kind, j.options.Mapping)
	switch {
	case err != nil:
		return l, err
	case !h.complete(j.options.Kind, j.options.Mapping):
		return l, h.missing(j.options.Kind, j.options.Mapping)
	}
	needed := make(map[int]*parquet.Column)
	for _, i := range append(slices.Collect(maps.Values(h.column)), h.cancelled, h.leftOut) {
		if i >= 0 {
			needed[i] = columns[i]
		}
	}
	if err := boundedPages(at, file, needed); err != nil {
		return l, err
	}
	return layout{format: Parquet, header: h, open: func() (rows, error) {
		j.pass()
		return newParquetRows(file, needed), nil
	}}, nil
}

func leafOf(c *parquet.Column, path []string) *parquet.Column {
	for _, name := range path {
		if c = c.Column(name); c == nil {
			return nil
		}
	}
	if !c.Leaf() {
		return nil
	}
	return c
}

func joined(path []string) string {
	name := path[0]
	for _, inner := range path[1:] {
		name += "." + inner
	}
	return name
}

func boundedFooter(at io.ReaderAt, size int64) error {
	end := make([]byte, 8)
	if size < 12 {
		return damagedParquet
	}
	if _, err := at.ReadAt(end, size-8); err != nil && err != io.EOF {
		return fmt.Errorf("reading the file: %w", err)
	}
	switch length := int64(binary.LittleEndian.Uint32(end)); {
	case string(end[4:]) == "PARE":
		return encryptedParquet
	case string(end[4:]) != "PAR1" || length > size-12:
		return damagedParquet
	case length > maxFooter:
		return pagesTooLarge
	}
	return nil
}

// boundedPages reads the head of every page of the columns that are needed, so
// that none is read that would fill memory.
func boundedPages(at io.ReaderAt, file *parquet.File, needed map[int]*parquet.Column) error {
	for _, group := range file.Metadata().RowGroups {
		for _, column := range needed {
			if column.Index() >= len(group.Columns) {
				return damagedParquet
			}
			m := group.Columns[column.Index()].MetaData
			begin := m.DataPageOffset
			if m.DictionaryPageOffset > 0 && m.DictionaryPageOffset < begin {
				begin = m.DictionaryPageOffset
			}
			if begin < 0 || m.TotalCompressedSize < 0 || begin+m.TotalCompressedSize > file.Size() {
				return damagedParquet
			}
			if err := chunkPages(io.NewSectionReader(at, begin, m.TotalCompressedSize)); err != nil {
				return err
			}
		}
	}
	return nil
}

func chunkPages(chunk *io.SectionReader) error {
	protocol, buffered := new(thrift.CompactProtocol), bufio.NewReaderSize(nil, 512)
	for next, pages := int64(0), 0; next < chunk.Size(); pages++ {
		if _, err := chunk.Seek(next, io.SeekStart); err != nil || pages == maxPages {
			return damagedParquet
		}
		buffered.Reset(chunk)
		var page format.PageHeader
		if err := thrift.NewDecoder(protocol.NewReader(buffered)).Decode(&page); err != nil || page.CompressedPageSize < 0 {
			return damagedParquet
		}
		values := max(page.DataPageHeader.V.NumValues, page.DataPageHeaderV2.V.NumValues, page.DictionaryPageHeader.V.NumValues)
		if page.CompressedPageSize > maxPage || page.UncompressedPageSize > maxPage || values > maxValues {
			return pagesTooLarge
		}
		at, err := chunk.Seek(0, io.SeekCurrent)
		if err != nil {
			return damagedParquet
		}
		next = at - int64(buffered.Buffered()) + int64(page.CompressedPageSize)
	}
	return nil
}

// damagedBy turns a panic of the library, which has some on files that were
// cut or made to harm, into the sentence that the file is damaged.
func damagedBy(err *error) {
	if recover() != nil {
		*err = damagedParquet
	}
}
